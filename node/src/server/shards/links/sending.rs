//! Own streams on their way to a log that all other regions read.
//!
//! One session of writing is shared by all shards of a placement: after the first record of unknown
//! outcome it is dropped, another is begun, and each stream sends again what was not confirmed.

use super::{Driver, Links, replication_now};
use crate::region_log::{LogWriter, Report, Tag, WriteError};
use proto::{
    entry::{EntryKind, EntryView},
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, ShardId},
    token::Reached,
};
use replication::{
    Entry, Event, Micros,
    closes::{Close, Round},
    link::{Outbox, OutboxEffect, OutboxEvent},
};
use std::collections::BTreeMap;

/// Heartbeats are not waited for.
pub(super) const BEAT: Tag = Tag(0);

/// One stream on its way out.
pub(in crate::server::shards) struct Sending {
    pub(super) outbox: Outbox,
    /// What lies in the log at or below was read for it.
    pub(super) read_through: Position,
    /// What of the stream lies in the log at or below is shipped.
    pub(super) shipped_through: Position,
    pub(super) logged_through: Position,
    pub(super) logged_at: Micros,
    /// What all regions that read this log were sent, and when that was seen.
    pub(super) sent_through: (Position, Micros),
    /// What was not shipped is gone: when a *skip* was last asked for.
    pub(super) owes_skip: Option<Micros>,
}

/// The session of one placement's log.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) writer: Option<Box<dyn LogWriter>>,
    session: u64,
    next_tag: usize,
    /// What a tag stands for.
    under_way: BTreeMap<usize, UnderWay>,
    /// Nothing more was taken; its streams wait for reports.
    is_full: bool,
    /// Why its writer is of no use.
    pub(super) fault: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    shard: ShardId,
    reached: Reached,
    position: Position,
}

impl Driver {
    /// Has a session of writing begun where there is none.
    pub(super) fn begin_writing(&mut self, placement: PlacementId) {
        let Some(logs) = &self.links.logs else {
            return;
        };
        self.links.outgoing.entry(placement).or_insert_with(|| {
            logs.write(placement);
            Outgoing::default()
        });
    }

    pub(super) fn writer_opened(&mut self, placement: PlacementId, writer: Box<dyn LogWriter>) {
        let Some(outgoing) = self.links.outgoing.get_mut(&placement) else {
            return;
        };
        outgoing.session += 1;
        outgoing.writer = Some(writer);
        outgoing.under_way.clear();
        outgoing.is_full = false;
        outgoing.fault = None;
        let session = outgoing.session;
        tracing::info!(
            placement = placement.0,
            session,
            "the own region's log is written to"
        );
        let shards: Vec<ShardId> = self.links.shards.keys().copied().collect();
        for shard in shards {
            let from = None;
            self.step_outbox(shard, placement, OutboxEvent::Opened { session, from });
        }
    }

    /// Lets a shard's streams take part in the sessions that there are.
    pub(super) fn start_sending(&mut self, shard: ShardId) {
        let sessions = self.links.outgoing.iter();
        let open = sessions.filter(|(_, outgoing)| outgoing.writer.is_some());
        let open: Vec<_> = open
            .map(|(placement, outgoing)| (*placement, outgoing.session))
            .collect();
        for (placement, session) in open {
            let from = None;
            self.step_outbox(shard, placement, OutboxEvent::Opened { session, from });
        }
    }

    /// An entry of a stream is committed.
    pub(in crate::server::shards) fn settled(&mut self, shard: ShardId, entry: Entry) {
        let header = *entry.header();
        if !self.links.shards.contains_key(&shard) {
            return;
        }
        if header.origin == self.place.region && !self.links.is_shared() {
            self.links.board.note_change();
        } else if header.origin == self.place.region {
            if header.kind == EntryKind::Skip
                && let Some(sending) = self.links.sending(shard, header.placement)
            {
                sending.owes_skip = None;
            }
            let ready = OutboxEvent::Ready(entry);
            self.step_outbox(shard, header.placement, ready);
        } else {
            let reached = Reached {
                incarnation: header.incarnation,
                sequence: header.sequence,
            };
            let stream = (header.origin, header.placement);
            self.remote_settled(shard, stream, reached);
        }
    }

