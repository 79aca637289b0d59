//! Step 1 of a lookup: is the request well formed and within limits? Needs no registry.

use crate::{failure::Failure, keys};
use proto::{
    limits::{ROWS_PER_LOOKUP, TOKEN_BYTES},
    reason::Reason,
};
use std::collections::BTreeMap;
use wire::twin;

/// Where a join key was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Once, for the whole request.
    Shared,
    /// For each row.
    Rows,
}

/// The join keys of a request by name, their lengths checked.
#[derive(Debug)]
pub struct GivenKeys<'a> {
    columns: BTreeMap<&'a str, (&'a twin::KeyColumn, Source)>,
    /// Rows that were given.
    pub row_count: usize,
}

impl<'a> GivenKeys<'a> {
    /// The column of a join key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&'a twin::KeyColumn, Source)> {
        self.columns.get(name).copied()
    }

    /// The names that were given.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.columns.keys().copied()
    }
}

/// Checks a request and collects its join keys.
pub fn admit(request: &twin::LookupRequest) -> Result<GivenKeys<'_>, Failure> {
    if request.token.len() > TOKEN_BYTES {
        let message = format!("a token has at most {TOKEN_BYTES} bytes");
        return Err(Failure::of_field(Reason::TooLarge, "token", message));
    }
    if twin::OnStale::try_from(request.on_stale).is_err() {
        return Err(Failure::of_field(
            Reason::InvalidRequest,
            "on_stale",
            "on_stale is fail or serve",
        ));
    }
    let mut given = GivenKeys {
        columns: BTreeMap::new(),
        row_count: 0,
    };
    for column in &request.shared {
        let count = keys::count(column)?;
        if count != 1 {
            let message = format!(
                "shared join key {} has {count} values; give exactly one",
                column.name
            );
            return Err(Failure::of_field(
                Reason::UnequalLengths,
                format!("shared.{}", column.name),
                message,
            ));
        }
        insert(&mut given, column, Source::Shared)?;
    }
    for (place, column) in request.rows.iter().enumerate() {
        let count = keys::count(column)?;
        if place == 0 {
            given.row_count = count;
        }
        check_length(column, count, given.row_count, &request.rows[0].name)?;
        insert(&mut given, column, Source::Rows)?;
    }
    if given.row_count > ROWS_PER_LOOKUP {
        let message = format!(
            "a lookup has at most {ROWS_PER_LOOKUP} rows, and {} are given; split it",
            given.row_count
        );
        return Err(Failure::of_field(Reason::TooManyRows, "rows", message));
    }
    Ok(given)
}

fn check_length(
    column: &twin::KeyColumn,
    count: usize,
    expected: usize,
    first: &str,
) -> Result<(), Failure> {
    if count == expected {
        return Ok(());
    }
    let message = format!(
        "join key {} has {count} values and {first} has {expected}; every list of rows has the same length",
        column.name
    );
    Err(Failure::of_field(
        Reason::UnequalLengths,
        format!("rows.{}", column.name),
        message,
    ))
}

fn insert<'a>(
    given: &mut GivenKeys<'a>,
    column: &'a twin::KeyColumn,
    source: Source,
) -> Result<(), Failure> {
    if given
        .columns
        .insert(&column.name, (column, source))
        .is_none()
    {
        return Ok(());
    }
    let message = format!(
        "join key {} is given twice; name it once, in shared or in rows",
        column.name
    );
    Err(Failure::of_field(
        Reason::InvalidRequest,
        column.name.clone(),
        message,
    ))
}
