//! Feast's objects as definitions, and what of them is not taken over, in words.

mod names;
mod order;
mod types;

use super::registry::{DataSource, EntitySpec, Projection, Registry, ServiceSpec, ViewSpec};
use names::Names;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use types::{feature_type, key_type, ttl, type_name};

/// Feast's entity of a view that has none.
const NO_ENTITY: &str = "__dummy";

/// A definition file, and what a person must know of it.
#[derive(Debug)]
pub struct Imported {
    /// The file.
    pub definitions: Definitions,
    /// What could not be taken over, or was renamed, a line each.
    pub notes: Vec<String>,
}

/// A definition file in the making; the registry's own rules are applied to its text.
#[derive(Debug, Serialize)]
pub struct Definitions {
    project: String,
    #[serde(serialize_with = "order::serialize")]
    entities: Vec<Value>,
    #[serde(serialize_with = "order::serialize")]
    views: Vec<Value>,
    #[serde(serialize_with = "order::serialize")]
    services: Vec<Value>,
}

impl Definitions {
    /// Whether nothing could be taken over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }
}

/// Converts the objects of Feast's project `project`.
#[must_use]
pub fn convert(registry: Registry, project: &str) -> Imported {
    let mut conversion = Conversion::default();
    let name = conversion.names.of("project", project);
    conversion.say_what_stays(&registry, project);
    let streamed = registry.stream_feature_views.into_iter();
    let streamed = streamed.filter_map(|view| view.spec).map(ViewSpec::from);
    let views = registry.feature_views.into_iter();
    let views = views.filter_map(|view| view.spec).chain(streamed);
    let entities = registry.entities.into_iter();
    let entities = entities.filter_map(|entity| entity.spec);
    let entities = entities.filter(|entity| entity.project == project);
    let known = entities.map(|entity| (entity.name.clone(), entity));
    let known: BTreeMap<String, EntitySpec> = known.collect();
    for view in views.filter(|view| view.project == project) {
        conversion.view(&view, &known);
    }
    let services = registry.feature_services.into_iter();
    let services = services.filter_map(|service| service.spec);
    for service in services.filter(|service| service.project == project) {
        conversion.service(&service);
    }
    Imported {
        definitions: Definitions {
            project: name,
            entities: conversion
                .entities
                .into_values()
                .map(|entity| entity.definition)
                .collect(),
            views: conversion.views.into_values().collect(),
            services: conversion.services.into_values().collect(),
        },
        notes: conversion.names.notes,
    }
}

#[derive(Default)]
struct Conversion {
    names: Names,
    entities: BTreeMap<String, Taken>,
    views: BTreeMap<String, Value>,
    services: BTreeMap<String, Value>,
    /// The features of each of Feast's views that were taken over.
    taken: BTreeMap<String, BTreeSet<String>>,
}

/// An entity of the file.
struct Taken {
    /// Feast's entities that it stands for, in their order.
    entities: Vec<String>,
    /// Their join keys with their types.
    keys: Keys,
    definition: Value,
}