    /// A round of closes is done.
    pub(in crate::server::shards) fn closed(
        &mut self,
        shard: ShardId,
        round: &Round,
        sent_at: Micros,
    ) {
        round.closes().for_each(|close| tell(shard, close));
        let Some(links) = self.links.shards.get(&shard) else {
            return;
        };
        if !self.links.is_shared() {
            self.links.board.close(shard, round, sent_at);
            return;
        }
        let placements: Vec<PlacementId> = links.sending.keys().copied().collect();
        for placement in placements {
            let reached = round.reached(placement);
            let closed = OutboxEvent::Closed {
                reached,
                hlc: round.hlc,
                sent_at,
            };
            self.step_outbox(shard, placement, closed);
        }
    }

    /// Takes what became of records that were sent.
    pub(super) fn take_reports(&mut self) {
        let placements: Vec<PlacementId> = self.links.outgoing.keys().copied().collect();
        for placement in placements {
            self.take_reports_of(placement);
        }
    }

    fn take_reports_of(&mut self, placement: PlacementId) {
        let Some(outgoing) = self.links.outgoing.get_mut(&placement) else {
            return;
        };
        let session = outgoing.session;
        if let Some(fault) = outgoing.fault.take() {
            tracing::warn!(
                placement = placement.0,
                fault,
                "the own region's log takes nothing; another writer is made"
            );
            self.end_session(placement, session);
            return;
        }
        let reports = outgoing.writer.as_mut().map(|writer| writer.reports());
        let mut delivered: BTreeMap<ShardId, UnderWay> = BTreeMap::new();
        for report in reports.unwrap_or_default() {
            match report {
                Report::Delivered(tag) => {
                    if let Some(sent) = outgoing.under_way.remove(&tag.0) {
                        delivered.insert(sent.shard, sent);
                    }
                }
                Report::Unknown(_, fault) => {
                    tracing::warn!(
                        placement = placement.0,
                        fault,
                        "what became of a record is unknown; all unconfirmed ones are sent again"
                    );
                    self.end_session(placement, session);
                    return;
                }
            }
        }
        for (shard, sent) in delivered {
            if let Some(sending) = self.links.sending(shard, placement) {
                sending.shipped_through = sending.shipped_through.max(sent.position);
            }
            let through = sent.reached;
            self.step_outbox(
                shard,
                placement,
                OutboxEvent::Delivered { session, through },
            );
        }
        self.make_room(placement);
    }

    fn make_room(&mut self, placement: PlacementId) {
        let outgoing = self.links.outgoing.get_mut(&placement);
        if !outgoing.is_some_and(|outgoing| std::mem::take(&mut outgoing.is_full)) {
            return;
        }
        let shards: Vec<ShardId> = self.links.shards.keys().copied().collect();
        for shard in shards {
            self.step_outbox(shard, placement, OutboxEvent::Room);
        }
    }

    /// Drops a session and has another begun; each stream sends again what was not confirmed.
    pub(super) fn end_session(&mut self, placement: PlacementId, session: u64) {
        let Some(outgoing) = self.links.outgoing.get_mut(&placement) else {
            return;
        };
        if outgoing.session != session || outgoing.writer.is_none() {
            return;
        }
        let ended = outgoing.writer.take();
        outgoing.under_way.clear();
        if let Some(logs) = &self.links.logs {
            logs.end(ended);
            logs.write(placement);
        }
        let shards: Vec<ShardId> = self.links.shards.keys().copied().collect();
        for shard in shards {
            self.step_outbox(shard, placement, OutboxEvent::Failed { session });
        }
    }

