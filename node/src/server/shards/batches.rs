//! Batches on their way to the disk: given out when there is room, and told to the cores when they are
//! written or synced.

use super::driver::Driver;
use proto::id::ShardId;
use replication::{Event, Ticket};
use std::collections::{BTreeMap, VecDeque};
use store::{Batch, segment::Synced};

/// Tickets of groups: (group, shard, ticket), oldest first.
pub(super) type Tickets = VecDeque<(u64, ShardId, Ticket)>;

impl Driver {
    /// Sends what waits for peers.
    pub fn flush(&mut self) {
        self.outbox.flush();
    }

    /// What was appended since the last batch, for the disk, unless that has enough to do. Messages
    /// leave first: the bytes travel while the own disk works.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.outbox.flush();
        if !self.disk.may_write() {
            return None;
        }
        let batch = self.writer.take_batch();
        if batch.is_empty() {
            return None;
        }
        self.disk.writes(self.now.monotonic_micros());
        Some(batch)
    }

    /// What is written, for the disk to sync, when that is due.
    pub fn take_sync(&mut self) -> Option<Batch> {
        let now = self.now.monotonic_micros();
        if !self.disk.is_sync_due(now) {
            return None;
        }
        self.disk.syncs(now);
        self.written.take()
    }

    /// What is written and not synced when the node stops.
    pub fn take_last_sync(&mut self) -> Option<Batch> {
        self.written.take()
    }

    /// Whether batches are told when they are written, apart from their sync.
    #[must_use]
    pub fn tells_written(&self) -> bool {
        self.disk.tells_written()
    }

    /// Notes with which group a ticket is written and durable.
    pub(super) fn note_group(&mut self, group: u64, shard: ShardId, ticket: Ticket) {
        self.unsynced.push_back((group, shard, ticket));
        if self.disk.tells_written() {
            self.unwritten.push_back((group, shard, ticket));
        }
    }

    pub(super) fn batch_written(&mut self, mut batch: Batch) {
        self.disk.wrote(batch.bytes(), self.now.monotonic_micros());
        let group = batch.through();
        if let Some(earlier) = self.written.take() {
            batch.cover(earlier);
        }
        self.written = Some(batch);
        for (shard, through) in newest_through(&mut self.unwritten, group) {
            self.step(shard, Event::Written { through });
        }
    }

    pub(super) fn synced(&mut self, synced: Synced) {
        self.disk.synced();
        self.writer.note_synced(synced);
        for (shard, through) in newest_through(&mut self.unsynced, synced.through) {
            self.step(shard, Event::Durable { through });
        }
        self.snapshots_synced(synced.through);
    }
}

/// Takes the tickets through `group` out; each shard's last one counts for all before it.
fn newest_through(tickets: &mut Tickets, group: u64) -> BTreeMap<ShardId, Ticket> {
    let mut newest = BTreeMap::new();
    while let Some((of, shard, ticket)) = tickets.front().copied() {
        if of > group {
            break;
        }
        tickets.pop_front();
        newest.insert(shard, ticket);
    }
    newest
}
