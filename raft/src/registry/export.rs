//! The registry as definition files: what `export` prints and a rollback plans with.
//!
//! Settings that stand at their defaults are left out, so a file reads as a person would write it;
//! applied with prune it leads back to the same state.

use super::{
    definition::{
        DefinitionFile, EntityDefinition, FeatureDefinition, KeyDefinition, Regions,
        ServiceDefinition, ViewDefinition,
    },
    span::Horizon,
    state::{About, EVERYWHERE, Entity, Feature, Registry, Service, View, ViewSettings},
};
use proto::{
    id::{ProjectId, Revision},
    name::Name,
    schema::Combine,
};

impl Registry {
    /// The definitions of one project, objects in the order of their ids.
    #[must_use]
    pub fn export(&self, project: ProjectId) -> Option<DefinitionFile> {
        let name = self.projects.get(&project)?.clone();
        let entities = self
            .entities
            .values()
            .filter(|entity| entity.project == project);
        let views = self.views.values().filter(|view| view.project == project);
        let services = self
            .services
            .values()
            .filter(|service| service.project == project);
        Some(DefinitionFile {
            project: name,
            entities: entities.map(|entity| entity_definition(entity)).collect(),
            views: views.map(|view| self.view_definition(view)).collect(),
            services: services
                .map(|service| self.service_definition(service))
                .collect(),
        })
    }

    /// The projects that changed since a revision, as they were then; none if that is not kept.
    /// Services come with the columns that they had.
    #[must_use]
    pub(super) fn export_at(&self, revision: Revision) -> Option<Vec<DefinitionFile>> {
        let past = self.at(revision)?;
        let mut files = Vec::new();
        for project in past.differing_projects(self) {
            let mut file = past.export(project)?;
            for service in &mut file.services {
                let stored = past.service(project, service.name.as_str())?;
                service.columns = Some(past.column_references(&stored.columns));
            }
            files.push(file);
        }
        Some(files)
    }

    fn view_definition(&self, view: &View) -> ViewDefinition {
        let new = ViewSettings::default();
        let now = &view.settings;
        ViewDefinition {
            name: view.name.clone(),
            version: view.version,
            entity: self.entities[&view.entity].name.clone(),
            ttl: unless_default(&now.ttl, &new.ttl),
            purge_after: unless_default(&now.purge_after, &new.purge_after),
            order_by: unless_default(&view.order_by, &Default::default()),
            max_late: unless_default(&view.max_late, &Horizon::Unlimited),
            regions: (view.placement != EVERYWHERE).then(|| self.regions_of(view)),
            elsewhere: unless_default(&now.elsewhere, &new.elsewhere),
            owner: unless_default(&now.owner, &new.owner),
            description: unless_default(&now.description, &new.description),
            tags: unless_default(&now.tags, &new.tags),
            freshness: unless_default(&now.freshness, &new.freshness),
            features: view.features.iter().map(feature_definition).collect(),
        }
    }

    fn service_definition(&self, service: &Service) -> ServiceDefinition {
        let (owner, description, tags) = about_definition(&service.about);
        ServiceDefinition {
            name: service.name.clone(),
            features: service.references.clone(),
            columns: (!self.reads_as_written(service))
                .then(|| self.column_references(&service.columns)),
            owner,
            description,
            tags,
        }
    }

    fn regions_of(&self, view: &View) -> Regions {
        let set = &self.placements[&view.placement];
        let names: Vec<Name> = set
            .iter()
            .map(|id| self.regions[id].settings.name.clone())
            .collect();
        Regions::Only(names)
    }
}

fn unless_default<T: PartialEq + Clone>(present: &T, default: &T) -> Option<T> {
    (present != default).then(|| present.clone())
}

fn about_definition(about: &About) -> (Option<String>, Option<String>, Option<Vec<String>>) {
    (
        unless_default(&about.owner, &String::new()),
        unless_default(&about.description, &String::new()),
        unless_default(&about.tags, &Vec::new()),
    )
}

fn entity_definition(entity: &Entity) -> EntityDefinition {
    let in_order = entity
        .shard_by
        .iter()
        .map(|place| usize::from(*place))
        .eq(0..entity.keys.len());
    let (owner, description, tags) = about_definition(&entity.about);
    let key_name = |place: &u8| entity.keys[usize::from(*place)].name.clone();
    EntityDefinition {
        name: entity.name.clone(),
        keys: entity
            .keys
            .iter()
            .map(|key| KeyDefinition {
                name: key.name.clone(),
                ty: key.ty,
            })
            .collect(),
        shard_by: (!in_order).then(|| entity.shard_by.iter().map(key_name).collect()),
        copies: entity.copies,
        owner,
        description,
        tags,
    }
}

fn feature_definition(feature: &Feature) -> FeatureDefinition {
    FeatureDefinition {
        name: feature.name.clone(),
        ty: feature.ty(),
        default: feature.default.clone(),
        combine: unless_default(&feature.combine, &Combine::Latest),
        deprecated: feature.deprecated.then_some(true),
        description: unless_default(&feature.description, &String::new()),
    }
}
