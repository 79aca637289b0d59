//! Typed rows of one view, and the columns in which a request carries them.

use super::{
    cell::Cell,
    column::ColumnBuilder,
    definition::{Feature, JoinKey},
    key_column::KeyColumnBuilder,
};
use proto::value::{Value, WrongType};
use wire::v1;

/// A row's values, in the types of its view.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedRow {
    /// Its join keys, in the entity's order.
    pub keys: Vec<Value>,
    /// Its features, in the order of the features it is written with.
    pub cells: Vec<Cell>,
    /// Microseconds since 1970; `None` where the row does not say.
    pub event_time: Option<i64>,
}

/// Rows as a request carries them. Where some row has no event time, none is sent, and the gateway
/// gives all of them the time at which it takes the request.
pub fn view_rows(
    view: &str,
    keys: &[JoinKey],
    features: &[Feature],
    rows: &[TypedRow],
) -> Result<v1::ViewRows, WrongType> {
    let mut key_columns: Vec<KeyColumnBuilder> = keys
        .iter()
        .map(|key| KeyColumnBuilder::new(&key.name, key.ty))
        .collect();
    let mut columns: Vec<ColumnBuilder> = features
        .iter()
        .map(|feature| ColumnBuilder::new(&feature.name, feature.ty))
        .collect();
    for row in rows {
        for (column, key) in key_columns.iter_mut().zip(&row.keys) {
            column.push(key)?;
        }
        for (column, cell) in columns.iter_mut().zip(&row.cells) {
            column.push(cell)?;
        }
    }
    let spoken_of = columns.into_iter().filter(|column| !column.is_left());
    let event_times: Option<Vec<i64>> = rows.iter().map(|row| row.event_time).collect();
    Ok(v1::ViewRows {
        view: view.to_owned(),
        keys: key_columns
            .into_iter()
            .map(KeyColumnBuilder::finish)
            .collect(),
        features: spoken_of.map(ColumnBuilder::finish).collect(),
        event_times_us: event_times.unwrap_or_default(),
    })
}
