//! Carrying out what a replica's core asks for. No decision is taken here.

use super::{
    driver::{Driver, Proposed, replication_now},
    merging::hash_of,
    snapshots::{Arrival, SnapshotOrder},
};
use crate::server::hlc_bound::{LOW, ROOM};
use proto::{entry::EntryView, hlc::Hlc, id::ShardId, schema::Schemas};
use raft::registry::Catalog;
use replication::{Effect, Entry, Event, Member, Message, Read, Replica, Ticket, message::Body};
use store::{LogRead, NewEntry};

impl Driver {
    pub(super) fn carry_out(&mut self, shard: ShardId, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Append { ticket, entry } => self.append(shard, ticket, &entry),
            Effect::Cut { ticket, after } => {
                let role = self.replicas.get(&shard).map(Replica::role);
                tracing::info!(%shard, %after, ?role, "a tail that nobody committed is cut");
                self.writer
                    .cut(shard, after)
                    .map_err(|error| error.to_string())?;
                self.note_ticket(shard, ticket);
                Ok(())
            }
            Effect::StartEmpty { ticket } => {
                tracing::info!(%shard, "the shard begins anew, to take a snapshot");
                let install = self.writer.begin_install(shard);
                let install = install.map_err(|error| error.to_string())?;
                self.snapshots.note_emptied(shard, Box::new(install));
                self.note_ticket(shard, ticket);
                Ok(())
            }
            Effect::Commit { through } => self
                .writer
                .commit(shard, through.position)
                .map_err(|error| error.to_string()),
            Effect::Send { to, message } => {
                self.outbox.push(to, shard, &message);
                Ok(())
            }
            Effect::Reply { to, answer } => {
                self.answer(to, answer);
                Ok(())
            }
            Effect::Propose(proposal) => {
                // The proposer's task ends with the node.
                let _ = self.proposals.send(Proposed { shard, proposal });
                Ok(())
            }
            Effect::RaiseClockBound { above } => self
                .raise_bound(above)
                .map(|()| self.step(shard, Event::ClockRaised)),
            Effect::ReadLog { peer, from, bytes } => {
                let read = self.read_for(shard, peer, from, bytes);
                self.step(shard, Event::LogRead { peer, from, read });
                Ok(())
            }
            Effect::StartSnapshot {
                to,
                boot,
                fence,
                session,
            } => {
                let arrival = Arrival {
                    shard,
                    fence,
                    session,
                };
                self.snapshots.order(SnapshotOrder { arrival, to, boot });
                Ok(())
            }
            Effect::Closed { round, sent_at } => {
                self.closed(shard, &round, sent_at);
                Ok(())
            }
            Effect::Settled(entry) => {
                self.settled(shard, entry);
                Ok(())
            }
            Effect::Stop(broken) => Err(broken.to_string()),
        }
    }

    fn append(&mut self, shard: ShardId, ticket: Ticket, entry: &Entry) -> Result<(), String> {
        let hashes = hashes_of(entry, &self.catalog)?;
        let new = NewEntry {
            bytes: entry.bytes().clone(),
            hashes: &hashes,
        };
        let appended = self
            .writer
            .append(&[new])
            .map_err(|error| error.to_string())?;
        self.board.note_appended(entry.bytes().len());
        self.note_group(appended.group, shard, ticket);
        Ok(())
    }

    /// The ticket is durable with the last group that was appended.
    fn note_ticket(&mut self, shard: ShardId, ticket: Ticket) {
        self.note_group(self.writer.store().appended_through(), shard, ticket);
    }

    /// Reads the log for a peer, and keeps what it reads from going away under it.
    fn read_for(
        &mut self,
        shard: ShardId,
        peer: Member,
        from: proto::id::Position,
        bytes: usize,
    ) -> Read {
        let (store, now) = (self.writer.store(), replication_now(self.now).monotonic);
        self.holds.reads(store, (shard, peer), from, now);
        let read = self.read_log(shard, from, bytes);
        if let Read::Entries(entries) = &read {
            let read_bytes = entries.iter().map(|entry| entry.bytes().len()).sum();
            self.board.note_caught_up(read_bytes);
        }
        read
    }

    fn read_log(&self, shard: ShardId, from: proto::id::Position, bytes: usize) -> Read {
        let entries = match self.writer.store().read_log(shard, from, bytes) {
            Ok(LogRead::Entries(entries)) => entries,
            Ok(LogRead::End | LogRead::Gone) => return Read::Gone,
            Err(error) => {
                tracing::warn!(%shard, %error, "read the log for a peer");
                return Read::Gone;
            }
        };
        let entries: Result<Vec<Entry>, _> = entries.into_iter().map(Entry::received).collect();
        match entries {
            Ok(entries) if !entries.is_empty() => Read::Entries(entries),
            Ok(_) | Err(_) => Read::Gone,
        }
    }

    fn raise_bound(&mut self, above: Hlc) -> Result<(), String> {
        let wanted = self
            .clock
            .bound_wanted(self.now.wall_millis(), ROOM)
            .max(Hlc(above.0 + 1));
        self.bound
            .write(wanted)
            .map_err(|error| format!("write the clock's bound: {error}"))?;
        self.clock.raise_bound(wanted);
        Ok(())
    }

    /// Raises the bound while there is still room below it, so that no stamp waits for the disk.
    pub(super) fn raise_bound_early(&mut self) {
        let low = self.clock.bound_wanted(self.now.wall_millis(), LOW);
        if self.clock.bound() >= low {
            return;
        }
        match self.raise_bound(low) {
            Ok(()) => self.clock_raised(),
            Err(fault) => self.broken = Some(fault),
        }
    }

    fn clock_raised(&mut self) {
        let shards: Vec<ShardId> = self.replicas.keys().copied().collect();
        for shard in shards {
            self.step(shard, Event::ClockRaised);
        }
    }
}

/// The index hashes of an entry's indexed records.
fn hashes_of(entry: &Entry, catalog: &Catalog) -> Result<Vec<u64>, String> {
    let view = EntryView::parse(entry.bytes()).map_err(|error| error.to_string())?;
    let indexed = view
        .records()
        .filter(|(_, record)| record.kind().is_indexed());
    let hash = |(_, record): (usize, proto::record::RecordView<'_>)| {
        hash_of(&record, catalog)
            .ok_or_else(|| format!("view {} is not in the registry", record.view()))
    };
    indexed.map(hash).collect()
}

/// Whether the schemas of all rows in a message are known.
pub(super) fn is_understood(message: &Message, catalog: &Catalog) -> bool {
    let Body::Append(append) = &message.body else {
        return true;
    };
    append.entries.iter().all(|entry| {
        let view = EntryView::parse(entry.bytes()).expect("entries are checked when they come");
        view.records().all(|(_, record)| {
            catalog
                .schema(record.view(), record.schema_version())
                .is_some()
        })
    })
}
