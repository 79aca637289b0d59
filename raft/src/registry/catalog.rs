//! The registry as gateways and nodes read it: one revision, unchanging, looked up by name or id.
//!
//! A new revision's catalogue takes over what did not change from the one before.

use super::{
    quota::Quota,
    region::Founding,
    state::{Entity, Feature, Registry, Service, ServiceColumn, View, feature_id},
};
use bytes::Bytes;
use proto::{
    id::{EntityId, FeatureId, ProjectId, RegionId, Revision, SchemaVersion, ServiceId, ViewId},
    name::Name,
    reason::{Reason, Refusal},
    schema::{RowSchema, Schemas},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One revision of the registry, ready to be read.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    registry: Registry,
    projects: BTreeMap<Name, Arc<CatalogProject>>,
    views: BTreeMap<ViewId, Arc<CatalogView>>,
}

/// One project's names.
#[derive(Debug)]
pub struct CatalogProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
    /// What it may ask for in a second.
    pub quota: Quota,
    /// Entities by name.
    pub entities: BTreeMap<Name, EntityId>,
    /// Views by name, then version.
    pub views: BTreeMap<Name, BTreeMap<u16, ViewId>>,
    /// Services by name.
    pub services: BTreeMap<Name, Arc<CatalogService>>,
}

/// One version of a view with everything a lookup or write needs of it.
#[derive(Debug)]
pub struct CatalogView {
    /// As it is stored.
    pub view: Arc<View>,
    /// What its rows describe.
    pub entity: Arc<Entity>,
    /// The regions that hold it.
    pub holders: BTreeSet<RegionId>,
    /// The schemas of all versions; version 1 at place 0.
    schemas: Vec<RowSchema>,
    /// Each feature's default as stored bytes of its present type.
    defaults: Vec<Option<Bytes>>,
    features: BTreeMap<Name, FeatureId>,
}

/// One service with its columns' names.
#[derive(Debug)]
pub struct CatalogService {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: Name,
    /// The columns of its answer, in order.
    pub columns: Vec<CatalogColumn>,
}

/// One column of a service.
#[derive(Debug, Clone)]
pub struct CatalogColumn {
    /// Where it is read.
    pub source: ServiceColumn,
    /// Its name in answers: `view:feature`.
    pub name: Arc<str>,
}

impl Catalog {
    /// The catalogue of a registry, sharing with the one before what did not change.
    #[must_use]
    pub fn of(registry: &Registry, before: &Self) -> Self {
        let views = registry.views.iter().map(|(id, view)| {
            let holders = registry.holders(view.placement);
            let present = before.views.get(id);
            let same = present.filter(|old| Arc::ptr_eq(&old.view, view) && old.holders == holders);
            (
                *id,
                same.cloned()
                    .unwrap_or_else(|| Arc::new(catalog_view(registry, view, holders))),
            )
        });
        let views = views.collect();
        let projects = registry
            .projects
            .iter()
            .map(|(id, name)| (name.clone(), Arc::new(catalog_project(registry, *id, name))));
        Self {
            projects: projects.collect(),
            views,
            registry: registry.clone(),
        }
    }

    /// The revision that this is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.registry.revision
    }

    /// The registry itself, for what is not on a request's path.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What was fixed when the cluster was founded.
    #[must_use]
    pub fn founding(&self) -> Option<&Founding> {
        self.registry.founding.as_deref()
    }

    /// All projects.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<CatalogProject>> {
        self.projects.values()
    }

    /// The project of a name.
    pub fn project(&self, name: &str) -> Result<&Arc<CatalogProject>, Refusal> {
        self.projects.get(name).ok_or_else(|| {
            let message = format!(
                "there is no project {name:?} at revision {}",
                self.revision()
            );
            Refusal::of_field(Reason::UnknownProject, "project", message)
        })
    }

    /// A view version by id.
    #[must_use]
    pub fn view(&self, id: ViewId) -> Option<&Arc<CatalogView>> {
        self.views.get(&id)
    }

    /// A view of a project by name, at a version or the newest.
    pub fn view_named(
        &self,
        project: &CatalogProject,
        name: &str,
        version: Option<u16>,
    ) -> Result<&Arc<CatalogView>, Refusal> {
        let versions = project.views.get(name);
        let id = versions.and_then(|versions| match version {
            Some(version) => versions.get(&version),
            None => versions.last_key_value().map(|(_, id)| id),
        });
        id.map(|id| &self.views[id]).ok_or_else(|| {
            let label =
                version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
            let message = format!("project {} has no view {label:?}", project.name);
            Refusal::of_field(Reason::UnknownView, "view", message)
        })
    }

    /// Whether a view existed and was removed: what still comes in for it is dropped, where an id
    /// that was never given has to be waited for.
    #[must_use]
    pub fn was_removed(&self, id: ViewId) -> bool {
        id < self.registry.next.view && id.0 > 0 && !self.views.contains_key(&id)
    }

    /// All view versions.
    pub fn views(&self) -> impl Iterator<Item = &Arc<CatalogView>> {
        self.views.values()
    }
}

