//! Services: their columns and the order of these never change under one name.
//!
//! A service may switch to another version of a view if that has the same columns. A file whose
//! references read as before changes nothing, though `*` would mean more by now.

use super::super::{
    definition::{DefinitionFile, ServiceDefinition},
    reference::FeatureReference,
    state::{Service, ServiceColumn, feature_id},
};
use super::{Action, draft::Draft};
use proto::{
    id::{ProjectId, ServiceId},
    limits::FEATURES_PER_LOOKUP,
    reason::{Reason, Refusal},
    types::Type,
};
use std::{collections::BTreeMap, sync::Arc};

impl Draft {
    pub(super) fn services(&mut self, file: &DefinitionFile) {
        let project = self.project(&file.project);
        for definition in &file.services {
            let object = format!("service {}", definition.name);
            if !self.name(project, &object) {
                continue;
            }
            let present = self
                .registry
                .service(project, definition.name.as_str())
                .cloned();
            if present
                .as_ref()
                .is_some_and(|present| present.references == definition.features)
            {
                continue;
            }
            match (self.columns(project, definition, &object), present) {
                (Err(refusal), _) => self.plan.refusals.push(refusal),
                (Ok(columns), None) => self.create_service(project, definition, columns, object),
                (Ok(columns), Some(present)) => {
                    self.switch_service(&present, definition, columns, &object);
                }
            }
        }
    }

    fn create_service(
        &mut self,
        project: ProjectId,
        definition: &ServiceDefinition,
        columns: Vec<ServiceColumn>,
        object: String,
    ) {
        let id = self.registry.next.service;
        self.registry.next.service = ServiceId(id.0 + 1);
        let names = self.names(&columns).join(", ");
        self.change(project, Action::Create, object).to = Some(names);
        let references = definition.features.clone();
        let service = Service {
            id,
            project,
            name: definition.name.clone(),
            references,
            columns,
        };
        self.registry.services.insert(id, Arc::new(service));
    }

    fn switch_service(
        &mut self,
        present: &Arc<Service>,
        definition: &ServiceDefinition,
        columns: Vec<ServiceColumn>,
        object: &str,
    ) {
        let alike = self.names(&present.columns) == self.names(&columns)
            && present.columns.iter().zip(&columns).all(|(old, new)| {
                let (old, new) = (self.type_of(*old), self.type_of(*new));
                old == new || old.widens_to(new)
            });
        if !alike {
            let message = format!(
                "the columns of {object} never change, so that a model gets what it was trained on: it has {}, \
                 and the file asks for {}; make a service of another name",
                self.typed_names(&present.columns),
                self.typed_names(&columns),
            );
            return self.refuse(Reason::IncompatibleChange, object, message);
        }
        let text = |references: &[FeatureReference]| {
            references
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        self.alter(
            present.project,
            object,
            "features",
            text(&present.references),
            text(&definition.features),
        );
        let references = definition.features.clone();
        let switched = Service {
            references,
            columns,
            ..Service::clone(present)
        };
        self.registry
            .services
            .insert(present.id, Arc::new(switched));
    }

    /// What a service's references mean now.
    fn columns(
        &self,
        project: ProjectId,
        definition: &ServiceDefinition,
        object: &str,
    ) -> Result<Vec<ServiceColumn>, Refusal> {
        let mut columns = Vec::new();
        let mut first = BTreeMap::new();
        for reference in &definition.features {
            for column in self.expand(project, reference, object)? {
                let name = self.registry.column_name(column);
                if let Some(earlier) = first.insert(name.clone(), reference) {
                    let message = format!(
                        "{earlier} and {reference} both give the column {name}; remove one"
                    );
                    return Err(Refusal::of_field(
                        Reason::InvalidDefinition,
                        object,
                        message,
                    ));
                }
                columns.push(column);
            }
        }
        if columns.len() > FEATURES_PER_LOOKUP {
            let message = format!(
                "{object} has {} columns and a lookup returns at most {FEATURES_PER_LOOKUP}; split it",
                columns.len()
            );
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                object,
                message,
            ));
        }
        Ok(columns)
    }

    fn expand(
        &self,
        project: ProjectId,
        reference: &FeatureReference,
        object: &str,
    ) -> Result<Vec<ServiceColumn>, Refusal> {
        let refuse = |reason, message| Err(Refusal::of_field(reason, object, message));
        let Some(view) = self.registry.view(
            project,
            reference.view.name.as_str(),
            reference.view.version,
        ) else {
            return refuse(
                Reason::UnknownView,
                format!("{reference}: there is no view {}", reference.view),
            );
        };
        if let Some(name) = &reference.feature {
            return match view.feature(name.as_str()) {
                Some((feature, _)) => Ok(vec![ServiceColumn {
                    view: view.id,
                    feature,
                }]),
                None => refuse(
                    Reason::UnknownFeature,
                    format!("{reference}: view {} has no feature {name}", view.label()),
                ),
            };
        }
        let current = view
            .features
            .iter()
            .enumerate()
            .filter(|(_, feature)| !feature.deprecated);
        Ok(current
            .map(|(place, _)| ServiceColumn {
                view: view.id,
                feature: feature_id(place),
            })
            .collect())
    }

    fn names(&self, columns: &[ServiceColumn]) -> Vec<String> {
        columns
            .iter()
            .map(|column| self.registry.column_name(*column))
            .collect()
    }

    fn typed_names(&self, columns: &[ServiceColumn]) -> String {
        const SHOWN: usize = 20;
        let mut texts: Vec<_> = columns
            .iter()
            .take(SHOWN)
            .map(|column| {
                format!(
                    "{} {}",
                    self.registry.column_name(*column),
                    self.type_of(*column)
                )
            })
            .collect();
        if columns.len() > SHOWN {
            texts.push(format!("and {} more", columns.len() - SHOWN));
        }
        texts.join(", ")
    }

    fn type_of(&self, column: ServiceColumn) -> Type {
        self.registry.views[&column.view].features[usize::from(column.feature.0)].ty()
    }
}
