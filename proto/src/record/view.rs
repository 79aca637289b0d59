//! A record's bytes, read in place.

use super::{FLAG_ALL_VALUES, FLAG_DELETION, FLAG_FULL, HEADER_BYTES, RecordKind, VERSION_BYTES};
use crate::{
    codec::{Malformed, array_at},
    hlc::Hlc,
    id::{Position, RegionId, SchemaVersion, ViewId},
    limits::ROW_BYTES,
    schema::RowSchema,
    time::EventTime,
    version::Version,
};

const fn malformed(fault: &'static str) -> Malformed {
    Malformed {
        format: "record",
        fault,
    }
}

/// A record whose lengths were checked. Its checksum is checked by [`RecordView::verify`], apart,
/// since bytes that never left memory need no second look.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    kind: RecordKind,
}

impl<'a> RecordView<'a> {
    /// The record that begins at the first of `bytes`; more may follow.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER_BYTES {
            return Err(malformed("it ends within its header"));
        }
        let length = u32::from_le_bytes(array_at(bytes, 4)) as usize;
        if !(HEADER_BYTES..=ROW_BYTES).contains(&length) || !length.is_multiple_of(16) {
            return Err(malformed("its length cannot be"));
        }
        let bytes = bytes.get(..length).ok_or(malformed("it is cut off"))?;
        let kind = RecordKind::from_number(bytes[14]).ok_or(malformed("its kind is unknown"))?;
        let view = Self { bytes, kind };
        let deletion = if view.has_flag(FLAG_DELETION) {
            VERSION_BYTES
        } else {
            0
        };
        let head = view.deletion_at() + deletion;
        let start = view.start_of_cells();
        let fits = head == start
            && start <= length
            && EventTime::from_micros(view.event_micros()).is_some();
        if fits {
            Ok(view)
        } else {
            Err(malformed("its parts do not fit its length"))
        }
    }

    /// The bytes, padding included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Compares the checksum.
    pub fn verify(&self) -> Result<(), Malformed> {
        let stored = self.crc();
        if crc32c::crc32c(&self.bytes[4..]) == stored {
            Ok(())
        } else {
            Err(malformed("its checksum differs"))
        }
    }

    /// The stored checksum.
    #[must_use]
    pub fn crc(&self) -> u32 {
        u32::from_le_bytes(array_at(self.bytes, 0))
    }

    /// The view whose row this is.
    #[must_use]
    pub fn view(&self) -> ViewId {
        ViewId(u32::from_le_bytes(array_at(self.bytes, 8)))
    }

    /// The schema under which the cells are laid out.
    #[must_use]
    pub fn schema_version(&self) -> SchemaVersion {
        SchemaVersion(u16::from_le_bytes(array_at(self.bytes, 12)))
    }

    /// What the record is to its entry.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    fn has_flag(&self, flag: u8) -> bool {
        self.bytes[15] & flag != 0
    }

    fn event_micros(&self) -> i64 {
        i64::from_le_bytes(array_at(self.bytes, 16))
    }

    /// The largest version of the row's cells; a tombstone's own.
    #[must_use]
    pub fn version(&self) -> Version {
        Version {
            event_time: EventTime::saturating(self.event_micros().cast_unsigned()),
            write_time: Hlc(u64::from_le_bytes(array_at(self.bytes, 24))),
            origin: RegionId(u16::from_le_bytes(array_at(self.bytes, 38))),
        }
    }

    /// The position of the entry that wrote the record in its shard's log.
    #[must_use]
    pub fn position(&self) -> Position {
        let low = u32::from_le_bytes(array_at(self.bytes, 32));
        let high = u16::from_le_bytes(array_at(self.bytes, 36));
        Position(u64::from(high) << 32 | u64::from(low))
    }

    /// The canonical bytes of the entity key.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..HEADER_BYTES + self.key_length()]
    }

    fn key_length(&self) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.bytes, 40)))
    }

    fn start_of_cells(&self) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.bytes, 42)))
    }

    /// How many versions stand beside the header's.
    #[must_use]
    pub fn extra_versions(&self) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.bytes, 44)))
    }

    /// Columns of the row's schema version.
    #[must_use]
    pub fn columns(&self) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.bytes, 46)))
    }

    /// One version, every feature set, no deletion remembered: a write that sets every feature and
    /// is newer replaces the row without a look at it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.has_flag(FLAG_FULL)
    }

    /// Whether every column holds a value, so that no state needs a look.
    #[must_use]
    pub fn is_all_values(&self) -> bool {
        self.has_flag(FLAG_ALL_VALUES)
    }

    fn deletion_at(&self) -> usize {
        HEADER_BYTES + self.key_length() + self.extra_versions() * VERSION_BYTES
    }

    /// The last deletion: a tombstone's own version, or what is remembered beside the cells.
    #[must_use]
    pub fn deletion(&self) -> Option<Version> {
        if self.kind.is_tombstone() {
            return Some(self.version());
        }
        self.has_flag(FLAG_DELETION)
            .then(|| version_at(self.bytes, self.deletion_at()))
    }

    /// Version `index` of the row: 0 the header's, from 1 the extra ones.
    pub(crate) fn version_number(&self, index: usize) -> Option<Version> {
        if index == 0 {
            return Some(self.version());
        }
        let at = HEADER_BYTES + self.key_length() + (index - 1) * VERSION_BYTES;
        (index <= self.extra_versions()).then(|| version_at(self.bytes, at))
    }

    /// Where the fixed area begins in the record, if it has one. With the offsets of the row's
    /// schema this is all that a plan of byte runs needs.
    #[must_use]
    pub fn fixed_area(&self) -> usize {
        let states = if self.is_all_values() {
            0
        } else {
            self.columns().div_ceil(4)
        };
        self.start_of_cells() + states + self.version_indexes_bytes()
    }

    fn version_indexes_bytes(&self) -> usize {
        match self.extra_versions() {
            0 => 0,
            1..=255 => self.columns(),
            _ => 2 * self.columns(),
        }
    }

    /// The cells, laid out by `schema`, which must be the record's own.
    pub fn cells(&self, schema: &'a RowSchema) -> Result<Cells<'a>, Malformed> {
        if self.kind.is_tombstone() {
            return Err(malformed("a tombstone has no cells"));
        }
        if schema.columns().len() != self.columns() || schema.version() != self.schema_version() {
            return Err(malformed("its columns are not its schema's"));
        }
        let fixed = self.fixed_area();
        let variable = fixed + schema.fixed_bytes();
        if variable > self.bytes.len() {
            return Err(malformed("its fixed area is cut off"));
        }
        Ok(Cells {
            record: *self,
            schema,
            fixed,
            variable,
        })
    }

    pub(super) fn states_at(&self) -> usize {
        self.start_of_cells()
    }

    pub(super) fn version_indexes_at(&self) -> usize {
        self.fixed_area() - self.version_indexes_bytes()
    }
}

fn version_at(bytes: &[u8], at: usize) -> Version {
    Version {
        event_time: EventTime::saturating(u64::from_le_bytes(array_at(bytes, at))),
        write_time: Hlc(u64::from_le_bytes(array_at(bytes, at + 8))),
        origin: RegionId(u16::from_le_bytes(array_at(bytes, at + 16))),
    }
}

/// A record's cells under their schema.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    pub(super) record: RecordView<'a>,
    pub(super) schema: &'a RowSchema,
    pub(super) fixed: usize,
    pub(super) variable: usize,
}
