//! Laying out a record.
//!
//! A row may be encoded before its stamp is known: versions with the write time [`UNSTAMPED`] are
//! remembered by their places, and [`stamp`] fills them in. So encoding can run beside the log,
//! and the log's own thread only stamps and seals.

use super::{
    FLAG_ALL_VALUES, FLAG_DELETION, FLAG_FULL, HEADER_BYTES, RecordKind, SLOT_BYTES, VERSION_BYTES,
};
use crate::{
    codec::align16,
    hlc::Hlc,
    id::Position,
    limits::ROW_BYTES,
    row::{Cell, Content, Row, Slot},
    schema::{Column, RowSchema},
    time::EventTime,
    version::Version,
};
use smallvec::SmallVec;

/// The write time of a version that gets its stamp later. It is larger than every stamp, as the
/// stamp itself will be larger than every one that the log has seen, so merges decide alike.
pub const UNSTAMPED: Hlc = Hlc(u64::MAX);

/// A record without position and checksum; see [`seal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The record.
    pub bytes: Vec<u8>,
    /// Where versions that wait for their stamp begin.
    pub stamp_places: SmallVec<[u32; 2]>,
}

/// Why a row cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The row is larger than an entry may be.
    #[error(
        "a row may take {ROW_BYTES} bytes, and this one takes {0}; write fewer or smaller features to one view"
    )]
    TooLarge(usize),
    /// There is nothing to store: no cell and no deletion.
    #[error("a row without cells and without a deletion is nothing to store")]
    Empty,
}

/// Lays `row` out under `schema`. `kind` is kept where the row has cells; without cells it becomes
/// the tombstone of that kind.
pub fn encode(
    row: &Row,
    kind: RecordKind,
    key: &[u8],
    schema: &RowSchema,
) -> Result<Encoded, EncodeError> {
    let version = row.version().ok_or(EncodeError::Empty)?;
    if !row.has_cells() {
        let kind = match kind {
            RecordKind::Delta | RecordKind::DeltaTombstone => RecordKind::DeltaTombstone,
            RecordKind::Image | RecordKind::OwnDelta | RecordKind::Tombstone => {
                RecordKind::Tombstone
            }
        };
        return finish(Layout::new(version, kind, 0), key, schema, &[]);
    }
    let versions = Versions::of(row, version);
    let mut layout = Layout::new(version, kind, schema.columns().len());
    layout.extra = versions.extra();
    layout.deletion = row.deletion;
    let mut states = States::default();
    let cells = lay_out_cells(row, schema, &versions, &mut states, &mut layout);
    let slots = row
        .cells
        .iter()
        .flatten()
        .any(|cell| matches!(cell, Cell::Slots(_)));
    if states.all_values {
        layout.flags |= FLAG_ALL_VALUES;
    }
    if states.all_set && versions.0.len() == 1 && row.deletion.is_none() && !slots {
        layout.flags |= FLAG_FULL;
    }
    finish(layout, key, schema, &cells)
}

/// Gives the waiting versions their stamp. In a view ordered by write time, the stamp is the event
/// time too.
pub fn stamp(encoded: &mut Encoded, stamp: Hlc, event_time: Option<EventTime>) {
    for place in &encoded.stamp_places {
        let at = *place as usize;
        if let Some(event_time) = event_time {
            encoded.bytes[at..at + 8].copy_from_slice(&event_time.micros().to_le_bytes());
        }
        encoded.bytes[at + 8..at + 16].copy_from_slice(&stamp.0.to_le_bytes());
    }
    encoded.stamp_places.clear();
}

