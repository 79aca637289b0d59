//! Hint files: what a settled segment holds, so that a restart, a catch-up or a compaction need not
//! read the segment. They can always be made again from it.
//!
//! ```text
//! header 88: magic 4 | version 2 | zeros 2 | segment id 8 | end 8 | first group 8 | last group 8 |
//!            born after 8 | largest HLC 8 | shards 4 | views 4 | cuts 4 | zeros 4 | row bytes 8 |
//!            total length 4 | crc-32c 4 of all this and of directory, views and cuts
//! directory: per shard 48: shard 2 | zeros 6 | entries 4 | rows 4 | smallest, largest position of
//!            entries and rows 8 + 8 | where its part begins 8 | crc-32c of entries 4, of rows 4
//! views: 4 each, by the number that rows name | cuts: 24 each
//! parts, in the directory's order: entries 64 each, by position; rows 32 each, by hash
//! ```

mod codec;
mod file;

pub(crate) use codec::encode;
pub(crate) use file::{HintFile, hint_path};

use crate::place::{IndexEntry, Order, Place};
use proto::{
    entry::{EntryHeader, EntryKind},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId},
    request::{RequestId, RequestPart},
};

/// A committed entry of a log segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HintEntry {
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: RegionId,
    pub(crate) placement: PlacementId,
    pub(crate) part: RequestPart,
    pub(crate) kind: u8,
    pub(crate) sequence: Sequence,
    pub(crate) hlc: Hlc,
    pub(crate) request: RequestId,
}

/// A row of a segment; of several of one key the one with the greatest position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HintRow {
    pub(crate) shard: ShardId,
    pub(crate) hash: u64,
    pub(crate) place: Place,
    pub(crate) order: Order,
    pub(crate) position: Position,
    pub(crate) check: u16,
}

/// Entries of `shard` past `after` that lie before `at` in the log are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HintCut {
    pub(crate) shard: ShardId,
    pub(crate) after: Position,
    pub(crate) at: u64,
}

/// What is known of a segment as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HintSpan {
    pub(crate) segment: u64,
    pub(crate) end: u64,
    pub(crate) first_group: u64,
    pub(crate) last_group: u64,
    pub(crate) born_after: u64,
    pub(crate) largest_hlc: Hlc,
    /// Bytes of the indexed records.
    pub(crate) row_bytes: u64,
}

/// One shard's part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShardPart {
    pub(crate) shard: ShardId,
    pub(crate) entries: u32,
    pub(crate) rows: u32,
    pub(crate) smallest: Position,
    pub(crate) largest: Position,
    pub(crate) offset: u64,
    pub(crate) entries_crc: u32,
    pub(crate) rows_crc: u32,
}

/// What a hint file is made of, collected while its segment is filled or scanned.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) entries: Vec<HintEntry>,
    pub(crate) rows: Vec<HintRow>,
    pub(crate) cuts: Vec<HintCut>,
}

impl HintEntry {
    pub(crate) fn of(header: &EntryHeader, offset: u32, length: u32) -> Self {
        Self {
            shard: header.shard,
            position: header.position,
            offset,
            length,
            epoch: header.epoch,
            incarnation: header.incarnation,
            origin: header.origin,
            placement: header.placement,
            part: header.part,
            kind: header.kind as u8,
            sequence: header.sequence,
            hlc: header.hlc,
            request: header.request,
        }
    }

    /// What of the entry's header is known here.
    pub(crate) fn header(&self) -> Option<EntryHeader> {
        Some(EntryHeader {
            shard: self.shard,
            origin: self.origin,
            kind: EntryKind::from_number(self.kind)?,
            epoch: self.epoch,
            previous_epoch: Epoch(0),
            position: self.position,
            incarnation: self.incarnation,
            placement: self.placement,
            part: self.part,
            sequence: self.sequence,
            hlc: self.hlc,
            request: self.request,
            link_position: 0,
        })
    }
}

impl HintRow {
    pub(crate) fn entry(&self) -> IndexEntry {
        IndexEntry {
            hash: self.hash,
            place: self.place,
            order: self.order,
        }
    }
}

impl Content {
    /// Sorts as hint files are sorted, and keeps of each key's rows the newest.
    pub(crate) fn settle(&mut self) {
        self.entries
            .sort_by_key(|entry| (entry.shard, entry.position));
        let newest_first = |row: &HintRow| {
            // One entry may write a key twice: the later record stands.
            let newest = std::cmp::Reverse((row.position, row.place.offset()));
            (row.shard, row.hash, row.check, row.order.view(), newest)
        };
        self.rows.sort_by_key(newest_first);
        self.rows
            .dedup_by_key(|row| (row.shard, row.hash, row.check, row.order.view()));
    }
}

#[cfg(test)]
mod tests;
