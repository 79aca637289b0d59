//! Write path: rows as they were sent become records that only lack their stamp.
//!
//! Admission is judged here, against the stamp that will be given: too far ahead, too late, an
//! unknown schema. The merge with the row's newest appended image happens here too, once in a
//! region; replicas and restarts never merge.

use gateway::write::writer::{Change, WriteRow};
use proto::{
    hlc::Hlc,
    id::{RegionId, ViewId},
    limits::ENTRY_BYTES,
    merge::merge,
    reason::{Reason, Refusal},
    record::{Encoded, RecordKind, RecordView, UNSTAMPED, encode},
    request::{Rejection, WriteOutcome},
    row::{Cell, Content, Row, Slot},
    schema::{Combine, RowSchema},
    time::EventTime,
    version::Version,
};
use raft::registry::{
    catalog::{Catalog, CatalogView},
    definition::OrderBy,
    span::Span,
};
use replication::write::{Order, PreparedRow, Room};
use smallvec::{SmallVec, smallvec};
use std::time::Duration;

/// What is known of a row's newest appended image without reading it.
pub enum Known {
    /// There is none.
    Absent,
    /// It has every feature under one version of this event time and remembers no deletion.
    Full(EventTime),
    /// It must be read.
    Other,
}

/// A row of a view, as a store finds it.
#[derive(Debug, Clone, Copy)]
pub struct RowKey<'a> {
    /// Its view.
    pub view: ViewId,
    /// Under which the index has it.
    pub hash: u64,
    /// Its canonical bytes.
    pub key: &'a [u8],
}

impl<'a> RowKey<'a> {
    fn of(row: &'a WriteRow) -> Self {
        Self {
            view: row.view,
            hash: row.hash.with_view(row.view),
            key: row.key.as_bytes(),
        }
    }
}

