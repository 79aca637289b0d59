//! What a row says of one feature, before it becomes a place in a column.

use proto::value::Value;

/// One feature in a row that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// The row does not speak of it: it keeps its value.
    Leave,
    /// A written null.
    Null,
    /// A value.
    Value(Value),
}

/// A value that cannot be taken, said to a person: what it is and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(pub String);

impl BadValue {
    /// With `given` shortened, so that a message stays a line.
    #[must_use]
    pub fn new(given: &str, wanted: impl std::fmt::Display) -> Self {
        const SHOWN: usize = 60;
        let cut = given.floor_char_boundary(SHOWN);
        let more = if cut < given.len() { "…" } else { "" };
        Self(format!("{:?}{more} {wanted}", &given[..cut]))
    }
}
