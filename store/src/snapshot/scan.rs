//! Making a snapshot: walk the index table by table, pin the segments, read the records.

use super::chunk::{self, Trailer};
use crate::{
    body::Body,
    index::Cursor,
    place::Place,
    state::{Condition, ShardState},
    store::Store,
};
use bytes::Bytes;
use proto::id::{Position, ShardId};
use std::{collections::VecDeque, io, sync::Arc};

/// Why no snapshot, or no further chunk, could be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is no such shard, or its rows may not be used.
    #[error("shard {0} is not whole on this node; take the snapshot from another replica")]
    NotWhole(ShardId),
    /// A row cannot be read.
    #[error(
        "a row of shard {0} is damaged; repair it first or take the snapshot from another replica"
    )]
    Damaged(ShardId),
    /// The disk failed.
    #[error("reading rows failed: {0}; retry")]
    Disk(#[from] io::Error),
}

/// A snapshot being made.
pub struct SnapshotReader {
    store: Arc<Store>,
    shard: ShardId,
    begun_in_group: u64,
    stage: Stage,
    found: VecDeque<(u64, Arc<Body>, Place)>,
    rows: u64,
    checksum: u32,
}

enum Stage {
    Header,
    Rows(Cursor),
    LastRows,
    Done,
}

impl Store {
    /// Begins a snapshot of `shard`.
    pub fn snapshot(self: &Arc<Self>, shard: ShardId) -> Result<SnapshotReader, SnapshotError> {
        let state = self
            .state(shard)
            .filter(|state| state.condition == Condition::Whole);
        // Not half of one either: the receiver would drop what it still has.
        if self.damage.lock().has(shard) {
            return Err(SnapshotError::Damaged(shard));
        }
        let begun_in_group = state.ok_or(SnapshotError::NotWhole(shard))?.begun_in_group;
        Ok(SnapshotReader {
            store: Arc::clone(self),
            shard,
            begun_in_group,
            stage: Stage::Header,
            found: VecDeque::new(),
            rows: 0,
            checksum: 0,
        })
    }
}

impl SnapshotReader {
    /// Rows that were read so far.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The next chunk, of about `bytes`; none after the trailer.
    pub fn next_chunk(&mut self, bytes: usize) -> Result<Option<Bytes>, SnapshotError> {
        let chunk = match &mut self.stage {
            Stage::Header => {
                self.stage = Stage::Rows(Cursor::default());
                let state = self.store.state(self.shard).unwrap_or_default();
                let carried = None;
                chunk::header(self.shard, &ShardState { carried, ..state })
            }
            Stage::Rows(_) | Stage::LastRows => match self.next_rows(bytes)? {
                Some(rows) => rows,
                None => {
                    self.stage = Stage::Done;
                    return Ok(Some(self.trailer()?));
                }
            },
            Stage::Done => return Ok(None),
        };
        self.checksum = crc32c::crc32c_append(self.checksum, &chunk::crc_in(&chunk).to_le_bytes());
        Ok(Some(chunk))
    }

    fn next_rows(&mut self, bytes: usize) -> Result<Option<Bytes>, SnapshotError> {
        let (mut hashes, mut records) = (Vec::new(), Vec::new());
        while records.len() < bytes {
            if self.found.is_empty() && !self.walk()? {
                break;
            }
            let Some((hash, body, place)) = self.found.pop_front() else {
                continue;
            };
            let mut record = vec![0; place.length()];
            body.segment.file()?.read_at(place.offset(), &mut record)?;
            if self
                .store
                .sound_record(self.shard, hash, &body, place, &record)
                .is_none()
            {
                return Err(SnapshotError::Damaged(self.shard));
            }
            hashes.push(hash);
            records.extend(record);
        }
        self.rows += hashes.len() as u64;
        Ok((!hashes.is_empty()).then(|| chunk::rows(&hashes, &records)))
    }

    /// Finds the rows of the next table. Pinned segments stay readable when compaction lets them go.
    fn walk(&mut self) -> Result<bool, SnapshotError> {
        let Stage::Rows(cursor) = self.stage else {
            return Ok(false);
        };
        let shard = self
            .store
            .shard(self.shard)
            .ok_or(SnapshotError::NotWhole(self.shard))?;
        let rows = shard.rows.read();
        if rows.state.begun_in_group != self.begun_in_group || !rows.is_usable() {
            return Err(SnapshotError::NotWhole(self.shard));
        }
        let (mut entries, next) = rows.index.walk(cursor);
        entries.sort_by_key(|entry| (entry.place.slot(), entry.place.offset()));
        let pinned = entries.iter().map(|entry| {
            (
                entry.hash,
                self.store.bodies.get(entry.place.slot()),
                entry.place,
            )
        });
        self.found.extend(pinned);
        self.stage = next.map_or(Stage::LastRows, Stage::Rows);
        Ok(true)
    }

    fn trailer(&self) -> Result<Bytes, SnapshotError> {
        let state = self
            .store
            .state(self.shard)
            .filter(|state| state.begun_in_group == self.begun_in_group);
        let state = state.ok_or(SnapshotError::NotWhole(self.shard))?;
        let scan_end: Position = state.commit.position;
        let (rows, collected, checksum) = (self.rows, state.collected, self.checksum);
        Ok(chunk::trailer(&Trailer {
            rows,
            scan_end,
            collected,
            checksum,
        }))
    }
}