type Keys = Vec<(String, &'static str)>;

impl Conversion {
    fn say_what_stays(&mut self, registry: &Registry, project: &str) {
        let views = registry.on_demand_feature_views.iter();
        let views = views.filter_map(|view| view.spec.as_ref());
        for view in views.filter(|view| view.project == project) {
            self.names.note(format!(
                "on-demand feature view {:?} is not taken over: transformations stay with the callers",
                view.name
            ));
        }
        let labels = registry.label_views.iter();
        let labels = labels.filter_map(|view| view.spec.as_ref());
        for view in labels.filter(|view| view.project == project) {
            self.names.note(format!(
                "label view {:?} is not taken over: what people say of the past is for training, not for lookups",
                view.name
            ));
        }
    }

    fn view(&mut self, view: &ViewSpec, known: &BTreeMap<String, EntitySpec>) {
        let what = format!("feature view {:?}", view.name);
        let Some(keys) = self.keys(&what, view, known) else {
            return;
        };
        let (features, taken) = self.features(&what, view);
        if features.is_empty() {
            self.names.note(format!(
                "{what} is not taken over: no feature of it could be"
            ));
            return;
        }
        let entity = self.entity(view, known, keys);
        let name = self.names.of("feature view", &view.name);
        self.check_source(&what, view, &name);
        let mut definition = Map::new();
        definition.insert("name".into(), name.clone().into());
        definition.insert("entity".into(), entity.into());
        if let Some(ttl) = ttl(view.ttl.as_ref()) {
            definition.insert("ttl".into(), ttl.into());
        }
        describe(&mut definition, &view.owner, &view.description, &view.tags);
        definition.insert("features".into(), features.into());
        self.taken.insert(view.name.clone(), taken);
        if self.views.insert(name.clone(), definition.into()).is_some() {
            self.names.note(format!(
                "two feature views are named {name:?} here; the last one stands in the file"
            ));
        }
    }

    /// The features that have a type here, and Feast's names of them.
    fn features(&mut self, what: &str, view: &ViewSpec) -> (Vec<Value>, BTreeSet<String>) {
        let (mut features, mut taken) = (Vec::new(), BTreeSet::new());
        for field in &view.features {
            let Some(ty) = feature_type(field) else {
                self.names.note(format!(
                    "{what}: feature {:?} is not taken over: its type, {}, does not exist here",
                    field.name,
                    type_name(field.value_type)
                ));
                continue;
            };
            taken.insert(field.name.clone());
            let mut feature = Map::new();
            feature.insert("name".into(), self.names.of("feature", &field.name).into());
            feature.insert("type".into(), ty.into());
            put_text(&mut feature, "description", &field.description);
            features.push(feature.into());
        }
        (features, taken)
    }

    /// A push source's name is the view's here.
    fn check_source(&mut self, what: &str, view: &ViewSpec, own: &str) {
        if let Some(DataSource { name }) = &view.stream_source
            && !name.is_empty()
            && name != own
        {
            self.names.note(format!(
                "{what}: its push source {name:?} has the view's name here: push to {own:?}"
            ));
        }
    }

    /// The join keys of a view with their types, in the order of its entities.
    fn keys(
        &mut self,
        what: &str,
        view: &ViewSpec,
        known: &BTreeMap<String, EntitySpec>,
    ) -> Option<Keys> {
        let mut keys = Keys::new();
        let entities = view.entities.iter().filter(|name| *name != NO_ENTITY);
        for entity in entities.filter_map(|name| known.get(name)) {
            let mut columns = view.entity_columns.iter();
            let column = columns.find(|column| column.name == entity.join_key);
            let number = column.map_or(entity.value_type, |column| column.value_type);
            let Some(ty) = key_type(number) else {
                self.names.note(format!(
                    "{what} is not taken over: its join key {:?} is of type {}, which no key has here",
                    entity.join_key,
                    type_name(number)
                ));
                return None;
            };
            keys.push((entity.join_key.clone(), ty));
        }
        if keys.is_empty() {
            self.names.note(format!(
                "{what} is not taken over: it has no entity, and a row here needs a key"
            ));
            return None;
        }
        Some(keys)
    }

    /// The entity of a view. Feast joins several; here they are one with several keys.
    fn entity(
        &mut self,
        view: &ViewSpec,
        known: &BTreeMap<String, EntitySpec>,
        keys: Keys,
    ) -> String {
        let name = self.names.of("entity", &view.entities.join("_"));
        let is_it = |taken: &Taken| taken.entities == view.entities && taken.keys == keys;
        if let Some(known) = self.entities.iter().find(|(_, taken)| is_it(taken)) {
            return known.0.clone();
        }
        let name = self.free_name(view, name);
        let mut named = Vec::new();
        for (key, ty) in &keys {
            named.push(json!({ "name": self.names.of("join key", key), "type": ty }));
        }
        let mut definition = Map::new();
        definition.insert("name".into(), name.clone().into());
        definition.insert("keys".into(), named.into());
        match view.entities.as_slice() {
            [entity] => {
                if let Some(entity) = known.get(entity) {
                    let (owner, about) = (&entity.owner, &entity.description);
                    describe(&mut definition, owner, about, &entity.tags);
                }
            }
            several => self.names.note(format!(
                "entities {} of feature view {:?} are one entity {name:?} with several keys here",
                several.join(" and "),
                view.name
            )),
        }
        let taken = Taken {
            entities: view.entities.clone(),
            keys,
            definition: definition.into(),
        };
        self.entities.insert(name.clone(), taken);
        name
    }

    /// The name, or where another entity has it already, one like it.
    fn free_name(&mut self, view: &ViewSpec, name: String) -> String {
        if !self.entities.contains_key(&name) {
            return name;
        }
        let numbered = |number: u32| format!("{name}_{number}");
        let free = (2..).map(numbered);
        let mut free = free.filter(|name| !self.entities.contains_key(name));
        let free = free.next().expect("there are more numbers than entities");
        self.names.note(format!(
            "the entity of feature view {:?} is named {free:?} here: {name:?} has other keys or types",
            view.name
        ));
        free
    }

    fn service(&mut self, service: &ServiceSpec) {
        let what = format!("feature service {:?}", service.name);
        let mut references = Vec::new();
        for part in &service.features {
            references.extend(self.references(&what, part));
        }
        if references.is_empty() {
            self.names.note(format!(
                "{what} is not taken over: nothing that it reads could be"
            ));
            return;
        }
        let name = self.names.of("feature service", &service.name);
        let mut definition = Map::new();
        definition.insert("name".into(), name.clone().into());
        let (owner, about) = (&service.owner, &service.description);
        describe(&mut definition, owner, about, &service.tags);
        definition.insert("features".into(), references.into());
        self.services.insert(name, definition.into());
    }

    fn references(&mut self, what: &str, part: &Projection) -> Vec<String> {
        let Some(taken) = self.taken.get(&part.view).cloned() else {
            self.names.note(format!(
                "{what}: {:?} is left out, it was not taken over",
                part.view
            ));
            return Vec::new();
        };
        let is_renamed = !part.alias.is_empty() && part.alias != part.view;
        if is_renamed || !part.join_key_map.is_empty() {
            self.names.note(format!(
                "{what}: {:?} is read under its own name and keys; an alias or a join key map is not kept",
                part.view
            ));
        }
        let mut references = Vec::new();
        for field in &part.features {
            if taken.contains(&field.name) {
                let view = self.names.of("feature view", &part.view);
                let feature = self.names.of("feature", &field.name);
                references.push(format!("{view}:{feature}"));
            } else {
                self.names.note(format!(
                    "{what}: {:?} of {:?} is left out, it was not taken over",
                    field.name, part.view
                ));
            }
        }
        references
    }
}

fn put_text(definition: &mut Map<String, Value>, field: &str, text: &str) {
    if !text.is_empty() {
        definition.insert(field.to_owned(), text.into());
    }
}

fn describe(
    definition: &mut Map<String, Value>,
    owner: &str,
    description: &str,
    tags: &BTreeMap<String, String>,
) {
    put_text(definition, "owner", owner);
    put_text(definition, "description", description);
    let tag = |(tag, value): (&String, &String)| match value.as_str() {
        "" => tag.clone(),
        value => format!("{tag}={value}"),
    };
    let tags: Vec<String> = tags.iter().map(tag).collect();
    if !tags.is_empty() {
        definition.insert("tags".into(), tags.into());
    }
}

#[cfg(test)]
mod tests;
