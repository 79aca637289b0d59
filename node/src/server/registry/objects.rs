//! The registry's objects as they are listed and shown: their definitions, as files would give them.

use proto::{
    id::{ProjectId, Revision},
    name::Name,
};
use raft::registry::{
    Registry,
    definition::{EntityDefinition, ServiceDefinition, ViewDefinition},
    state::Since,
};
use serde::Serialize;
use serde_json::Value as Json;
use wire::v1;

/// All projects.
pub fn projects(registry: &Registry) -> Vec<v1::RegistryObject> {
    let object = |(id, name): (&ProjectId, &Name)| {
        let views = registry.views.values().filter(|view| view.project == *id);
        let since = views.clone().map(|view| view.since);
        let since = Since {
            made: since
                .clone()
                .map(|since| since.made)
                .min()
                .unwrap_or_default(),
            changed: since.map(|since| since.changed).max().unwrap_or_default(),
        };
        let definition = serde_json::json!({ "name": name });
        let summary = format!("{} view versions", views.count());
        Described {
            object: "project",
            project: name.as_str(),
            name: name.to_string(),
            since,
            read_by: Vec::new(),
        }
        .into_object(&definition, summary)
    };
    registry.projects.iter().map(object).collect()
}

/// A project's entities, views and services, older view versions first; all kinds where none is named.
pub fn objects(registry: &Registry, project: ProjectId, kind: &str) -> Vec<v1::RegistryObject> {
    let Some(file) = registry.export(project) else {
        return Vec::new();
    };
    let shown = Project {
        registry,
        id: project,
        name: &file.project,
    };
    let mut objects = Vec::new();
    if ["", "entity"].contains(&kind) {
        objects.extend(file.entities.iter().filter_map(|it| shown.entity(it)));
    }
    if ["", "view"].contains(&kind) {
        objects.extend(file.views.iter().filter_map(|it| shown.view(it)));
    }
    if ["", "service"].contains(&kind) {
        objects.extend(file.services.iter().filter_map(|it| shown.service(it)));
    }
    objects
}

struct Project<'a> {
    registry: &'a Registry,
    id: ProjectId,
    name: &'a Name,
}

impl Project<'_> {
    fn entity(&self, definition: &EntityDefinition) -> Option<v1::RegistryObject> {
        let entity = self.registry.entity(self.id, definition.name.as_str())?;
        let keys = definition.keys.iter();
        let keys: Vec<String> = keys
            .map(|key| format!("{} {}", key.name, key.ty.as_str()))
            .collect();
        let described = Described {
            object: "entity",
            project: self.name.as_str(),
            name: definition.name.to_string(),
            since: entity.since,
            read_by: Vec::new(),
        };
        let summary = with_owner(format!("keys {}", keys.join(", ")), &entity.about.owner);
        Some(described.into_object(definition, summary))
    }

    fn view(&self, definition: &ViewDefinition) -> Option<v1::RegistryObject> {
        let (name, version) = (definition.name.as_str(), definition.version);
        let view = self.registry.view(self.id, name, Some(version))?;
        let described = Described {
            object: "view",
            project: self.name.as_str(),
            name: view.label(),
            since: view.since,
            read_by: self.registry.readers(view.id),
        };
        let summary = format!("{} features of {}", view.features.len(), definition.entity);
        let summary = with_owner(summary, &view.settings.owner);
        Some(described.into_object(definition, summary))
    }

    fn service(&self, definition: &ServiceDefinition) -> Option<v1::RegistryObject> {
        let service = self.registry.service(self.id, definition.name.as_str())?;
        let described = Described {
            object: "service",
            project: self.name.as_str(),
            name: definition.name.to_string(),
            since: service.since,
            read_by: Vec::new(),
        };
        let summary = format!("{} columns", service.columns.len());
        let summary = with_owner(summary, &service.about.owner);
        let columns = self.registry.column_references(&service.columns);
        Some(v1::RegistryObject {
            columns: columns.iter().map(ToString::to_string).collect(),
            ..described.into_object(definition, summary)
        })
    }
}

fn with_owner(summary: String, owner: &str) -> String {
    if owner.is_empty() {
        summary
    } else {
        format!("{summary}; owner {owner}")
    }
}

/// All of an object but its definition.
struct Described<'a> {
    object: &'static str,
    project: &'a str,
    name: String,
    since: Since,
    read_by: Vec<String>,
}

impl Described<'_> {
    fn into_object(self, definition: &impl Serialize, summary: String) -> v1::RegistryObject {
        let Since {
            made: Revision(revision),
            changed: Revision(changed_revision),
        } = self.since;
        let definition: Json =
            serde_json::to_value(definition).expect("definitions are plain data");
        v1::RegistryObject {
            object: self.object.to_owned(),
            project: self.project.to_owned(),
            name: self.name,
            revision,
            changed_revision,
            definition: definition.to_string(),
            summary,
            read_by: self.read_by,
            columns: Vec::new(),
        }
    }
}
