//! Step 2 of a write: columns become typed rows with their shards; single rows at fault are set
//! aside with the reason. Pure.

use super::{
    column::{self, FeatureValues},
    writer::{Change, WriteRow},
};
use crate::{
    catalog::{Catalog, Project, View},
    failure::Failure,
    keys::{self, KeyValues, Locator},
    nearby,
};
use proto::{
    id::{PlacementId, ShardId},
    limits::ROW_BYTES,
    reason::{Reason, Refusal},
    request::Rejection,
    row::Content,
    schema::RowSchema,
    time::EventTime,
};
use std::collections::BTreeSet;
use wire::{codec::joined, twin};

/// A row and where it goes.
#[derive(Debug)]
pub struct PlacedRow {
    /// The shard.
    pub shard: ShardId,
    /// The regions that hold it.
    pub placement: PlacementId,
    /// About how many bytes of an entry it takes.
    pub entry_bytes: usize,
    /// The row.
    pub row: WriteRow,
}

/// Rows of a request: those that go on, and those that were set aside.
#[derive(Debug, Default)]
pub struct ReadRows {
    /// In the request's order.
    pub placed: Vec<PlacedRow>,
    /// Set aside.
    pub rejected: Vec<Rejection>,
    /// Rows that were set aside before their columns were looked at.
    skipped: BTreeSet<(u32, u32)>,
}

impl ReadRows {
    /// Begins with rows that the edge set aside, since it could not read them.
    #[must_use]
    pub fn without(rejected: Vec<Rejection>) -> Self {
        let skipped = rejected
            .iter()
            .map(|rejection| (rejection.write, rejection.row))
            .collect();
        Self {
            placed: Vec::new(),
            rejected,
            skipped,
        }
    }
}

/// Reads rows for one request.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The registry.
    pub catalog: &'a Catalog,
    /// The project.
    pub project: &'a Project,
    /// The event time of rows that name none.
    pub now: EventTime,
}

/// What the rows of one view do.
enum Changes {
    /// Set features.
    Set(Vec<FeatureValues>),
    /// Delete.
    Delete,
}

/// The event times of one view's rows.
enum Times {
    One(EventTime),
    Each(bytes::Bytes),
}

impl Reader<'_> {
    /// Reads the rows that set features of one view; `write` is its place in the request.
    pub fn read_writes(
        &self,
        write: u32,
        rows: &twin::ViewRows,
        out: &mut ReadRows,
    ) -> Result<(), Failure> {
        let view = self.project.view(&rows.view)?;
        let count = row_count(&rows.keys)?;
        let columns = rows
            .features
            .iter()
            .map(|column| column::read(column, view, count));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        check_named_once(&columns, view)?;
        let times = self.times(&joined(&rows.event_times_us), count)?;
        self.read(write, view, &rows.keys, &times, &Changes::Set(columns), out)
    }

    /// Reads the rows that delete in one view.
    pub fn read_deletes(
        &self,
        write: u32,
        view: &View,
        keys: &[twin::KeyColumn],
        event_time_us: Option<i64>,
        out: &mut ReadRows,
    ) -> Result<(), Failure> {
        let time = match event_time_us {
            None => self.now,
            Some(micros) => event_time(micros)?,
        };
        self.read(write, view, keys, &Times::One(time), &Changes::Delete, out)
    }

    fn times(&self, bytes: &bytes::Bytes, rows: usize) -> Result<Times, Failure> {
        match (bytes.len(), rows) {
            (0, _) => Ok(Times::One(self.now)),
            (8, rows) if rows != 1 => {
                let micros = i64::from_le_bytes(*bytes.first_chunk().expect("it has 8 bytes"));
                Ok(Times::One(event_time(micros)?))
            }
            (length, rows) if length == rows * 8 => Ok(Times::Each(bytes.clone())),
            (length, rows) => {
                let message = format!(
                    "{} event times are given for {rows} rows; give one for each, or one",
                    length / 8
                );
                Err(Failure::of_field(
                    Reason::UnequalLengths,
                    "event_times_us",
                    message,
                ))
            }
        }
    }

    fn read(
        &self,
        write: u32,
        view: &View,
        given: &[twin::KeyColumn],
        times: &Times,
        changes: &Changes,
        out: &mut ReadRows,
    ) -> Result<(), Failure> {
        let count = row_count(given)?;
        let keys = join_keys(view, given)?;
        let locator = Locator {
            project: self.project.id,
            entity: &view.entity,
            sharding: &self.catalog.sharding,
        };
        for row in 0..count {
            let number = u32::try_from(row).expect("rows of a write are limited");
            if out.skipped.contains(&(write, number)) {
                continue;
            }
            let read = locator
                .locate(|part, key| keys[part].push(row, key))
                .and_then(|(key, shard)| Ok((key, shard, times.of(row)?, changes.of(row)?)));
            let placed = read.and_then(|(key, shard, event_time, change)| {
                let size = size_of(key.as_bytes().len(), &change, &view.schema);
                check_size(size.record)?;
                let hash = key.hash(self.project.id, view.entity.id);
                let (view, schema) = (view, view.schema.version());
                let row = WriteRow {
                    write,
                    row: number,
                    view: view.id,
                    schema,
                    key,
                    hash,
                    event_time,
                    change,
                };
                Ok(PlacedRow {
                    shard,
                    placement: view.placement,
                    entry_bytes: size.entry,
                    row,
                })
            });
            match placed {
                Ok(row) => out.placed.push(row),
                Err(refusal) => out.rejected.push(Rejection {
                    write,
                    row: number,
                    refusal,
                }),
            }
        }
        Ok(())
    }
}

