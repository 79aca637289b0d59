//! The registry's catalogue as the gateway's: laid out once per revision, for every request after.

use super::{Catalog, Entity, Feature, JoinKey, Project, ServiceColumn, View};
use crate::failure::Failure;
use proto::{
    id::{EntityId, FeatureId, ViewId},
    reason::Reason,
};
use raft::registry::{
    self,
    catalog::{CatalogProject, CatalogView},
    span::Span,
};
use std::{collections::BTreeMap, sync::Arc};

impl Catalog {
    /// Lays a revision of the registry out. Before a cluster is founded there is nothing to serve.
    pub fn of(catalog: &registry::Catalog) -> Result<Self, Failure> {
        let founding = catalog.founding().ok_or_else(|| {
            Failure::new(
                Reason::NotReady,
                "there is no cluster yet; found it with atoll init",
            )
        })?;
        let registry = catalog.registry();
        let entities: BTreeMap<EntityId, Arc<Entity>> = registry
            .entities
            .values()
            .map(|stored| (stored.id, Arc::new(entity(stored))))
            .collect();
        let views: BTreeMap<ViewId, Arc<View>> = catalog
            .views()
            .map(|stored| (stored.view.id, Arc::new(view(stored, &entities))))
            .collect();
        let regions = registry
            .regions
            .values()
            .map(|region| (region.settings.name.clone(), region.id));
        let names = registry.projects.values();
        let projects = names.map(|name| {
            Ok((
                name.clone(),
                project(&**catalog.project(name.as_str())?, &entities, &views),
            ))
        });
        Ok(Self {
            revision: catalog.revision(),
            sharding: founding.sharding,
            regions: regions.collect(),
            projects: projects.collect::<Result<_, Failure>>()?,
        })
    }
}

fn entity(stored: &registry::state::Entity) -> Entity {
    let keys = stored.keys.iter().map(|key| JoinKey {
        name: key.name.clone(),
        ty: key.ty,
    });
    Entity {
        id: stored.id,
        name: stored.name.clone(),
        keys: keys.collect(),
        shard_by: stored
            .shard_by
            .iter()
            .map(|place| usize::from(*place))
            .collect(),
        copies: stored.copies,
    }
}

fn view(stored: &CatalogView, entities: &BTreeMap<EntityId, Arc<Entity>>) -> View {
    let view = &stored.view;
    let ids = || (0..).map(FeatureId);
    let features = view
        .features
        .iter()
        .zip(ids())
        .map(|(feature, id)| Feature {
            name: feature.name.clone(),
            default: stored.default_of(id).map(|bytes| bytes.to_vec()),
            is_deprecated: feature.deprecated,
        });
    View {
        id: view.id,
        name: view.name.clone(),
        version: view.version.into(),
        entity: Arc::clone(&entities[&view.entity]),
        ttl: view.settings.ttl.span().map(Span::duration),
        floor: view.floor,
        placement: view.placement,
        schema: Arc::new(stored.newest().clone()),
        features: features.collect(),
        by_name: view
            .features
            .iter()
            .zip(ids())
            .map(|(feature, id)| (feature.name.clone(), id))
            .collect(),
    }
}

fn project(
    stored: &CatalogProject,
    entities: &BTreeMap<EntityId, Arc<Entity>>,
    views: &BTreeMap<ViewId, Arc<View>>,
) -> Project {
    let by_version = |versions: &BTreeMap<u16, ViewId>| {
        versions.values().map(|id| Arc::clone(&views[id])).collect()
    };
    let columns = |service: &registry::catalog::CatalogService| {
        let columns = service.columns.iter().map(|column| ServiceColumn {
            view: Arc::clone(&views[&column.source.view]),
            feature: column.source.feature,
            label: Arc::clone(&column.name),
        });
        columns.collect()
    };
    Project {
        id: stored.id,
        name: stored.name.clone(),
        quota: stored.quota,
        entities: stored
            .entities
            .iter()
            .map(|(name, id)| (name.clone(), Arc::clone(&entities[id])))
            .collect(),
        views: stored
            .views
            .iter()
            .map(|(name, versions)| (name.clone(), by_version(versions)))
            .collect(),
        services: stored
            .services
            .iter()
            .map(|(name, service)| (name.clone(), columns(service)))
            .collect(),
    }
}
