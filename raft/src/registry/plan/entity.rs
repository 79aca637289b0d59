//! Entities: their keys are fixed for ever, because they choose where rows live.

use super::super::{
    definition::{DefinitionFile, EntityDefinition},
    state::{Entity, JoinKey},
};
use super::{
    Action,
    draft::{Draft, Told, told_first},
};
use proto::{
    id::{EntityId, ProjectId},
    name::Name,
    reason::Reason,
};
use std::sync::Arc;

impl Draft {
    pub(super) fn entities(&mut self, file: &DefinitionFile) {
        let project = self.project(&file.project);
        for definition in &file.entities {
            let object = format!("entity {}", definition.name);
            if !self.name(project, &object) {
                continue;
            }
            match self
                .registry
                .entity(project, definition.name.as_str())
                .cloned()
            {
                None => self.create_entity(project, definition, object),
                Some(present) => self.compare_entity(&present, definition, &object),
            }
        }
    }

    fn create_entity(&mut self, project: ProjectId, definition: &EntityDefinition, object: String) {
        let id = self.registry.next.entity;
        self.registry.next.entity = EntityId(id.0 + 1);
        let mut entity = entity_of(id, project, definition);
        entity.about = told_first(told(definition));
        self.change(project, Action::Create, object).to = Some(in_words(&entity));
        self.registry.entities.insert(id, Arc::new(entity));
    }

    fn compare_entity(
        &mut self,
        present: &Arc<Entity>,
        definition: &EntityDefinition,
        object: &str,
    ) {
        let wanted = Entity {
            since: present.since,
            about: present.about.clone(),
            ..entity_of(present.id, present.project, definition)
        };
        if wanted != **present {
            let message = format!(
                "the keys of {object} are fixed, since they choose where its rows live: it has {}, and the file \
                 asks for {}; make an entity of another name",
                in_words(present),
                in_words(&wanted),
            );
            return self.refuse(Reason::IncompatibleChange, object, message);
        }
        let about = self.about(present.project, object, &present.about, told(definition));
        if about != present.about {
            let entity = Entity { about, ..wanted };
            self.registry.entities.insert(entity.id, Arc::new(entity));
        }
    }
}

fn told(definition: &EntityDefinition) -> Told<'_> {
    let EntityDefinition {
        owner,
        description,
        tags,
        ..
    } = definition;
    (owner, description, tags)
}

fn entity_of(id: EntityId, project: ProjectId, definition: &EntityDefinition) -> Entity {
    let keys: Vec<_> = definition
        .keys
        .iter()
        .map(|key| JoinKey {
            name: key.name.clone(),
            ty: key.ty,
        })
        .collect();
    let place = |name: &Name| {
        let place = keys
            .iter()
            .position(|key| key.name == *name)
            .expect("check found every shard_by key");
        u8::try_from(place).expect("check found at most 8 keys")
    };
    let shard_by = match &definition.shard_by {
        Some(names) => names.iter().map(place).collect(),
        None => keys.iter().map(|key| place(&key.name)).collect(),
    };
    Entity {
        id,
        project,
        name: definition.name.clone(),
        keys,
        shard_by,
        copies: definition.copies,
        about: Default::default(),
        since: Default::default(),
    }
}

fn in_words(entity: &Entity) -> String {
    let keys: Vec<_> = entity
        .keys
        .iter()
        .map(|key| format!("{} {}", key.name, key.ty.as_str()))
        .collect();
    let shard_by: Vec<_> = entity
        .shard_by
        .iter()
        .map(|place| entity.keys[usize::from(*place)].name.as_str())
        .collect();
    let copies = match entity.copies {
        proto::shard::Copies::Sharded => format!("sharded by {}", shard_by.join(", ")),
        proto::shard::Copies::EveryNode => "on every node".to_owned(),
    };
    format!("{}; {copies}", keys.join(", "))
}
