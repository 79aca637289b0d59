//! Columns of services: what references stand for, what columns are called, who reads what.

use super::{
    reference::{FeatureReference, ViewReference},
    state::{Registry, Service, ServiceColumn, View, feature_id},
};
use proto::{
    id::{FeatureId, ProjectId, ViewId},
    name::Name,
    nearby,
    reason::{Reason, Refusal},
};
use std::sync::Arc;

impl Registry {
    /// What a reference means now: `*` stands for all features that are not deprecated, a view
    /// without a version for its newest one.
    pub(super) fn expand(
        &self,
        project: ProjectId,
        reference: &FeatureReference,
    ) -> Result<Vec<ServiceColumn>, Refusal> {
        let view = self.referred(project, reference)?;
        let Some(name) = &reference.feature else {
            let current = view.features.iter().enumerate();
            let current = current.filter(|(_, feature)| !feature.deprecated);
            let column = |(place, _)| ServiceColumn {
                view: view.id,
                feature: feature_id(place),
            };
            return Ok(current.map(column).collect());
        };
        if let Some((feature, _)) = view.feature(name.as_str()) {
            return Ok(vec![ServiceColumn {
                view: view.id,
                feature,
            }]);
        }
        let names = view.features.iter().map(|feature| feature.name.as_str());
        let message = format!(
            "{reference}: view {} has no feature {name}; {}",
            view.label(),
            nearby::hint(name.as_str(), names, "its features")
        );
        Err(Refusal::new(Reason::UnknownFeature, message))
    }

    fn referred(
        &self,
        project: ProjectId,
        reference: &FeatureReference,
    ) -> Result<&Arc<View>, Refusal> {
        let ViewReference { name, version } = &reference.view;
        let found = self.view(project, name.as_str(), *version);
        found.ok_or_else(|| {
            let views = self.views.values().filter(|view| view.project == project);
            let hint = if self.view(project, name.as_str(), None).is_some() {
                let versions: Vec<String> = views
                    .filter(|view| view.name == *name)
                    .map(|view| view.version.to_string())
                    .collect();
                format!("its versions are {}", versions.join(", "))
            } else {
                nearby::hint(name.as_str(), views.map(|view| view.name.as_str()), "views")
            };
            let message = format!("{reference}: there is no view {}; {hint}", reference.view);
            Refusal::new(Reason::UnknownView, message)
        })
    }

    /// A service's columns with the version of each view: what leads to them at any time.
    #[must_use]
    pub fn column_references(&self, columns: &[ServiceColumn]) -> Vec<FeatureReference> {
        let reference = |column: &ServiceColumn| {
            let view = &self.views[&column.view];
            FeatureReference {
                view: ViewReference {
                    name: view.name.clone(),
                    version: Some(view.version),
                },
                feature: Some(view.features[usize::from(column.feature.0)].name.clone()),
            }
        };
        columns.iter().map(reference).collect()
    }

    /// Whether a service's references would lead to its columns if it were made now.
    pub(super) fn reads_as_written(&self, service: &Service) -> bool {
        let mut columns = Vec::with_capacity(service.columns.len());
        for reference in &service.references {
            match self.expand(service.project, reference) {
                Ok(more) => columns.extend(more),
                Err(_) => return false,
            }
        }
        columns == service.columns
    }

    /// The services that read a view, by name.
    #[must_use]
    pub fn readers(&self, view: ViewId) -> Vec<String> {
        self.reading(|column| column.view == view)
    }

    /// The services that read a feature, by name.
    #[must_use]
    pub fn readers_of_feature(&self, view: ViewId, feature: FeatureId) -> Vec<String> {
        self.reading(|column| column.view == view && column.feature == feature)
    }

    fn reading(&self, reads: impl Fn(&ServiceColumn) -> bool) -> Vec<String> {
        let services = self.services.values();
        let reading = services.filter(|service| service.columns.iter().any(&reads));
        reading.map(|service| service.name.to_string()).collect()
    }

    /// The name of a service's column as answers carry it: `view:feature`.
    #[must_use]
    pub fn column_name(&self, column: ServiceColumn) -> String {
        let view = &self.views[&column.view];
        let feature: &Name = &view.features[usize::from(column.feature.0)].name;
        format!("{}:{feature}", view.name)
    }
}
