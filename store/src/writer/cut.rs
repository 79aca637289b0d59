//! Cutting a shard's tail: a log record, since other shards' entries lie between.

use super::Writer;
use crate::{
    error::CutError,
    hint::HintCut,
    segment,
    state::{Condition, LogEnd, ShardState, StateRecord, cut_entry},
};
use proto::id::{Position, ShardId};
use std::sync::Arc;

impl Writer {
    /// Makes the entries of `shard` past `after` void, and the images in them.
    pub fn cut(&mut self, shard: ShardId, after: Position) -> Result<(), CutError> {
        let commit = self.store.state(shard).unwrap_or_default().commit;
        if after < commit.position {
            return Err(CutError::below_commit(shard, commit.position, after));
        }
        if after >= self.last(shard).position {
            return Ok(());
        }
        let (body, place) = self.append_internal(&[cut_entry(shard, after)])?;
        let mut facts = body.facts.lock();
        facts.has_cuts = true;
        facts.content.cuts.push(HintCut {
            shard,
            after,
            at: place.offset,
        });
        drop(facts);
        self.void_after(shard, after, commit);
        Ok(())
    }

    fn void_after(&mut self, shard: ShardId, after: Position, commit: LogEnd) {
        let own = self.shards.entry(shard).or_default();
        while let Some(entry) = own.pending.pop_after(after) {
            entry.body.facts.lock().unsettled -= 1;
        }
        own.last = own.pending.iter().last().map_or(commit, |entry| LogEnd {
            epoch: entry.header.epoch,
            position: entry.header.position,
        });
        self.store.tail.lock().cut(shard, after);
    }

    /// Empties a shard: it left this node, or a copy from a replica takes its place.
    pub fn drop_shard(&mut self, shard: ShardId) -> Result<(), segment::AppendError> {
        self.begin_anew(shard, Condition::Whole)
    }

    /// Voids all that the shard has, in memory and on disk.
    pub(crate) fn begin_anew(
        &mut self,
        shard: ShardId,
        condition: Condition,
    ) -> Result<(), segment::AppendError> {
        let store = Arc::clone(&self.store);
        // Compaction must not look rows up before and publish them as if it had been after.
        let _alone = store.keeper.lock();
        let state = ShardState::begun_anew(condition);
        let (_, place) =
            self.append_internal(&[StateRecord::Shard(shard, state.clone()).entry()])?;
        self.void_after(shard, Position(0), LogEnd::default());
        self.unlogged.remove(&shard);
        for body in self.store.bodies.all() {
            let content = &mut body.facts.lock().content;
            content.rows.retain(|row| row.shard != shard);
            content.entries.retain(|entry| entry.shard != shard);
            content.cuts.retain(|cut| cut.shard != shard);
        }
        let shared = self.store.shard_or_new(shard);
        let mut rows = shared.rows.write();
        let before = rows.index.bytes() as u64;
        let mut cursor = Some(crate::index::Cursor::default());
        while let Some(at) = cursor {
            let (entries, next) = rows.index.walk(at);
            entries
                .iter()
                .for_each(|entry| self.store.bodies.account(Some(entry.place), None));
            cursor = next;
        }
        *rows = crate::shard::Rows::default();
        rows.state = ShardState {
            begun_in_group: place.number,
            ..state
        };
        self.store
            .note_index_bytes(before, rows.index.bytes() as u64);
        self.store.damage.lock().forget_shard(shard);
        Ok(())
    }
}
