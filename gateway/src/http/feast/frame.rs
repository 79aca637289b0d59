//! The frames of Feast's writes: columns by name, as the rows of a view.

use super::{Compat, fault::Fault, time, value};
use crate::{catalog::View, http::body::Object};
use proto::{name::Name, types::Type};
use serde_json::{Map, Value};

/// Feast's name of the event time, in frames.
const EVENT_TIME: &str = "event_timestamp";

/// Columns of one length.
pub struct Frame {
    columns: Map<String, Value>,
    rows: usize,
}

impl Frame {
    /// Takes a frame as its body has it.
    pub fn read(columns: Map<String, Value>) -> Result<Self, Fault> {
        let lengths = columns
            .values()
            .map(|column| column.as_array().map(Vec::len));
        let Some(lengths) = lengths.collect::<Option<Vec<usize>>>() else {
            return Err(Fault::caller(
                "If using all scalar values, you must pass an index",
            ));
        };
        let rows = lengths.first().copied().unwrap_or(0);
        if lengths.iter().any(|length| *length != rows) {
            return Err(Fault::caller("All arrays must be of the same length"));
        }
        Ok(Self { columns, rows })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str) -> Option<&Vec<Value>> {
        self.columns.get(name)?.as_array()
    }

    /// Whether Python's server would take it and write nothing: no feature of any row has a value.
    pub fn is_only_nulls(&self, view: &View) -> bool {
        let columns = view
            .by_name
            .keys()
            .filter_map(|name| self.column(name.as_str()));
        columns.flatten().all(Value::is_null)
    }

    /// What the view needs and the frame lacks. A partial update is Atoll's own.
    pub fn check_columns(&self, view: &View, compat: Compat) -> Result<(), Fault> {
        let has = |name: &str| self.columns.contains_key(name);
        if let Some(key) = view.entity.keys.iter().find(|key| !has(key.name.as_str())) {
            return Err(Fault::caller(format!(
                "Column {} not found in table",
                key.name
            )));
        }
        if !has(EVENT_TIME) {
            return Err(Fault::caller(format!(
                "'Field \"{EVENT_TIME}\" does not exist in schema'"
            )));
        }
        let missing: Vec<String> = view
            .by_name
            .keys()
            .map(Name::as_str)
            .filter(|name| !has(name))
            .map(|name| format!("'{name}'"))
            .collect();
        if missing.is_empty() || compat == Compat::Spec {
            return Ok(());
        }
        Err(Fault::caller(format!(
            "\"[{}] not in index\"",
            missing.join(", ")
        )))
    }

    /// The rows as Atoll's own bodies have them. Columns of nobody are left out, as Feast does.
    pub fn objects(&self, view: &View, compat: Compat) -> Result<Vec<Object>, Fault> {
        (0..self.rows)
            .map(|row| self.object(row, view, compat))
            .collect()
    }

    fn object(&self, row: usize, view: &View, compat: Compat) -> Result<Object, Fault> {
        let mut object = Object::default();
        let cell = |name: &str| self.column(name).and_then(|column| column.get(row));
        for key in &view.entity.keys {
            let given = cell(key.name.as_str()).unwrap_or(&Value::Null);
            if given.is_null() {
                let message = format!("join key {} of row {row} is null", key.name);
                return Err(Fault::caller(message));
            }
            let given = value::scalar(given, key.ty, compat).map_err(Fault::caller)?;
            object.0.push((key.name.to_string(), given));
        }
        let time = time::event_time(cell(EVENT_TIME).unwrap_or(&Value::Null));
        let time = time.map_err(Fault::caller)?;
        object
            .0
            .push((proto::name::EVENT_TIME.to_owned(), time.into()));
        for (name, feature) in &view.by_name {
            if let Some(given) = cell(name.as_str()) {
                let ty: Type = view.type_of(*feature);
                let given = value::feature(given, ty, compat).map_err(Fault::caller)?;
                object.0.push((name.to_string(), given));
            }
        }
        Ok(object)
    }
}
