//! One shard in memory: its index and how far it is applied. Readers and the writer meet here.

use crate::{
    body::Bodies,
    hint::HintRow,
    index::Index,
    place::Place,
    state::{Condition, ShardState},
};
use parking_lot::RwLock;
use proto::id::{Position, ShardId};
use std::collections::BTreeSet;

/// A shard. One lock guards its index and its state, so a batch of reads under it sees one applied
/// position.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) rows: RwLock<Rows>,
}

/// What the lock guards.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) index: Index,
    /// As committed; `last` is the writer's business.
    pub(crate) state: ShardState,
    /// Hashes that two keys are known to share: their rows are told apart by reading them.
    pub(crate) shared_hashes: BTreeSet<u64>,
}

/// A committed row on its way into the index.
pub(crate) struct NewRow<'a> {
    pub(crate) row: HintRow,
    pub(crate) key: &'a [u8],
}

impl Shard {
    pub(crate) fn new(id: ShardId, rows: Rows) -> Self {
        Self {
            id,
            rows: RwLock::new(rows),
        }
    }
}

impl Rows {
    pub(crate) fn applied(&self) -> Position {
        self.state.commit.position
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.state.condition == Condition::Whole
    }

    /// Points the index at `new`. `has_key` reads a row and compares its key; it is asked only about
    /// hashes that are known to be shared.
    pub(crate) fn apply(
        &mut self,
        new: &NewRow<'_>,
        bodies: &Bodies,
        has_key: &dyn Fn(&HintRow, &[u8], Place) -> bool,
    ) {
        let entry = new.row.entry();
        let mut same = None;
        if self.shared_hashes.contains(&entry.hash) {
            for other in self.index.find(entry.hash) {
                if other.order.view() == entry.order.view()
                    && has_key(&new.row, new.key, other.place)
                {
                    same = Some(other.place);
                }
            }
            let old = self.index.upsert(entry, |other| Some(other.place) == same);
            bodies.account(old.map(|old| old.place), Some(entry.place));
            return;
        }
        let view = entry.order.view();
        let old = self.index.upsert(entry, |other| other.order.view() == view);
        bodies.account(old.map(|old| old.place), Some(entry.place));
    }
}
