//! The stored row. Its bytes are the same on primary, backups, in base segments and snapshots.
//!
//! ```text
//! header, 48 bytes
//!    0 crc-32c 4 | length 4 | view 4 | schema version 2 | kind 1 | flags 1
//!   16 event time 8 | write time 8          the row's largest version; a tombstone's own
//!   32 log position 6 | origin 2
//!   40 key length 2 | start of cells 2 | extra versions 2 | columns 2
//! key | extra versions, 18 bytes each | version of the last deletion, 18 (flag)
//! cells: states, 2 bits a column (absent where all are values)
//!        version of each column, 1 byte, or 2 where there are more than 255 (only with extra versions)
//!        fixed area (see `schema`) | variable area
//! zeros up to a multiple of 16
//! ```
//!
//! A variable column's fixed part is the end of its bytes in the variable area; it begins where the
//! variable column before it ends. A column that combines holds its slots there, 32 bytes each.
//! The CRC covers everything after itself. There is no epoch in a record and no place of its own,
//! so copying it never changes it.

mod decode;
mod encode;
mod view;

pub use decode::CellState;
pub use encode::{EncodeError, Encoded, UNSTAMPED, encode, seal, stamp};
pub use view::{Cells, RecordView};

/// Bytes of a record's header.
pub const HEADER_BYTES: usize = 48;
/// Bytes of a version beside the header.
pub(crate) const VERSION_BYTES: usize = 18;
/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 32;

/// All columns hold values; the states are left out.
pub(crate) const FLAG_ALL_VALUES: u8 = 1;
/// The version of the last deletion stands before the cells.
pub(crate) const FLAG_DELETION: u8 = 2;
/// Every column is set under one version and no deletion is remembered.
pub(crate) const FLAG_FULL: u8 = 4;

/// What a record is to its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// The merged row; indexed, not shipped to other regions.
    Image = 1,
    /// The merged row that is also exactly what was written: indexed and shipped.
    OwnDelta = 2,
    /// The cells that were written; shipped, never indexed. Its image, if it changed, follows it.
    Delta = 3,
    /// A deletion that left no cell: indexed and shipped.
    Tombstone = 4,
    /// A deletion as it was sent, where the row is not simply gone; shipped, never indexed.
    DeltaTombstone = 5,
}

impl RecordKind {
    /// The kind of a stored number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Image),
            2 => Some(Self::OwnDelta),
            3 => Some(Self::Delta),
            4 => Some(Self::Tombstone),
            5 => Some(Self::DeltaTombstone),
            _ => None,
        }
    }

    /// Whether the index points at such records.
    #[must_use]
    pub const fn is_indexed(self) -> bool {
        matches!(self, Self::Image | Self::OwnDelta | Self::Tombstone)
    }

    /// Whether such records leave the region.
    #[must_use]
    pub const fn is_shipped(self) -> bool {
        !matches!(self, Self::Image)
    }

    /// Whether the record has no cells by its kind.
    #[must_use]
    pub const fn is_tombstone(self) -> bool {
        matches!(self, Self::Tombstone | Self::DeltaTombstone)
    }
}

#[cfg(test)]
mod tests;
