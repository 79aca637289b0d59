//! Services: their columns and the order of these never change under one name.
//!
//! A service may switch to another version of a view if that has the same columns. A file whose
//! references read as before changes nothing, though `*` would mean more by now; nor does one whose
//! references lead to the same columns in other words.

use super::super::{
    definition::{DefinitionFile, ServiceDefinition},
    reference::FeatureReference,
    state::{Service, ServiceColumn},
};
use super::{
    Action,
    draft::{Draft, Told, told_first},
};
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
            let present =
                present.map(|present| self.tell_of_service(&present, definition, &object));
            let as_before = present.as_ref().filter(|present| {
                present.references == definition.features && definition.columns.is_none()
            });
            if as_before.is_some() {
                continue;
            }
            match (self.columns(project, definition, &object), present) {
                (Err(refusal), _) => self.plan.refusals.push(refusal),
                (Ok(columns), None) => self.create_service(project, definition, columns, object),
                // Other words for the same columns change nothing for anybody.
                (Ok(columns), Some(present)) if columns == present.columns => {}
                (Ok(columns), Some(present)) => {
                    self.switch_service(&present, definition, columns, &object);
                }
            }
        }
    }

    /// The service with what people are to be told of it.
    fn tell_of_service(
        &mut self,
        present: &Arc<Service>,
        definition: &ServiceDefinition,
        object: &str,
    ) -> Arc<Service> {
        let about = self.about(present.project, object, &present.about, told(definition));
        if about == present.about {
            return Arc::clone(present);
        }
        let service = Arc::new(Service {
            about,
            ..Service::clone(present)
        });
        self.registry
            .services
            .insert(present.id, Arc::clone(&service));
        service
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
            about: told_first(told(definition)),
            since: Default::default(),
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
        let references = definition.columns.as_ref().unwrap_or(&definition.features);
        for reference in references {
            let meant = self.registry.expand(project, reference);
            let meant = meant.map_err(|refusal| Refusal {
                field: object.to_owned(),
                ..refusal
            })?;
            for column in meant {
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

fn told(definition: &ServiceDefinition) -> Told<'_> {
    let ServiceDefinition {
        owner,
        description,
        tags,
        ..
    } = definition;
    (owner, description, tags)
}
