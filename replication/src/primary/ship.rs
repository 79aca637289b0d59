//! Sending: from the tail, from the log, or a snapshot; whatever the peer needs next.

use super::{
    Primary,
    peer::{Flow, Growth, Peer},
};
use crate::{
    configuration::{Member, Standing},
    context::Context,
    core::Core,
    effect::Effect,
    entry::{Entry, Mark},
    event::Read,
    message::{Append, Body, Mismatch},
    settings::{IN_FLIGHT_BYTES, MESSAGE_BYTES, REWIND_PAUSE},
};
use proto::id::{NodeId, Position};

impl Primary {
    /// Sends what each peer lacks, as far as it is its turn.
    pub(super) fn ship_to_all(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let closed_through = self.closed_through;
        for peer in self.peers.values_mut() {
            ship(core, ctx, peer, closed_through, effects);
        }
    }

    /// Says where the log ends; a peer that does not follow says from where to send.
    pub(super) fn probe(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        which: impl Fn(Member) -> bool,
        effects: &mut Vec<Effect>,
    ) {
        let closed_through = self.closed_through;
        for peer in self.peers.values_mut().filter(|peer| which(peer.member)) {
            peer.release(ctx.budget);
            peer.flow = Flow::Streaming;
            peer.next = core.log.end().position.next();
            note(core, peer, closed_through, effects);
        }
    }

    pub(super) fn on_peer_down(&mut self, ctx: &mut Context<'_>, node: NodeId) {
        let of_node = |peer: &&mut Peer| peer.member.node == node;
        for peer in self.peers.values_mut().filter(of_node) {
            peer.release(ctx.budget);
            peer.flow = Flow::Down;
        }
    }

    pub(super) fn on_mismatch(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        mismatch: Mismatch,
        effects: &mut Vec<Effect>,
    ) {
        let closed_through = self.closed_through;
        let Some(peer) = self.peers.get_mut(&mismatch.member) else {
            return;
        };
        if peer.session != mismatch.session {
            return;
        }
        let now = ctx.now.monotonic;
        peer.hear(now);
        peer.boot = Some(mismatch.boot);
        if matches!(peer.flow, Flow::Snapshot | Flow::Reading) {
            return;
        }
        peer.flow = Flow::Streaming;
        if mismatch.resume == Position(0) {
            start_snapshot(core, ctx, peer, &mut self.next_session, effects);
        } else if mismatch.resume <= core.log.end().position.next()
            && peer.rewind(mismatch.resume, now, REWIND_PAUSE, ctx.budget)
        {
            ship(core, ctx, peer, closed_through, effects);
        }
    }

    pub(super) fn on_log_read(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        member: Member,
        from: Position,
        read: Read,
        effects: &mut Vec<Effect>,
    ) {
        let closed_through = self.closed_through;
        let Some(peer) = self.peers.get_mut(&member) else {
            return;
        };
        if peer.flow != Flow::Reading {
            return;
        }
        peer.flow = Flow::Streaming;
        match read {
            Read::Entries(entries) if peer.next == from && !entries.is_empty() => {
                send(core, ctx, peer, entries, closed_through, effects);
                ship(core, ctx, peer, closed_through, effects);
            }
            Read::Entries(_) => ship(core, ctx, peer, closed_through, effects),
            Read::Gone => start_snapshot(core, ctx, peer, &mut self.next_session, effects),
        }
    }
}

/// Sends from where the peer is, within the limit in flight: what is committed is read from the log,
/// what is not stands in the tail.
pub(super) fn ship(
    core: &Core,
    ctx: &mut Context<'_>,
    peer: &mut Peer,
    closed_through: u64,
    effects: &mut Vec<Effect>,
) {
    while peer.flow == Flow::Streaming && peer.next <= core.log.end().position {
        if ctx.budget.in_flight(peer.member.node) >= IN_FLIGHT_BYTES {
            return;
        }
        if peer.next <= core.log.committed().position {
            peer.flow = Flow::Reading;
            effects.push(Effect::ReadLog {
                peer: peer.member,
                from: peer.next,
                bytes: MESSAGE_BYTES,
            });
            return;
        }
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let begins_within = bytes < MESSAGE_BYTES;
            bytes += entry.bytes().len();
            begins_within
        };
        let entries = core.log.tail_from(peer.next).take_while(fits);
        let entries = entries.cloned().collect();
        send(core, ctx, peer, entries, closed_through, effects);
    }
}

fn send(
    core: &Core,
    ctx: &mut Context<'_>,
    peer: &mut Peer,
    entries: Vec<Entry>,
    closed_through: u64,
    effects: &mut Vec<Effect>,
) {
    let Some(previous) = entries.first().map(Entry::previous) else {
        return;
    };
    for entry in &entries {
        peer.sent(entry.header().position, entry.bytes().len(), ctx.budget);
    }
    append(core, peer, previous, entries, closed_through, effects);
}

/// Says how far things are, without entries. A peer that missed something finds out by the mark.
pub(super) fn note(core: &Core, peer: &Peer, closed_through: u64, effects: &mut Vec<Effect>) {
    let position = Position(peer.next.0 - 1);
    if peer.flow == Flow::Streaming
        && let Some(epoch) = core.log.epoch_at(position)
    {
        let previous = Mark { epoch, position };
        append(core, peer, previous, Vec::new(), closed_through, effects);
    }
}

/// The same, also where the stream was broken when that was heard of last. Word that it stands again
/// may be lost where much else goes on, and then nothing but an answer tells.
pub(super) fn note_or_try(
    core: &Core,
    peer: &mut Peer,
    closed_through: u64,
    effects: &mut Vec<Effect>,
) {
    if peer.flow == Flow::Down {
        peer.next = core.log.end().position.next();
        append(
            core,
            peer,
            core.log.end(),
            Vec::new(),
            closed_through,
            effects,
        );
    } else {
        note(core, peer, closed_through, effects);
    }
}

fn append(
    core: &Core,
    peer: &Peer,
    previous: Mark,
    entries: Vec<Entry>,
    closed_through: u64,
    effects: &mut Vec<Effect>,
) {
    let body = Body::Append(Append {
        member: peer.member,
        session: peer.session,
        previous,
        entries,
        committed: core.log.committed().position,
        closed_through,
    });
    core.send(peer.member.node, body, effects);
}

/// A joiner beyond the log starts empty. One that a commit counts on never does.
fn start_snapshot(
    core: &Core,
    ctx: &mut Context<'_>,
    peer: &mut Peer,
    next_session: &mut u32,
    effects: &mut Vec<Effect>,
) {
    let counts = peer.standing == Standing::InSync || peer.growth == Growth::Proposed;
    let Some(boot) = peer.boot.filter(|_| !counts) else {
        peer.is_lost |= counts;
        return;
    };
    peer.open_session(*next_session, ctx.budget);
    *next_session += 1;
    effects.push(Effect::StartSnapshot {
        to: peer.member,
        boot,
        fence: core.fence(),
        session: peer.session,
    });
}