/// The rows that stand, appended ones included.
pub trait StandingRows {
    /// What is known of a row without reading it.
    fn known(&self, row: RowKey<'_>) -> Known;

    /// Reads its newest appended image; none where it is absent. A row that cannot be read is never
    /// taken for absent.
    fn read(&self, row: RowKey<'_>) -> Result<Option<Vec<u8>>, Refusal>;
}

/// The terms under which rows are admitted.
pub struct Terms<'a> {
    /// The definitions.
    pub catalog: &'a Catalog,
    /// This region.
    pub region: RegionId,
    /// The slot that features with `combine` are written to.
    pub slot: RegionId,
    /// No stamp will be smaller.
    pub stamp_at_least: Hlc,
    /// How far ahead of its stamp an event may be dated.
    pub max_future: Duration,
}

/// Rows of a part, ready for one entry.
#[derive(Debug, Default)]
pub struct Prepared {
    /// How many of the rows that were given it holds, those that were not taken included. The others
    /// need another entry.
    pub taken: usize,
    /// The rows.
    pub rows: Vec<PreparedRow>,
    /// What becomes of the rows once committed.
    pub outcome: WriteOutcome,
    /// The largest stamp under which they are still admitted.
    pub stamp_at_most: Option<Hlc>,
}

/// Prepares rows of a part, from the first on, as many as one entry takes; no two of them are of one
/// row.
#[must_use]
pub fn prepare(rows: &[WriteRow], terms: &Terms<'_>, standing: &impl StandingRows) -> Prepared {
    let (mut prepared, mut room) = (Prepared::default(), Room::default());
    for row in rows {
        let is_first = room.is_whole();
        let ready = match prepare_row(row, terms, standing) {
            Ok(ready) if room.take_row(&ready.row) => Ok(ready),
            Ok(ready) if is_first => Err(too_large(&ready.row)),
            Ok(_) => break,
            Err(refusal) => Err(refusal),
        };
        match ready {
            Ok(ready) => ready.add_to(&mut prepared),
            Err(refusal) => {
                let rejection = Rejection {
                    write: row.write,
                    row: row.row,
                    refusal,
                };
                if !room.take_rejection(&rejection) {
                    break;
                }
                prepared.outcome.rejected.push(rejection);
            }
        }
        prepared.taken += 1;
    }
    prepared
}

/// A row is one entry's: what was sent and the row that it makes travel and commit together.
fn too_large(row: &PreparedRow) -> Refusal {
    let message = format!(
        "what was sent and the row that it makes take {} bytes together, and an entry holds {ENTRY_BYTES}; make the row smaller",
        row.bytes()
    );
    Refusal::new(Reason::TooLarge, message)
}

struct Ready {
    row: PreparedRow,
    is_indexed: bool,
    stamp_at_most: Option<Hlc>,
}

impl Ready {
    fn add_to(self, prepared: &mut Prepared) {
        prepared.outcome.accepted += 1;
        if !self.is_indexed {
            prepared.outcome.superseded += 1;
        }
        prepared.rows.push(self.row);
        prepared.stamp_at_most = match (prepared.stamp_at_most, self.stamp_at_most) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
    }
}

fn prepare_row(
    row: &WriteRow,
    terms: &Terms<'_>,
    standing: &impl StandingRows,
) -> Result<Ready, Refusal> {
    let view = terms.catalog.view(row.view).ok_or_else(|| {
        Refusal::new(
            Reason::UnknownView,
            format!("view {} is gone; read the registry again", row.view),
        )
    })?;
    let order = match view.view.order_by {
        OrderBy::EventTime => Order::EventTime,
        OrderBy::WriteTime => Order::WriteTime,
    };
    let stamp_at_most = admit(row, view, order, terms)?;
    let sent = sent_row(row, view, order, terms)?;
    let (records, is_indexed) = records(row, view, sent, standing)?;
    Ok(Ready {
        row: PreparedRow { records, order },
        is_indexed,
        stamp_at_most,
    })
}

/// Judges the event time; gives the largest stamp under which the row is still admitted.
fn admit(
    row: &WriteRow,
    view: &CatalogView,
    order: Order,
    terms: &Terms<'_>,
) -> Result<Option<Hlc>, Refusal> {
    if order == Order::WriteTime {
        return Ok(None);
    }
    let latest = terms.stamp_at_least.event_time().plus(terms.max_future);
    if row.event_time > latest {
        let ahead = Duration::from_micros(
            row.event_time.micros() - terms.stamp_at_least.event_time().micros(),
        );
        let message = format!(
            "the event is dated {} s ahead, and at most {} s are allowed; correct the writer's clock or unit",
            ahead.as_secs(),
            terms.max_future.as_secs()
        );
        return Err(Refusal::of_field(
            Reason::EventTimeInFuture,
            "event_time",
            message,
        ));
    }
    let Some(max_late) = view.view.max_late.span().map(Span::duration) else {
        return Ok(None);
    };
    let at_most = Hlc::from_millis(row.event_time.plus(max_late).micros() / 1_000);
    if at_most < terms.stamp_at_least {
        let message = format!(
            "the event is older than the view's max_late of {} s; raise max_late to take it",
            max_late.as_secs()
        );
        return Err(Refusal::of_field(
            Reason::EventTimeTooOld,
            "event_time",
            message,
        ));
    }
    Ok(Some(at_most))
}

/// The row as it was sent, under the view's newest schema, with its version waiting for the stamp.
fn sent_row(
    row: &WriteRow,
    view: &CatalogView,
    order: Order,
    terms: &Terms<'_>,
) -> Result<Row, Refusal> {
    let event_time = match order {
        Order::EventTime => row.event_time,
        // The stamp replaces it, and is larger than every event time that came from a stamp.
        Order::WriteTime => EventTime::MAX,
    };
    let version = Version {
        event_time,
        write_time: UNSTAMPED,
        origin: terms.region,
    };
    let cells = match &row.change {
        Change::Delete => return Ok(Row::deleted(version)),
        Change::Set(cells) => cells,
    };
    let schema = view.schema(row.schema).ok_or_else(|| {
        Refusal::new(
            Reason::RevisionChanged,
            format!("view {} has no schema {}", view.view.label(), row.schema),
        )
    })?;
    let mut sent = Row::default();
    for (feature, content) in cells {
        let combine = schema
            .column(*feature)
            .map_or(Combine::Latest, |column| column.combine);
        sent.set(
            *feature,
            cell(version, content.clone(), combine, terms.slot),
        );
    }
    Ok(sent.widened(schema, view.newest()))
}

fn cell(version: Version, content: Content, combine: Combine, region: RegionId) -> Cell {
    match combine {
        Combine::Latest => Cell::Latest { version, content },
        Combine::Sum | Combine::Min | Combine::Max => Cell::Slots(smallvec![Slot {
            region,
            version,
            content
        }]),
    }
}

type Records = (SmallVec<[Encoded; 2]>, bool);

/// The records of a row: what was sent and, where it differs, the merged image after it. Without
/// an image nothing changed, and nothing is indexed.
fn records(
    row: &WriteRow,
    view: &CatalogView,
    sent: Row,
    standing: &impl StandingRows,
) -> Result<Records, Refusal> {
    let schema = view.newest();
    let layout = |image: &Row, kind| encoded(image, kind, row.key.as_bytes(), schema);
    let Some(old) = standing_row(RowKey::of(row), view, &sent, standing)? else {
        return Ok((smallvec![layout(&sent, RecordKind::OwnDelta)?], true));
    };
    let mut merged = merge(old.clone(), sent.clone(), schema);
    merged.drop_below(view.view.floor);
    if merged == old {
        return Ok((smallvec![layout(&sent, RecordKind::Delta)?], false));
    }
    if merged == sent {
        return Ok((smallvec![layout(&sent, RecordKind::OwnDelta)?], true));
    }
    Ok((
        smallvec![
            layout(&sent, RecordKind::Delta)?,
            layout(&merged, RecordKind::Image)?
        ],
        true,
    ))
}

pub(super) fn encoded(
    image: &Row,
    kind: RecordKind,
    key: &[u8],
    schema: &RowSchema,
) -> Result<Encoded, Refusal> {
    encode(image, kind, key, schema)
        .map_err(|error| Refusal::new(Reason::TooLarge, error.to_string()))
}

/// The row that stands, unless the sent one replaces it whole without a look.
pub(super) fn standing_row(
    row: RowKey<'_>,
    view: &CatalogView,
    sent: &Row,
    standing: &impl StandingRows,
) -> Result<Option<Row>, Refusal> {
    match standing.known(row) {
        Known::Absent => return Ok(None),
        Known::Full(event_time) if replaces_whole(sent, view.newest(), event_time) => {
            return Ok(None);
        }
        Known::Full(_) | Known::Other => {}
    }
    let Some(bytes) = standing.read(row)? else {
        return Ok(None);
    };
    let damaged = |error: proto::codec::Malformed| Refusal::new(Reason::Damaged, error.to_string());
    let record = RecordView::parse(&bytes).map_err(damaged)?;
    let schema = view.schema(record.schema_version()).ok_or_else(|| {
        let message = format!(
            "the row has schema {} of view {}",
            record.schema_version(),
            view.view.label()
        );
        Refusal::new(Reason::RevisionChanged, message)
    })?;
    let mut old = record
        .to_row(schema)
        .map_err(damaged)?
        .widened(schema, view.newest());
    old.drop_below(view.view.floor);
    Ok((!old.is_empty()).then_some(old))
}

/// Every feature set, newer than a full row, and nothing that combines.
fn replaces_whole(sent: &Row, schema: &RowSchema, standing: EventTime) -> bool {
    let columns = schema.columns();
    sent.cells.len() == columns.len()
        && sent
            .cells
            .iter()
            .all(|cell| matches!(cell, Some(Cell::Latest { .. })))
        && sent
            .version()
            .is_some_and(|version| version.event_time > standing)
}

#[cfg(test)]
pub mod tests;
