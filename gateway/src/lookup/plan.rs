//! Step 2 of a lookup: which rows to read in which shard. Pure.
//!
//! A view's join keys are taken by name from the shared keys and the rows together. Where all of
//! them are shared, the entity is read once for the whole request.

use super::{
    admit::{GivenKeys, Source},
    fetch::{GroupRead, KeyBatch},
    select::{EntityGroup, Selection},
};
use crate::{
    catalog::Entity,
    failure::Failure,
    keys::{self, KeyValues, Locator},
};
use proto::{
    id::ShardId,
    key::Key,
    limits::{MESSAGE_BYTES, VALUES_PER_LOOKUP},
    reason::Reason,
    shard::Sharding,
};
use std::{collections::BTreeMap, sync::Arc};

/// What to read, and how it fills the answer.
#[derive(Debug)]
pub struct Plan {
    /// The shards touched, in the order in which keys first fall into them.
    pub shards: Vec<ShardId>,
    /// What to read, by entity group of the selection.
    pub groups: Vec<GroupRead>,
    /// For each entity group, whether it is read once for all rows.
    pub is_shared: Vec<bool>,
    /// Rows of the answer.
    pub row_count: usize,
}

/// Plans the reads of `selection` for the keys that were given.
pub fn plan(
    selection: &Selection,
    given: &GivenKeys<'_>,
    sharding: &Sharding,
) -> Result<Plan, Failure> {
    let values = selection.columns.len() * given.row_count;
    if values > VALUES_PER_LOOKUP {
        let message = format!(
            "a lookup has at most {VALUES_PER_LOOKUP} values, and {} features × {} rows are {values}; split it",
            selection.columns.len(),
            given.row_count
        );
        return Err(Failure::of_field(Reason::TooManyRows, "rows", message));
    }
    let mut shards = Shards::default();
    let mut groups = Vec::with_capacity(selection.groups.len());
    let mut answer_bytes = 0;
    let mut is_shared = Vec::with_capacity(selection.groups.len());
    for group in &selection.groups {
        let keys = EntityKeys::find(&group.entity, given)?;
        let rows = if keys.is_shared { 1 } else { given.row_count };
        is_shared.push(keys.is_shared);
        let row_bytes = group
            .views
            .iter()
            .map(|view| selection.views[*view].layout.row_bytes());
        answer_bytes += rows * row_bytes.sum::<usize>();
        if answer_bytes > MESSAGE_BYTES {
            return Err(too_large());
        }
        let locator = Locator {
            project: selection.project,
            entity: &group.entity,
            sharding,
        };
        let mut read = group_read(selection, group, rows);
        for row in 0..rows {
            let (key, shard) = locator.locate(|part, key| keys.push(part, row, key))?;
            read.hashes
                .push(key.hash(selection.project, group.entity.id));
            read.keys.push(&key);
            read.places.push(shards.place(shard));
        }
        groups.push(read);
    }
    Ok(Plan {
        shards: shards.touched,
        groups,
        is_shared,
        row_count: given.row_count,
    })
}

/// The answer would be larger than a message: said before its rows are read where that is certain.
pub(super) fn too_large() -> Failure {
    let message = format!(
        "the answer has more than the {MESSAGE_BYTES} bytes of a message; ask for fewer rows or features"
    );
    Failure::new(Reason::TooLarge, message)
}

/// An entity's join keys as the request gives them, in the entity's order.
struct EntityKeys<'a> {
    parts: Vec<(KeyValues<'a>, Source)>,
    is_shared: bool,
}

impl<'a> EntityKeys<'a> {
    fn find(entity: &Entity, given: &GivenKeys<'a>) -> Result<Self, Failure> {
        let mut parts = Vec::with_capacity(entity.keys.len());
        for join_key in &entity.keys {
            let Some((column, source)) = given.get(join_key.name.as_str()) else {
                return Err(missing(entity, join_key.name.as_str(), given));
            };
            parts.push((keys::values(column, join_key.ty)?, source));
        }
        let is_shared = parts.iter().all(|(_, source)| *source == Source::Shared);
        Ok(Self { parts, is_shared })
    }

    fn push(&self, part: usize, row: usize, key: &mut Key) -> Result<(), Failure> {
        let (values, source) = &self.parts[part];
        let row = match source {
            Source::Shared => 0,
            Source::Rows => row,
        };
        values.push(row, key).map_err(|mut refusal| {
            if *source == Source::Rows {
                refusal.message = format!("row {row}: {}", refusal.message);
            }
            refusal.into()
        })
    }
}

fn missing(entity: &Entity, name: &str, given: &GivenKeys<'_>) -> Failure {
    let names: Vec<&str> = given.names().collect();
    let given = if names.is_empty() {
        "none is given".to_owned()
    } else {
        format!("given are {}", names.join(", "))
    };
    let message = format!(
        "entity {} needs the join key {name} in shared or rows; {given}",
        entity.name
    );
    Failure::of_field(Reason::MissingKey, name, message)
}

fn group_read(selection: &Selection, group: &EntityGroup, rows: usize) -> GroupRead {
    let layout = |view: &usize| Arc::clone(&selection.views[*view].layout);
    GroupRead {
        entity: group.entity.id,
        keys: KeyBatch::default(),
        hashes: Vec::with_capacity(rows),
        places: Vec::with_capacity(rows),
        views: group.views.iter().map(layout).collect(),
    }
}

/// The shards touched so far.
#[derive(Default)]
struct Shards {
    touched: Vec<ShardId>,
    places: BTreeMap<ShardId, u16>,
}

impl Shards {
    fn place(&mut self, shard: ShardId) -> u16 {
        *self.places.entry(shard).or_insert_with(|| {
            self.touched.push(shard);
            u16::try_from(self.touched.len() - 1).expect("shards are counted in 16 bits")
        })
    }
}
