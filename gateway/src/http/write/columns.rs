//! JSON rows as the columns of a write.

use crate::{
    catalog::{Entity, View},
    failure::Failure,
    http::{
        body::Object,
        lookup::{KeyBuffer, key_value},
        scalar::value,
        text::micros,
    },
    lookup::gather::buffer::Buffer,
    nearby,
};
use proto::{
    id::FeatureId,
    name::{EVENT_TIME, Name},
    reason::{Reason, Refusal},
    value::Value,
};
use std::collections::BTreeMap;
use wire::twin;

/// The join keys of rows.
pub struct KeyRows<'a> {
    entity: &'a Entity,
    buffers: Vec<KeyBuffer>,
}

impl<'a> KeyRows<'a> {
    /// No rows yet.
    pub fn new(entity: &'a Entity) -> Self {
        Self {
            entity,
            buffers: entity.keys.iter().map(|_| KeyBuffer::default()).collect(),
        }
    }

    /// Adds the keys of a row; one that has not all of them is added as nothing, and refused.
    pub fn push(&mut self, object: &Object) -> Result<(), Refusal> {
        let values: Result<Vec<Value>, Refusal> = self
            .entity
            .keys
            .iter()
            .map(|key| {
                let name = key.name.as_str();
                let json = object.get(name).ok_or_else(|| {
                    let message = format!(
                        "the row has no {name}, which is a join key of entity {}",
                        self.entity.name
                    );
                    Refusal::of_field(Reason::MissingKey, name, message)
                })?;
                key_value(json, key.ty).map_err(|fault| {
                    let message = format!("join key {name} is {}: {fault}", key.ty.as_str());
                    Refusal::of_field(Reason::WrongType, name, message)
                })
            })
            .collect();
        match &values {
            Ok(values) => values
                .iter()
                .zip(&mut self.buffers)
                .for_each(|(value, buffer)| buffer.push(value)),
            Err(_) => {
                let keys = self.entity.keys.iter().zip(&mut self.buffers);
                keys.for_each(|(key, buffer)| buffer.push_nothing(key.ty));
            }
        }
        values.map(drop)
    }

    /// Refuses a row that names something else than keys.
    pub fn refuse_others(&self, object: &Object) -> Result<(), Refusal> {
        let names = || self.entity.keys.iter().map(|key| key.name.as_str());
        match object
            .0
            .iter()
            .find(|(name, _)| !names().any(|known| known == name))
        {
            None => Ok(()),
            Some((name, _)) => {
                let hint = nearby::hint(name, names(), "join keys of the entity");
                let message = format!(
                    "entity {} has no join key {name:?}; {hint}",
                    self.entity.name
                );
                Err(Refusal::of_field(
                    Reason::InvalidRequest,
                    name.clone(),
                    message,
                ))
            }
        }
    }

    fn is_key(&self, name: &str) -> bool {
        self.entity.keys.iter().any(|key| key.name.as_str() == name)
    }

    /// The columns.
    pub fn finish(self) -> Vec<twin::KeyColumn> {
        let keys = self.entity.keys.iter().zip(self.buffers);
        keys.map(|(key, buffer)| {
            let mut column = twin::KeyColumn {
                name: key.name.as_str().to_owned(),
                ..Default::default()
            };
            buffer.fill(&mut column);
            column
        })
        .collect()
    }
}

/// The rows of one view.
pub struct ViewColumns<'a> {
    view: &'a View,
    rows: usize,
    keys: KeyRows<'a>,
    features: BTreeMap<FeatureId, FeatureColumn>,
    times: Vec<u8>,
    now: i64,
}

struct FeatureColumn {
    buffer: Buffer,
    width: usize,
    /// As on the wire: 0 leave, 1 value, 2 null.
    cells: Vec<u8>,
}

impl<'a> ViewColumns<'a> {
    /// Columns for `rows` rows; rows without an event time get `now`.
    pub fn new(view: &'a View, rows: usize, now: i64) -> Self {
        let keys = KeyRows::new(&view.entity);
        Self {
            view,
            rows,
            keys,
            features: BTreeMap::new(),
            times: Vec::with_capacity(rows * 8),
            now,
        }
    }

    /// Adds row `row`. One at fault leaves its place in every column, and is refused.
    pub fn push(&mut self, row: usize, object: &Object) -> Result<(), Refusal> {
        let keys = self.keys.push(object);
        let time = self.event_time(object);
        self.times
            .extend(time.as_ref().copied().unwrap_or_default().to_le_bytes());
        keys?;
        time?;
        for (name, json) in &object.0 {
            if name != EVENT_TIME && !self.keys.is_key(name) {
                self.set(row, name, json)?;
            }
        }
        Ok(())
    }

    fn event_time(&self, object: &Object) -> Result<i64, Refusal> {
        match object.get(EVENT_TIME).filter(|time| !time.is_null()) {
            None => Ok(self.now),
            Some(time) => micros(time)
                .map_err(|fault| Refusal::of_field(Reason::WrongType, EVENT_TIME, fault)),
        }
    }

    fn set(&mut self, row: usize, name: &str, json: &serde_json::Value) -> Result<(), Refusal> {
        let feature = self.feature(name)?;
        let ty = self.view.type_of(feature);
        let wrong = |fault: String| {
            Refusal::of_field(
                Reason::WrongType,
                name,
                format!("feature {name} is {ty}: {fault}"),
            )
        };
        let value = value(json, ty).map_err(wrong)?;
        let rows = self.rows;
        let column = self
            .features
            .entry(feature)
            .or_insert_with(|| FeatureColumn {
                buffer: Buffer::new(ty, rows),
                width: ty.width().unwrap_or_default(),
                cells: vec![0; rows],
            });
        if matches!(value, Value::Null) {
            column.cells[row] = 2;
            return Ok(());
        }
        let bytes = value.encode(ty).map_err(|error| wrong(error.to_string()))?;
        column.buffer.set(row, column.width, &bytes);
        column.cells[row] = 1;
        Ok(())
    }

    fn feature(&self, name: &str) -> Result<FeatureId, Refusal> {
        let known = |key: &Name| key.as_str() == name;
        self.view
            .by_name
            .iter()
            .find(|(key, _)| known(key))
            .map(|(_, id)| *id)
            .ok_or_else(|| {
                let keys = self.view.entity.keys.iter().map(|key| key.name.as_str());
                let names = self
                    .view
                    .by_name
                    .keys()
                    .map(Name::as_str)
                    .chain(keys)
                    .chain([EVENT_TIME]);
                let hint = nearby::hint(name, names, "fields of a row");
                let message = format!("view {} has no feature {name:?}; {hint}", self.view.name);
                Refusal::of_field(Reason::UnknownFeature, name, message)
            })
    }

    /// The rows on their way.
    pub fn finish(self, view: String) -> Result<twin::ViewRows, Failure> {
        let mut features = Vec::with_capacity(self.features.len());
        for (id, FeatureColumn { buffer, cells, .. }) in self.features {
            let column = buffer.into_column(self.view.type_of(id))?;
            let feature = self.view.features[usize::from(id.0)]
                .name
                .as_str()
                .to_owned();
            features.push(twin::Column {
                feature,
                cells: cells.into(),
                ..column
            });
        }
        let event_times_us = if self.times.is_empty() {
            Vec::new()
        } else {
            vec![self.times.into()]
        };
        Ok(twin::ViewRows {
            view,
            keys: self.keys.finish(),
            features,
            event_times_us,
        })
    }
}
