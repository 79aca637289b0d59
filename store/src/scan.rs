//! All rows of one view in one shard, as they stand at one applied position: for exports.
//!
//! Places are taken under one read lock and their segments pinned, so what is read later is what
//! stood then, whatever is written or compacted meanwhile. It is the index's part of the shard that
//! is held in memory, never the rows.

use crate::{
    body::Body,
    index::Cursor,
    place::{IndexEntry, Place, Slot},
    snapshot::SnapshotError,
    store::Store,
};
use bytes::{Bytes, BytesMut};
use proto::id::{Position, ShardId, ViewId};
use std::{collections::BTreeMap, sync::Arc};

/// Rows of one view in one shard, read in the order in which they lie on disk.
pub struct ViewScan {
    store: Arc<Store>,
    shard: ShardId,
    view: ViewId,
    applied: Position,
    places: std::vec::IntoIter<(u64, Place)>,
    pinned: BTreeMap<u32, Arc<Body>>,
    deletions: bool,
}

impl Store {
    /// Takes note of all rows of `view` in `shard`.
    pub fn scan_view(
        self: &Arc<Self>,
        shard: ShardId,
        view: ViewId,
    ) -> Result<ViewScan, SnapshotError> {
        let not_whole = || SnapshotError::NotWhole(shard);
        let number = self.views.read().known(view);
        let held = self.shard(shard).ok_or_else(not_whole)?;
        let rows = held.rows.read();
        if !rows.is_usable() {
            return Err(not_whole());
        }
        let mut places = Vec::new();
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor.filter(|_| number.is_some()) {
            let (entries, next) = rows.index.walk(at);
            // Views past the last number share one: the record says whose a row is.
            let is_of_view = |entry: &&IndexEntry| Some(entry.order.view()) == number;
            places.extend(
                entries
                    .iter()
                    .filter(is_of_view)
                    .map(|entry| (entry.hash, entry.place)),
            );
            cursor = next;
        }
        let mut pinned = BTreeMap::new();
        for (_, place) in &places {
            let Slot(slot) = place.slot();
            pinned
                .entry(slot)
                .or_insert_with(|| self.bodies.get(place.slot()));
        }
        let applied = rows.applied();
        drop(rows);
        places.sort_unstable_by_key(|(_, place)| (place.slot(), place.offset()));
        Ok(ViewScan {
            store: Arc::clone(self),
            shard,
            view,
            applied,
            places: places.into_iter(),
            pinned,
            deletions: false,
        })
    }
}

impl ViewScan {
    /// The position that the rows show.
    #[must_use]
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// Gives tombstones too: who merges the rows must not bring back what is deleted.
    #[must_use]
    pub fn with_deletions(mut self) -> Self {
        self.deletions = true;
        self
    }

    /// Rows that are still to come; tombstones among them.
    #[must_use]
    pub fn left(&self) -> usize {
        self.places.len()
    }

    /// The next records end to end, about `bytes` of them; none at the end.
    pub fn next_records(&mut self, bytes: usize) -> Result<Option<Bytes>, SnapshotError> {
        let mut records = BytesMut::new();
        while records.len() < bytes {
            let Some((hash, place)) = self.places.next() else {
                break;
            };
            if place.is_tombstone() && !self.deletions {
                continue;
            }
            let Slot(slot) = place.slot();
            let body = &self.pinned[&slot];
            let start = records.len();
            records.resize(start + place.length(), 0);
            body.segment
                .file()?
                .read_at(place.offset(), &mut records[start..])?;
            let read = &records[start..];
            let sound = self.store.sound_record(self.shard, hash, body, place, read);
            let Some(record) = sound else {
                return Err(SnapshotError::Damaged(self.shard));
            };
            if record.view() != self.view {
                records.truncate(start);
            }
        }
        Ok((!records.is_empty()).then(|| records.freeze()))
    }
}