    /// Steps one core and carries out what it asks for.
    fn step_outbox(&mut self, shard: ShardId, placement: PlacementId, event: OutboxEvent) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let Some(sending) = self.links.sending(shard, placement) else {
                return;
            };
            let mut effects = Vec::new();
            sending.outbox.step(event, &mut effects);
            let mut refused = None;
            for effect in effects {
                match effect {
                    OutboxEffect::Send { entry, session } if refused.is_none() => {
                        refused = self.send_entry((shard, placement), session, &entry);
                    }
                    // A new session was asked for where the old one ended; marks are logged in time.
                    OutboxEffect::Send { .. }
                    | OutboxEffect::Renew
                    | OutboxEffect::ShareMark(_)
                    | OutboxEffect::TellGone { .. } => {}
                    OutboxEffect::ReadLog { after, .. } => {
                        let entries = self.read_on(shard, placement);
                        events.push(OutboxEvent::LogRead { after, entries });
                    }
                    OutboxEffect::AppendSkip => self.append_skip(shard, placement),
                }
            }
            events.extend(refused);
        }
    }

    /// Gives an entry to the session's writer; what its core must hear if it was not taken.
    fn send_entry(
        &mut self,
        (shard, placement): (ShardId, PlacementId),
        session: u64,
        entry: &Entry,
    ) -> Option<OutboxEvent> {
        let header = *entry.header();
        let reached = Reached {
            incarnation: header.incarnation,
            sequence: header.sequence,
        };
        let (cluster, partition) = (
            self.links.cluster,
            self.links.partition(self.place.region, shard),
        );
        let outgoing = self.links.outgoing.get_mut(&placement)?;
        let full = OutboxEvent::Full { session, reached };
        let writer = outgoing.writer.as_mut().filter(|_| !outgoing.is_full);
        let Some(writer) = writer else {
            return Some(full);
        };
        let view = EntryView::parse(entry.bytes()).expect("entries are checked when they come");
        let record = proto::link::encode_entry(cluster, &view)?;
        outgoing.next_tag += 1;
        let tag = outgoing.next_tag;
        match writer.send(partition, Tag(tag), &record) {
            Ok(()) => {
                let position = header.position;
                let sent = UnderWay {
                    shard,
                    reached,
                    position,
                };
                outgoing.under_way.insert(tag, sent);
                None
            }
            Err(WriteError::Full) => {
                outgoing.is_full = true;
                Some(full)
            }
            Err(WriteError::Broken(fault)) => {
                outgoing.is_full = true;
                outgoing.fault = Some(fault);
                Some(full)
            }
        }
    }

    pub(super) fn append_skip(&mut self, shard: ShardId, placement: PlacementId) {
        tracing::warn!(
            %shard,
            placement = placement.0,
            "what was not shipped is gone from the log; other regions go on by a snapshot"
        );
        let now = replication_now(self.now).monotonic;
        if let Some(sending) = self.links.sending(shard, placement) {
            sending.owes_skip = Some(now);
        }
        self.step(shard, Event::Skip(placement));
    }
}

impl Links {
    pub(super) fn sending(
        &mut self,
        shard: ShardId,
        placement: PlacementId,
    ) -> Option<&mut Sending> {
        self.shards.get_mut(&shard)?.sending.get_mut(&placement)
    }
}

impl Sending {
    /// What may be told of the stream, see [`Outbox::said`].
    pub(super) fn said(&self) -> (Reached, Hlc, Option<Micros>) {
        self.outbox.said()
    }

    /// Whether its incarnation is not the first: others may have what was lost with the one before.
    pub(super) fn is_reborn(&self) -> bool {
        self.outbox.said().0.incarnation > Incarnation(1)
    }
}

/// Four a second and shard: for the simulated world, which judges closes.
fn tell(shard: ShardId, close: Close) {
    tracing::trace!(
        %shard,
        placement = close.placement.0,
        incarnation = close.incarnation.0,
        sequence = close.sequence.0,
        hlc = close.hlc.0,
        "a close is done"
    );
}
