//! Committing: pending rows become visible.

use super::Writer;
use crate::{
    error::CommitError,
    hint::{HintEntry, HintRow},
    pending::PendingEntry,
    place::{Order, Place, key_check},
    settings::ROWS_PER_LOCK,
    shard::{NewRow, Shard},
    store::Store,
};
use proto::id::{Position, ShardId};
use std::sync::atomic::Ordering;

impl Writer {
    /// Makes the entries of `shard` up to `through` visible. The driver calls it when every in-sync
    /// replica has them; they must be written here.
    pub fn commit(&mut self, shard: ShardId, through: Position) -> Result<(), CommitError> {
        let shared = self.store.shard_or_new(shard);
        if through <= shared.rows.read().applied() {
            return Ok(());
        }
        self.check_written(shard, through)?;
        let mut run = Vec::new();
        let mut rows = 0;
        while let Some(entry) = self
            .shards
            .get_mut(&shard)
            .and_then(|own| own.pending.pop_through(through))
        {
            rows += entry.rows.len();
            run.push(entry);
            if rows >= ROWS_PER_LOCK {
                apply(&self.store, &shared, &run);
                run.clear();
                rows = 0;
            }
        }
        apply(&self.store, &shared, &run);
        self.unlogged.insert(shard, through);
        // These commits are durable with the group after the last one.
        self.store
            .progress
            .settles
            .store(self.log.last_group() + 1, Ordering::Release);
        Ok(())
    }

    fn check_written(&self, shard: ShardId, position: Position) -> Result<(), CommitError> {
        let written_group = self.store.progress.written.load(Ordering::Acquire);
        let own = self.shards.get(&shard);
        let entry = own.and_then(|own| own.pending.at(position));
        if entry.is_some_and(|entry| entry.group <= written_group) {
            return Ok(());
        }
        let written = own.into_iter().flat_map(|own| own.pending.iter());
        let written = written
            .take_while(|entry| entry.group <= written_group)
            .last();
        let applied = self.store.applied(shard);
        let written = written.map_or(applied, |entry| entry.header.position);
        Err(CommitError::NotWritten {
            shard,
            written,
            position,
        })
    }
}

/// Applies whole entries under one lock: an entry is seen whole or not at all.
fn apply(store: &Store, shard: &Shard, entries: &[PendingEntry]) {
    let rows: Vec<Vec<NewRow<'_>>> = entries.iter().map(|entry| new_rows(store, entry)).collect();
    let mut guard = shard.rows.write();
    let before = guard.index.bytes() as u64;
    let has_key =
        |row: &HintRow, key: &[u8], place: Place| store.has_key_at(row.shard, place, row.hash, key);
    for (entry, rows) in entries.iter().zip(&rows) {
        for row in rows {
            guard.apply(row, &store.bodies, &has_key);
        }
        guard.state.note_commit(&entry.header, entry.start());
    }
    let after = guard.index.bytes() as u64;
    drop(guard);
    store.note_index_bytes(before, after);
    for (entry, rows) in entries.iter().zip(rows) {
        settle(store, entry, &rows);
    }
}

/// Accounts for a committed entry with its segment.
fn settle(store: &Store, entry: &PendingEntry, rows: &[NewRow<'_>]) {
    store.note_largest_hlc(entry.header.hlc);
    let offset = u32::try_from(entry.offset).expect("segments are below 256 MiB");
    let length = u32::try_from(entry.bytes.len()).expect("entries are bounded");
    let mut facts = entry.body.facts.lock();
    facts.unsettled -= 1;
    facts
        .content
        .entries
        .push(HintEntry::of(&entry.header, offset, length));
    facts.content.rows.extend(rows.iter().map(|row| row.row));
}

/// The index rows of an entry.
pub(crate) fn new_rows<'a>(store: &Store, entry: &'a PendingEntry) -> Vec<NewRow<'a>> {
    let row = |row: &crate::pending::PendingRow| {
        let record = entry.record(*row);
        let view = store.view_number(record.view());
        NewRow {
            row: HintRow {
                shard: entry.header.shard,
                hash: row.hash,
                place: Place::of(
                    &record,
                    entry.body.slot,
                    entry.offset + u64::from(row.offset),
                ),
                order: Order::new(record.version().event_time, view),
                position: record.position(),
                check: key_check(record.key()),
            },
            key: record.key(),
        }
    };
    entry.rows.iter().map(row).collect()
}

impl Store {
    /// Whether the row at `place` is of that key. One that cannot be read counts as another's, so
    /// that it stays and is known as damaged.
    pub(crate) fn has_key_at(&self, shard: ShardId, place: Place, hash: u64, key: &[u8]) -> bool {
        let body = self.bodies.get(place.slot());
        let mut bytes = vec![0; place.length()];
        let read = body
            .segment
            .file()
            .and_then(|file| file.read_at(place.offset(), &mut bytes));
        let record = read
            .ok()
            .and_then(|()| self.sound_record(shard, hash, &body, place, &bytes));
        record.is_some_and(|record| record.key() == key)
    }

    pub(crate) fn note_index_bytes(&self, before: u64, after: u64) {
        // Two's complement: a smaller index takes away.
        self.progress
            .index_bytes
            .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}