impl Schemas for Catalog {
    fn schema(&self, view: ViewId, version: SchemaVersion) -> Option<&RowSchema> {
        self.views.get(&view)?.schema(version)
    }
}

impl CatalogProject {
    /// The service of a name.
    pub fn service(&self, name: &str) -> Result<&Arc<CatalogService>, Refusal> {
        self.services.get(name).ok_or_else(|| {
            let message = format!("project {} has no service {name:?}", self.name);
            Refusal::of_field(Reason::UnknownService, "service", message)
        })
    }
}

impl CatalogView {
    /// The schema that rows of a version were written under.
    #[must_use]
    pub fn schema(&self, version: SchemaVersion) -> Option<&RowSchema> {
        self.schemas.get(usize::from(version.0).checked_sub(1)?)
    }

    /// The newest schema.
    #[must_use]
    pub fn newest(&self) -> &RowSchema {
        self.schemas
            .last()
            .expect("a view is made with its first schema")
    }

    /// The feature of a name.
    pub fn feature(&self, name: &str) -> Result<(FeatureId, &Feature), Refusal> {
        let found = self
            .features
            .get(name)
            .map(|id| (*id, &self.view.features[usize::from(id.0)]));
        found.ok_or_else(|| {
            let message = format!("view {} has no feature {name:?}", self.view.label());
            Refusal::of_field(Reason::UnknownFeature, "feature", message)
        })
    }

    /// What is served where a feature is not found, as stored bytes of its newest type.
    #[must_use]
    pub fn default_of(&self, feature: FeatureId) -> Option<&Bytes> {
        self.defaults.get(usize::from(feature.0))?.as_ref()
    }
}

fn catalog_view(registry: &Registry, view: &Arc<View>, holders: BTreeSet<RegionId>) -> CatalogView {
    let default = |feature: &Feature| {
        let value = feature.default.as_ref()?.value(feature.ty()).ok()?;
        value.encode(feature.ty()).ok().map(Bytes::from)
    };
    let names = view.features.iter().enumerate();
    CatalogView {
        entity: registry.entities[&view.entity].clone(),
        holders,
        schemas: view.row_schemas().collect(),
        defaults: view.features.iter().map(default).collect(),
        features: names
            .map(|(place, feature)| (feature.name.clone(), feature_id(place)))
            .collect(),
        view: view.clone(),
    }
}

fn catalog_project(registry: &Registry, id: ProjectId, name: &Name) -> CatalogProject {
    let mut project = CatalogProject {
        id,
        name: name.clone(),
        quota: registry.quota(id),
        entities: BTreeMap::new(),
        views: BTreeMap::new(),
        services: BTreeMap::new(),
    };
    for entity in registry
        .entities
        .values()
        .filter(|entity| entity.project == id)
    {
        project.entities.insert(entity.name.clone(), entity.id);
    }
    for view in registry.views.values().filter(|view| view.project == id) {
        project
            .views
            .entry(view.name.clone())
            .or_default()
            .insert(view.version, view.id);
    }
    for service in registry
        .services
        .values()
        .filter(|service| service.project == id)
    {
        project.services.insert(
            service.name.clone(),
            Arc::new(catalog_service(registry, service)),
        );
    }
    project
}

fn catalog_service(registry: &Registry, service: &Service) -> CatalogService {
    let columns = service.columns.iter().map(|source| CatalogColumn {
        source: *source,
        name: registry.column_name(*source).into(),
    });
    CatalogService {
        id: service.id,
        name: service.name.clone(),
        columns: columns.collect(),
    }
}
