//! Records that cannot be read as they were written: known, counted, never served, never taken for
//! absent. Their index entries stay until a replica's copy takes their place.

use crate::{body::Body, place::Place, store::Store};
use proto::{id::ShardId, record::RecordView};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

/// Damaged rows named in the list at most.
const LISTED_MAX: usize = 10_000;
/// More damaged rows of one shard than this are not repaired one by one: it is copied anew.
const REPAIRED_MAX: usize = 1_000;
/// A row for which no copy was found so often is given up, and its shard is copied anew.
const TRIES_MAX: u32 = 20;

/// What is damaged.
#[derive(Debug, Default)]
pub(crate) struct DamageList {
    /// With how often no copy was found.
    rows: BTreeMap<DamagedRow, u32>,
    counts: RepairCounts,
}

/// What was found damaged since the store was opened, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepairCounts {
    /// Rows found damaged.
    pub found: u64,
    /// Rows that a replica's copy took the place of.
    pub repaired: u64,
    /// Tries that found no copy.
    pub failed: u64,
}

/// A damaged row, as far as it is known: its record cannot say its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedRow {
    /// The shard.
    pub shard: ShardId,
    /// The row's hash in the index.
    pub hash: u64,
}

impl DamageList {
    fn note(&mut self, row: DamagedRow) {
        if self.rows.len() < LISTED_MAX && !self.rows.contains_key(&row) {
            self.rows.insert(row, 0);
            self.counts.found += 1;
        }
    }

    fn forget(&mut self, row: DamagedRow) {
        self.rows.remove(&row);
    }

    /// Those that were looked for least.
    pub(crate) fn next(&self, most: usize) -> Vec<DamagedRow> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .map(|(row, tries)| (*tries, *row))
            .collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, row)| row).take(most).collect()
    }

    pub(crate) fn note_replaced(&mut self) {
        self.counts.repaired += 1;
    }

    fn is_given_up(&self, shard: ShardId) -> bool {
        let mut rows = self.rows.iter().filter(|(row, _)| row.shard == shard);
        rows.clone().any(|(_, tries)| *tries >= TRIES_MAX) || rows.nth(REPAIRED_MAX).is_some()
    }

    pub(crate) fn has(&self, shard: ShardId) -> bool {
        self.rows.keys().any(|row| row.shard == shard)
    }

    pub(crate) fn forget_shard(&mut self, shard: ShardId) {
        self.rows.retain(|row, _| row.shard != shard);
    }
}

impl Store {
    /// The rows that were found damaged and not repaired yet.
    #[must_use]
    pub fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.damage.lock().rows.keys().copied().collect()
    }

    /// Whether any is; cheap.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.damage.lock().rows.is_empty()
    }

    /// How many damaged rows were found since the store was opened, and what came of them.
    #[must_use]
    pub fn repair_counts(&self) -> RepairCounts {
        self.damage.lock().counts
    }

    /// No replica that was asked had a copy of the row.
    pub fn note_unrepaired(&self, row: DamagedRow) {
        let mut damage = self.damage.lock();
        let Some(tries) = damage.rows.get_mut(&row) else {
            return;
        };
        *tries = tries.saturating_add(1);
        damage.counts.failed += 1;
    }

    /// There is no replica that could have a copy of the row.
    pub fn give_up(&self, row: DamagedRow) {
        if let Some(tries) = self.damage.lock().rows.get_mut(&row) {
            *tries = TRIES_MAX;
        }
    }

    /// The shards with rows that no copy was found for, or with too many damaged ones to look for each.
    #[must_use]
    pub fn beyond_repair(&self) -> BTreeSet<ShardId> {
        let damage = self.damage.lock();
        let shards: BTreeSet<ShardId> = damage.rows.keys().map(|row| row.shard).collect();
        let given_up = |shard: &ShardId| damage.is_given_up(*shard);
        shards.into_iter().filter(given_up).collect()
    }

    /// The record whose bytes were read from `place`, if they are what was written.
    pub(crate) fn sound_record<'a>(
        &self,
        shard: ShardId,
        hash: u64,
        body: &Arc<Body>,
        place: Place,
        bytes: &'a [u8],
    ) -> Option<RecordView<'a>> {
        let record = RecordView::parse(bytes)
            .ok()
            .filter(|record| record.bytes().len() == place.length() && record.verify().is_ok());
        if record.is_none() {
            self.note_damage(shard, hash, body);
        }
        record
    }

    /// Takes a row off the list. When none is left, all segments may be compacted again.
    pub(crate) fn note_repaired(&self, row: DamagedRow) {
        let mut damage = self.damage.lock();
        damage.forget(row);
        if damage.rows.is_empty() {
            for body in self.bodies.all() {
                body.is_damaged.store(false, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn note_damage(&self, shard: ShardId, hash: u64, body: &Arc<Body>) {
        body.is_damaged.store(true, Ordering::Relaxed);
        self.damage.lock().note(DamagedRow { shard, hash });
    }
}
