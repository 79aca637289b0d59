//! The sweep: rows below their view's floor and tombstones that nothing can come behind leave the
//! index. Their bytes go with compaction.

use super::StepError;
use crate::{
    index::Cursor, place::IndexEntry, settings::ROWS_PER_LOCK, shard::Shard, store::Store,
};
use proto::{hlc::Hlc, id::ShardId};
use std::sync::Arc;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows that were looked at.
    pub looked_at: u64,
    /// Rows that left the index.
    pub removed: u64,
    /// All shards have been walked once more.
    pub round_done: bool,
}

/// Where the sweep stands.
#[derive(Default)]
pub(super) struct Round {
    shard: ShardId,
    cursor: Cursor,
}

impl Store {
    /// Sweeps on over at least `budget_rows` rows, or to the end of the round.
    pub fn sweep_step(&self, budget_rows: u64) -> Result<Swept, StepError> {
        let mut keeper = self.keeper.lock();
        let mut done = Swept::default();
        while done.looked_at < budget_rows {
            let shards = self.all_shards();
            let Some(shard) = shards.iter().find(|shard| shard.id >= keeper.sweep.shard) else {
                keeper.sweep = Round::default();
                done.round_done = true;
                break;
            };
            let (entries, next) = shard.rows.read().index.walk(keeper.sweep.cursor);
            done.looked_at += entries.len() as u64 + 1;
            done.removed += self.sweep_rows(shard, &entries);
            keeper.sweep = match next {
                Some(cursor) => Round {
                    shard: shard.id,
                    cursor,
                },
                None => Round {
                    shard: ShardId(shard.id.0 + 1),
                    cursor: Cursor::default(),
                },
            };
        }
        Ok(done)
    }

    fn sweep_rows(&self, shard: &Arc<Shard>, entries: &[IndexEntry]) -> u64 {
        let mark = shard.rows.read().state.collected;
        let gone: Vec<&IndexEntry> = entries
            .iter()
            .filter(|entry| self.is_past(shard.id, entry, mark))
            .collect();
        let mut removed = 0;
        for few in gone.chunks(ROWS_PER_LOCK) {
            let mut rows = shard.rows.write();
            for entry in few
                .iter()
                .filter(|entry| rows.index.is_at(entry.hash, entry.place))
                .collect::<Vec<_>>()
            {
                rows.index.remove(entry.hash, entry.place);
                self.bodies.account(Some(entry.place), None);
                removed += 1;
            }
        }
        removed
    }

    /// Whether a row may leave the index.
    fn is_past(&self, shard: ShardId, entry: &IndexEntry, mark: Hlc) -> bool {
        let known = self.purge_of(entry.order.view());
        if known.is_some_and(|purge| entry.order.event_time() < purge.floor) {
            return true;
        }
        let may_be_collected = entry.place.is_tombstone()
            && known.is_none_or(|purge| {
                purge
                    .max_late
                    .is_some_and(|late| entry.order.event_time() < mark.event_time().minus(late))
            });
        (may_be_collected || known.is_none()) && self.record_is_past(shard, entry, mark)
    }

    /// The same, for rows whose index entry does not say enough.
    fn record_is_past(&self, shard: ShardId, entry: &IndexEntry, mark: Hlc) -> bool {
        let body = self.bodies.get(entry.place.slot());
        let mut bytes = vec![0; entry.place.length()];
        let read = body
            .segment
            .file()
            .and_then(|file| file.read_at(entry.place.offset(), &mut bytes));
        let record = read
            .ok()
            .and_then(|()| self.sound_record(shard, entry.hash, &body, entry.place, &bytes));
        let Some(record) = record else { return false };
        let purge = self.views.read().purge(record.view());
        let version = record.version();
        let beyond = |late| version.event_time < mark.event_time().minus(late);
        let collected = record.kind().is_tombstone()
            && version.write_time <= mark
            && purge.max_late.is_some_and(beyond);
        version.event_time < purge.floor || collected
    }
}
