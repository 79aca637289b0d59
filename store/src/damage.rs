//! Records that cannot be read as they were written: known, counted, never served, never taken for
//! absent. Their index entries stay until a replica's copy takes their place.

use crate::{body::Body, place::Place, store::Store};
use proto::{id::ShardId, record::RecordView};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

/// Damaged rows named in the list at most; beyond, the shard should be copied anew.
const LISTED_MAX: usize = 10_000;

/// What is damaged.
#[derive(Debug, Default)]
pub(crate) struct DamageList {
    rows: BTreeSet<DamagedRow>,
    found: u64,
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
        if self.rows.len() < LISTED_MAX && self.rows.insert(row) {
            self.found += 1;
        }
    }

    fn forget(&mut self, row: DamagedRow) {
        self.rows.remove(&row);
    }

    pub(crate) fn has(&self, shard: ShardId) -> bool {
        self.rows.iter().any(|row| row.shard == shard)
    }

    pub(crate) fn forget_shard(&mut self, shard: ShardId) {
        self.rows.retain(|row| row.shard != shard);
    }
}

impl Store {
    /// The rows that were found damaged and not repaired yet.
    #[must_use]
    pub fn damaged_rows(&self) -> Vec<DamagedRow> {
        self.damage.lock().rows.iter().copied().collect()
    }

    /// How many damaged rows were found since the store was opened.
    #[must_use]
    pub fn damage_found(&self) -> u64 {
        self.damage.lock().found
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