/// Sets the log position and the checksum: the record is then final.
pub fn seal(record: &mut [u8], position: Position) {
    record[32..38].copy_from_slice(&position.0.to_le_bytes()[..6]);
    let crc = crc32c::crc32c(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The row's distinct versions, the header's first.
struct Versions(SmallVec<[Version; 4]>);

impl Versions {
    fn of(row: &Row, header: Version) -> Self {
        let mut versions = SmallVec::new();
        versions.push(header);
        for cell in row.cells.iter().flatten() {
            let version = cell.version();
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        Self(versions)
    }

    fn extra(&self) -> SmallVec<[Version; 4]> {
        self.0[1..].into()
    }

    fn index_of(&self, version: Version) -> usize {
        self.0
            .iter()
            .position(|own| *own == version)
            .expect("every cell's version was collected")
    }
}

struct States {
    all_values: bool,
    all_set: bool,
}

impl Default for States {
    fn default() -> Self {
        Self {
            all_values: true,
            all_set: true,
        }
    }
}

struct Layout {
    version: Version,
    kind: RecordKind,
    flags: u8,
    columns: usize,
    extra: SmallVec<[Version; 4]>,
    deletion: Option<Version>,
    /// Places of slots' versions that wait for a stamp, counted from the start of cells.
    slot_stamps: SmallVec<[u32; 2]>,
}

impl Layout {
    fn new(version: Version, kind: RecordKind, columns: usize) -> Self {
        let (extra, slot_stamps) = (SmallVec::new(), SmallVec::new());
        Self {
            version,
            kind,
            flags: 0,
            columns,
            extra,
            deletion: None,
            slot_stamps,
        }
    }
}

/// The cells' bytes: states, version indexes, fixed area, variable area.
fn lay_out_cells(
    row: &Row,
    schema: &RowSchema,
    versions: &Versions,
    states: &mut States,
    layout: &mut Layout,
) -> Vec<u8> {
    let columns = schema.columns().len();
    let mut state_bits = vec![0_u8; columns.div_ceil(4)];
    let mut indexes = Vec::new();
    let mut fixed = vec![0_u8; schema.fixed_bytes()];
    let mut variable = Vec::new();
    let mut slot_places: SmallVec<[u32; 2]> = SmallVec::new();
    let mut at = 0;
    for (place, column) in schema.columns().iter().enumerate() {
        let cell = row.cells.get(place).and_then(Option::as_ref);
        let state = state_of(cell);
        state_bits[place / 4] |= state << (2 * (place % 4));
        states.all_values &= state == 1;
        states.all_set &= state != 0;
        let index = cell.map_or(0, |cell| versions.index_of(cell.version()));
        match versions.0.len() {
            1 => {}
            2..=256 => indexes.push(index as u8),
            _ => indexes.extend((index as u16).to_le_bytes()),
        }
        let fixed = &mut fixed[at..at + column.fixed_width()];
        lay_out_cell(cell, column, fixed, &mut variable, &mut slot_places);
        at += column.fixed_width();
    }
    let mut cells = if states.all_values {
        Vec::new()
    } else {
        state_bits
    };
    cells.extend(indexes);
    cells.extend(fixed);
    let before_variable = cells.len() as u32;
    layout.slot_stamps = slot_places
        .iter()
        .map(|place| place + before_variable)
        .collect();
    cells.extend(variable);
    cells
}

/// A column with slots is a value as long as one of them is, so that lookups look into it.
fn state_of(cell: Option<&Cell>) -> u8 {
    match cell {
        None => 0,
        Some(Cell::Latest {
            content: Content::Null,
            ..
        }) => 2,
        Some(
            Cell::Latest {
                content: Content::Value(_),
                ..
            }
            | Cell::Slots(_),
        ) => 1,
    }
}

fn lay_out_cell(
    cell: Option<&Cell>,
    column: &Column,
    fixed: &mut [u8],
    variable: &mut Vec<u8>,
    slot_places: &mut SmallVec<[u32; 2]>,
) {
    match cell {
        Some(Cell::Latest {
            content: Content::Value(bytes),
            ..
        }) if !column.is_variable() => {
            fixed.copy_from_slice(bytes);
        }
        Some(Cell::Latest {
            content: Content::Value(bytes),
            ..
        }) => variable.extend_from_slice(bytes),
        Some(Cell::Slots(slots)) => slots
            .iter()
            .for_each(|slot| lay_out_slot(slot, variable, slot_places)),
        Some(Cell::Latest {
            content: Content::Null,
            ..
        })
        | None => {}
    }
    if column.is_variable() {
        fixed.copy_from_slice(&(variable.len() as u32).to_le_bytes());
    }
}

fn lay_out_slot(slot: &Slot, out: &mut Vec<u8>, places: &mut SmallVec<[u32; 2]>) {
    let start = out.len();
    let (state, value): (u32, &[u8]) = match &slot.content {
        Content::Value(bytes) => (1, bytes),
        Content::Null => (2, &[]),
    };
    out.extend(slot.region.0.to_le_bytes());
    out.extend(slot.version.origin.0.to_le_bytes());
    out.extend(state.to_le_bytes());
    if slot.version.write_time == UNSTAMPED {
        places.push(out.len() as u32);
    }
    out.extend(slot.version.event_time.micros().to_le_bytes());
    out.extend(slot.version.write_time.0.to_le_bytes());
    out.extend_from_slice(value);
    out.resize(start + SLOT_BYTES, 0);
}

fn finish(
    layout: Layout,
    key: &[u8],
    schema: &RowSchema,
    cells: &[u8],
) -> Result<Encoded, EncodeError> {
    let deletion = if layout.deletion.is_some() {
        VERSION_BYTES
    } else {
        0
    };
    let start = HEADER_BYTES + key.len() + layout.extra.len() * VERSION_BYTES + deletion;
    let length = align16(start + cells.len());
    if length > ROW_BYTES {
        return Err(EncodeError::TooLarge(length));
    }
    let mut out = Encoded {
        bytes: Vec::with_capacity(length),
        stamp_places: SmallVec::new(),
    };
    write_header(&mut out, &layout, key.len(), start, length, schema);
    out.bytes.extend_from_slice(key);
    for version in layout.extra.iter().chain(&layout.deletion) {
        write_version(&mut out, *version);
    }
    out.stamp_places
        .extend(layout.slot_stamps.iter().map(|place| place + start as u32));
    out.bytes.extend_from_slice(cells);
    out.bytes.resize(length, 0);
    Ok(out)
}

fn write_header(
    out: &mut Encoded,
    layout: &Layout,
    key: usize,
    start: usize,
    length: usize,
    schema: &RowSchema,
) {
    let Version {
        event_time,
        write_time,
        origin,
    } = layout.version;
    if write_time == UNSTAMPED {
        out.stamp_places.push(16);
    }
    let flags = layout.flags
        | if layout.deletion.is_some() {
            FLAG_DELETION
        } else {
            0
        };
    let bytes = &mut out.bytes;
    bytes.extend([0; 4]);
    bytes.extend((length as u32).to_le_bytes());
    bytes.extend(schema.view().0.to_le_bytes());
    bytes.extend(schema.version().0.to_le_bytes());
    bytes.extend([layout.kind as u8, flags]);
    bytes.extend(event_time.micros().to_le_bytes());
    bytes.extend(write_time.0.to_le_bytes());
    bytes.extend([0; 6]);
    bytes.extend(origin.0.to_le_bytes());
    for field in [key, start, layout.extra.len(), layout.columns] {
        bytes.extend(
            u16::try_from(field)
                .expect("keys, versions and columns are limited")
                .to_le_bytes(),
        );
    }
}

fn write_version(
    out: &mut Encoded,
    Version {
        event_time,
        write_time,
        origin,
    }: Version,
) {
    if write_time == UNSTAMPED {
        out.stamp_places.push(out.bytes.len() as u32);
    }
    out.bytes.extend(event_time.micros().to_le_bytes());
    out.bytes.extend(write_time.0.to_le_bytes());
    out.bytes.extend(origin.0.to_le_bytes());
}
