//! Saying no early: index memory and disk space.

use crate::{error::Full, store::Store};
use proto::id::ShardId;
use std::sync::atomic::Ordering;

/// Of the disk, this part is left for compaction and for what is already acknowledged.
const RESERVE: f64 = 0.05;
/// And at least so many segments.
const RESERVE_SEGMENTS: u64 = 4;

impl Store {
    /// Whether a new write of those rows may be admitted. Entries that other replicas have
    /// acknowledged are appended without asking.
    pub fn check_write(&self, shard: ShardId, hashes: &[u64]) -> Result<(), Full> {
        self.check_disk()?;
        let (used, limit) = (self.index_bytes(), self.settings.index_memory_bytes);
        if used > limit / 4 * 3 {
            let known = self.shard(shard);
            let rows = known.as_ref().map(|shard| shard.rows.read());
            let is_new = |hash: &u64| {
                rows.as_ref()
                    .is_none_or(|rows| rows.index.find(*hash).is_empty())
            };
            if hashes.iter().any(is_new) {
                return Err(Full::IndexMemory { used, limit });
            }
        }
        Ok(())
    }

    /// Whether the disk has room for new writes: also of other nodes, whose entries come here.
    pub fn check_disk(&self) -> Result<(), Full> {
        let (free, total) = self.room();
        if free < self.reserve_bytes(total) {
            return Err(Full::Disk { free, total });
        }
        Ok(())
    }

    /// Bytes of memory that the indexes take.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.progress.index_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of all segment files, and of the rows in them that the indexes point at.
    #[must_use]
    pub fn used_and_live_bytes(&self) -> (u64, u64) {
        let bodies = self.bodies.all();
        let live = bodies.iter().map(|body| body.live_bytes()).sum();
        (
            bodies.iter().map(|body| body.segment.size_bytes()).sum(),
            live,
        )
    }

    /// Bytes of memory that the newest entries take.
    #[must_use]
    pub fn tail_bytes(&self) -> u64 {
        self.tail.lock().bytes()
    }

    /// Asks the disk how much room is left. Called by background steps; [`Self::check_write`] goes
    /// by the last answer.
    pub fn refresh_capacity(&self) {
        if let Ok(capacity) = self.directory.disk().capacity() {
            self.progress
                .free_bytes
                .store(capacity.free_bytes, Ordering::Relaxed);
            self.progress
                .total_bytes
                .store(capacity.total_bytes, Ordering::Relaxed);
        }
    }

    /// Bytes that can still be written, and all.
    fn room(&self) -> (u64, u64) {
        let spares = self.directory.spares() as u64 * self.settings.segment_bytes;
        let (used, _) = self.used_and_live_bytes();
        let own = self.settings.max_bytes.saturating_sub(used);
        let free = self
            .progress
            .free_bytes
            .load(Ordering::Relaxed)
            .saturating_add(spares);
        let total = self
            .progress
            .total_bytes
            .load(Ordering::Relaxed)
            .min(self.settings.max_bytes);
        (own.min(free), total)
    }

    fn reserve_bytes(&self, total: u64) -> u64 {
        ((total as f64 * RESERVE) as u64).max(RESERVE_SEGMENTS * self.settings.segment_bytes)
    }

    /// 0 with room to spare, 1 where writes are refused.
    pub(super) fn fullness(&self) -> f64 {
        let (free, total) = self.room();
        let reserve = self.reserve_bytes(total) as f64;
        (reserve / (free as f64).max(1.0)).min(1.0)
    }
}