/// The rows of one view, by its key columns.
pub fn row_count(keys: &[twin::KeyColumn]) -> Result<usize, Failure> {
    let Some(first) = keys.first() else {
        return Ok(0);
    };
    let rows = keys::count(first)?;
    for column in &keys[1..] {
        let count = keys::count(column)?;
        if count != rows {
            let message = format!(
                "join key {} has {count} values and {} has {rows}",
                column.name, first.name
            );
            return Err(Failure::of_field(
                Reason::UnequalLengths,
                column.name.clone(),
                message,
            ));
        }
    }
    Ok(rows)
}

/// The view's join keys in the entity's order; each is needed, and no other is known.
fn join_keys<'a>(view: &View, given: &'a [twin::KeyColumn]) -> Result<Vec<KeyValues<'a>>, Failure> {
    let names = || view.entity.keys.iter().map(|key| key.name.as_str());
    for (place, column) in given.iter().enumerate() {
        if !names().any(|name| name == column.name) {
            let hint = nearby::hint(&column.name, names(), "join keys of the view");
            let message = format!(
                "view {} has no join key {:?}; {hint}",
                view.name, column.name
            );
            return Err(Failure::of_field(
                Reason::InvalidRequest,
                column.name.clone(),
                message,
            ));
        }
        if given[..place]
            .iter()
            .any(|earlier| earlier.name == column.name)
        {
            let message = format!("join key {} is given twice", column.name);
            return Err(Failure::of_field(
                Reason::InvalidRequest,
                column.name.clone(),
                message,
            ));
        }
    }
    view.entity
        .keys
        .iter()
        .map(|key| {
            let column = given
                .iter()
                .find(|column| column.name == key.name.as_str())
                .ok_or_else(|| {
                    let message = format!("view {} needs the join key {}", view.name, key.name);
                    Failure::of_field(Reason::MissingKey, key.name.as_str(), message)
                })?;
            Ok(keys::values(column, key.ty)?)
        })
        .collect()
}

fn check_named_once(columns: &[FeatureValues], view: &View) -> Result<(), Failure> {
    let mut features: Vec<_> = columns.iter().map(|column| column.feature).collect();
    features.sort_unstable();
    let Some(twice) = features.windows(2).find(|pair| pair[0] == pair[1]) else {
        return Ok(());
    };
    let name = &view.features[usize::from(twice[0].0)].name;
    let message = format!("feature {name} is given twice");
    Err(Failure::of_field(
        Reason::InvalidRequest,
        name.as_str(),
        message,
    ))
}

/// An event time that can be stored.
fn event_time(micros: i64) -> Result<EventTime, Refusal> {
    EventTime::from_micros(micros).ok_or_else(|| {
        let (reason, fault) = if micros < 0 {
            (Reason::EventTimeTooOld, "lies before 1970")
        } else {
            (Reason::EventTimeInFuture, "lies after 2255")
        };
        let message =
            format!("the event time {micros} µs {fault}; event times are microseconds since 1970");
        Refusal::of_field(reason, "event_time", message)
    })
}

impl Times {
    fn of(&self, row: usize) -> Result<EventTime, Refusal> {
        match self {
            Self::One(time) => Ok(*time),
            Self::Each(bytes) => event_time(i64::from_le_bytes(
                *bytes[row * 8..]
                    .first_chunk()
                    .expect("their number was checked"),
            )),
        }
    }
}

impl Changes {
    fn of(&self, row: usize) -> Result<Change, Refusal> {
        let Self::Set(columns) = self else {
            return Ok(Change::Delete);
        };
        let mut cells = Vec::with_capacity(columns.len());
        for column in columns {
            if let Some(content) = column.cell(row)? {
                cells.push((column.feature, content));
            }
        }
        if cells.is_empty() {
            let message = "the row sets no feature; name one, or delete the row";
            return Err(Refusal::new(Reason::InvalidRequest, message));
        }
        cells.sort_unstable_by_key(|(feature, _)| *feature);
        Ok(Change::Set(cells))
    }
}

/// Bytes that a row takes as a record, and in an entry.
struct Size {
    record: usize,
    entry: usize,
}

/// A record holds the fixed area of the whole schema; a partial row is followed by its merged image.
fn size_of(key: usize, change: &Change, schema: &RowSchema) -> Size {
    const AROUND: usize = 96;
    let Change::Set(cells) = change else {
        return Size {
            record: AROUND + key,
            entry: AROUND + key,
        };
    };
    let columns = schema.columns();
    let variable: usize = cells
        .iter()
        .filter(|(feature, _)| columns[usize::from(feature.0)].is_variable())
        .map(|(_, content)| match content {
            Content::Null => 32,
            Content::Value(bytes) => bytes.len().max(32),
        })
        .sum();
    let record = AROUND + key + columns.len().div_ceil(4) + schema.fixed_bytes() + variable;
    let copies = if cells.len() == columns.len() { 1 } else { 2 };
    Size {
        record,
        entry: record * copies,
    }
}

fn check_size(record: usize) -> Result<(), Refusal> {
    if record <= ROW_BYTES {
        return Ok(());
    }
    let message = format!(
        "a row may take {ROW_BYTES} bytes, and this one takes {record}; write fewer or smaller features"
    );
    Err(Refusal::new(Reason::TooLarge, message))
}
