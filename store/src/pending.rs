//! Entries that are appended and not committed: what a primary's merges see and lookups do not.

use crate::body::Body;
use bytes::Bytes;
use proto::{
    entry::{EntryHeader, EntryKind, EntryView},
    id::{Position, ViewId},
    record::RecordView,
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// One such entry.
pub(crate) struct PendingEntry {
    pub(crate) header: EntryHeader,
    pub(crate) bytes: Bytes,
    pub(crate) body: Arc<Body>,
    /// Where it begins in the segment's file.
    pub(crate) offset: u64,
    pub(crate) group: u64,
    pub(crate) rows: SmallVec<[PendingRow; 1]>,
}

/// An indexed record of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingRow {
    pub(crate) hash: u64,
    /// Where the record begins in the entry.
    pub(crate) offset: u32,
}

/// A shard's pending entries, by position, and the newest images in them.
#[derive(Default)]
pub(crate) struct Pending {
    entries: VecDeque<PendingEntry>,
    /// For each hash the places of its images, oldest first.
    images: BTreeMap<u64, SmallVec<[(Position, u32); 1]>>,
}

impl PendingEntry {
    /// Pairs the indexed records of an entry with their hashes. `None` if the counts differ.
    pub(crate) fn rows_of(
        entry: &EntryView<'_>,
        hashes: &[u64],
    ) -> Option<SmallVec<[PendingRow; 1]>> {
        let mut hashes = hashes.iter();
        let indexed = entry
            .records()
            .filter(|(_, record)| record.kind().is_indexed());
        let rows = indexed.map(|(offset, _)| {
            hashes.next().map(|hash| PendingRow {
                hash: *hash,
                offset: offset as u32,
            })
        });
        let rows = rows.collect::<Option<SmallVec<_>>>()?;
        hashes.next().is_none().then_some(rows)
    }

    /// The extras, if this begins a stream anew.
    pub(crate) fn start(&self) -> Option<Bytes> {
        start_of(&self.bytes)
    }

    pub(crate) fn record(&self, row: PendingRow) -> RecordView<'_> {
        RecordView::parse(&self.bytes[row.offset as usize..])
            .expect("entries are checked when they are appended")
    }
}

/// The extras of an entry, checked before, if it is a *start*, of this region or another.
pub(crate) fn start_of(entry: &[u8]) -> Option<Bytes> {
    let view = EntryView::parse(entry).expect("entries are checked when they come");
    let is_start = match view.header().kind {
        EntryKind::Start => true,
        EntryKind::Remote => !view.extras().is_empty(),
        _ => false,
    };
    is_start.then(|| Bytes::copy_from_slice(view.extras()))
}

impl Pending {
    pub(crate) fn push(&mut self, entry: PendingEntry) {
        for row in &entry.rows {
            self.images
                .entry(row.hash)
                .or_default()
                .push((entry.header.position, row.offset));
        }
        self.entries.push_back(entry);
    }

    /// The newest image of a row.
    pub(crate) fn newest(&self, view: ViewId, hash: u64, key: &[u8]) -> Option<Bytes> {
        let first = self.entries.front()?.header.position;
        let newest_first = self.images.get(&hash)?.iter().rev();
        newest_first.copied().find_map(|(position, offset)| {
            let entry = &self.entries[usize::try_from(position.0 - first.0).ok()?];
            let record = entry.record(PendingRow { hash, offset });
            let start = offset as usize;
            let is_it = record.view() == view && record.key() == key;
            is_it.then(|| entry.bytes.slice(start..start + record.bytes().len()))
        })
    }

    /// Takes the oldest entry if it lies within `through`.
    pub(crate) fn pop_through(&mut self, through: Position) -> Option<PendingEntry> {
        if self.entries.front()?.header.position > through {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.forget_images(&entry);
        Some(entry)
    }

    /// Takes the newest entry if it lies past `after`.
    pub(crate) fn pop_after(&mut self, after: Position) -> Option<PendingEntry> {
        if self.entries.back()?.header.position <= after {
            return None;
        }
        let entry = self.entries.pop_back()?;
        self.forget_images(&entry);
        Some(entry)
    }

    fn forget_images(&mut self, entry: &PendingEntry) {
        for row in &entry.rows {
            if let Some(places) = self.images.get_mut(&row.hash) {
                places.retain(|(position, _)| *position != entry.header.position);
                if places.is_empty() {
                    self.images.remove(&row.hash);
                }
            }
        }
    }

    pub(crate) fn at(&self, position: Position) -> Option<&PendingEntry> {
        let first = self.entries.front()?.header.position;
        self.entries
            .get(usize::try_from(position.0.checked_sub(first.0)?).ok()?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PendingEntry> {
        self.entries.iter()
    }
}
