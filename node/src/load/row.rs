//! One row of a file on its way: where it stood, what it says, and what is kept if it is not taken.

use super::binding::{Binding, Place};
use crate::client::{
    cell::{BadValue, Cell},
    rows::TypedRow,
};
use arrow_array::RecordBatch;
use proto::{reason::Reason, value::Value};
use std::sync::Arc;

/// A row as it was read.
#[derive(Debug)]
pub struct SourceRow {
    /// Its place in the file, from 1 for the first row of data.
    pub number: u64,
    /// What stood in the file.
    pub raw: Raw,
    /// Its values, or why it has none.
    pub read: Result<TypedRow, RowFault>,
}

/// What stood in the file, cheap to keep until the row's fate is known.
#[derive(Debug, Clone)]
pub enum Raw {
    /// A row of a Parquet file.
    Arrow(Arc<RecordBatch>, usize),
    /// A line of a CSV file, with the names of its columns.
    Csv(Arc<[String]>, csv::StringRecord),
    /// A line of JSON.
    Json(String),
}

/// Why a row was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// The machine-readable part; what the cluster gives may be newer than this version.
    pub reason: String,
    /// The column, feature or key at fault; empty where the whole row is.
    pub field: String,
    /// What is wrong and what to change.
    pub message: String,
}

impl RowFault {
    /// A fault of one value.
    #[must_use]
    pub fn of_value(field: &str, bad: &BadValue) -> Self {
        Self::new(Reason::WrongType, field, bad.to_string())
    }

    /// A fault found on this side.
    pub fn new(reason: Reason, field: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.as_str().to_owned(),
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// Puts a value, or null, where it belongs. A join key is never null.
pub fn set(
    row: &mut TypedRow,
    binding: &Binding,
    place: Place,
    value: Value,
) -> Result<(), RowFault> {
    match (place, value) {
        (Place::Key(_), Value::Null) => {
            let name = binding.name_of(place);
            let message = "the join key is null; every row needs it";
            return Err(RowFault::new(Reason::MissingKey, name, message));
        }
        (Place::Key(index), value) => row.keys[index] = value,
        (Place::Feature(index), Value::Null) => row.cells[index] = Cell::Null,
        (Place::Feature(index), value) => row.cells[index] = Cell::Value(value),
    }
    Ok(())
}

/// A row of which nothing is known yet.
#[must_use]
pub fn empty(binding: &Binding) -> TypedRow {
    TypedRow {
        keys: vec![Value::Null; binding.keys.len()],
        cells: vec![Cell::Leave; binding.features.len()],
        event_time: None,
    }
}

/// About how many bytes a row has in a request.
#[must_use]
pub fn size_bytes(row: &TypedRow) -> usize {
    let keys: usize = row.keys.iter().map(value_bytes).sum();
    let cells = row.cells.iter().map(|cell| match cell {
        Cell::Leave | Cell::Null => 8,
        Cell::Value(value) => value_bytes(value),
    });
    keys + cells.sum::<usize>()
}

/// The fault of a row without a time where each must have one.
#[must_use]
pub fn no_event_time(binding: &Binding) -> RowFault {
    let column = &binding.event_time.column;
    RowFault::new(
        Reason::WrongType,
        column,
        "the event time is null; every row of this file needs one",
    )
}

fn value_bytes(value: &Value) -> usize {
    const FRAME: usize = 4;
    match value {
        Value::String(text) => FRAME + text.len(),
        Value::Bytes(bytes) => FRAME + bytes.len(),
        Value::List(items) => FRAME + items.iter().map(value_bytes).sum::<usize>(),
        Value::Float32Vector(items) => 4 * items.len(),
        Value::Float16Vector(items) => 2 * items.len(),
        Value::Int8Vector(items) => items.len(),
        Value::Null
        | Value::Bool(_)
        | Value::Int32(_)
        | Value::Int64(_)
        | Value::Float32(_)
        | Value::Float64(_)
        | Value::Timestamp(_) => 8,
    }
}
