//! The primary of one epoch: it stamps, appends, sends, and decides what is committed.
//!
//! Steps 1, 2 and 4 of the write path. One value of this type lives for one epoch: every epoch begins
//! with an entry of its own, and what was acknowledged in an earlier one counts for nothing.

mod admit;
mod beat;
mod commit;
mod membership;
mod open;
mod peer;
mod ship;
mod take;

use crate::{
    closes::Round,
    configuration::{Fence, Member},
    context::{Context, Micros},
    core::Core,
    effect::{Broken, Effect},
    event::Event,
    message::{Body, Message},
    write::{Answer, ReplyTo},
};
use peer::{Growth, Peer};
use proto::id::{Position, RegionId};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
struct SentRound {
    round: Round,
    sent_at: Micros,
}

#[derive(Debug)]
pub(crate) struct Primary {
    fence: Fence,
    /// By disk, not by node: a set may still name a wiped disk of a node that joins with a new one.
    peers: BTreeMap<Member, Peer>,
    /// Where the epoch's own entry stands, once the clock allowed to stamp it.
    opened_at: Option<Position>,
    waiting: BTreeMap<Position, Vec<ReplyTo>>,
    rounds: VecDeque<SentRound>,
    last_round: u64,
    closed_through: u64,
    next_beat: Micros,
    last_tick: Micros,
    proposed_at: Option<Micros>,
    /// The next session. Each is given once in an epoch: a peer that was placed elsewhere and comes
    /// back must not be believed what it acknowledged in between or before.
    next_session: u32,
    /// A proposed joiner is placed here no more, or lost its disk. Its proposal may still win, so
    /// nothing is committed or closed until another epoch is seen.
    stranded: bool,
    /// Everything acknowledged in those regions before these instants is in the log here.
    origins: Vec<(RegionId, Micros)>,
}

impl Primary {
    /// Takes over under the configuration that names this boot. `before` is the same primary in the
    /// epoch before, when only the in-sync set changed.
    pub(crate) fn new(core: &Core, ctx: &mut Context<'_>, before: Option<Self>) -> Self {
        let now = ctx.now.monotonic;
        let mut primary = Self {
            fence: core.fence(),
            peers: BTreeMap::new(),
            opened_at: None,
            waiting: BTreeMap::new(),
            rounds: VecDeque::new(),
            last_round: 0,
            closed_through: 0,
            next_beat: now,
            last_tick: now,
            proposed_at: None,
            next_session: 0,
            stranded: false,
            origins: Vec::new(),
        };
        let mut before = before.map(|mut before| {
            primary.waiting = std::mem::take(&mut before.waiting);
            before
        });
        primary.place_peers(core, ctx, before.as_mut());
        if let Some(before) = before {
            before.release(ctx);
        }
        primary
    }

    /// The members beside this replica, kept as they are where they were known. A peer of an
    /// earlier epoch keeps its clock and when it was heard; what it acknowledged is gone.
    pub(crate) fn place_peers(
        &mut self,
        core: &Core,
        ctx: &mut Context<'_>,
        mut before: Option<&mut Self>,
    ) {
        let Some(configuration) = &core.configuration else {
            return;
        };
        let mut old = std::mem::take(&mut self.peers);
        let next = core.log.end().position.next();
        for (member, standing) in configuration.members() {
            if member == core.member() {
                continue;
            }
            let mut peer = old.remove(&member).unwrap_or_else(|| {
                let heard = before.as_mut().and_then(|old| old.peers.get(&member));
                Peer::new(
                    member,
                    standing,
                    self.next_session,
                    next,
                    ctx.now.monotonic,
                    heard,
                )
            });
            peer.standing = standing;
            self.peers.insert(member, peer);
        }
        self.next_session += 1;
        for peer in old.into_values() {
            self.drop_peer(ctx, peer);
        }
    }

    fn drop_peer(&mut self, ctx: &mut Context<'_>, mut peer: Peer) {
        peer.release(ctx.budget);
        self.stranded |= peer.growth == Growth::Proposed;
    }

    /// Ends this primary's part in what is in flight.
    pub(crate) fn release(mut self, ctx: &mut Context<'_>) {
        for peer in self.peers.values_mut() {
            peer.release(ctx.budget);
        }
    }

    /// Tells waiting callers that this replica cannot know what becomes of their writes.
    pub(crate) fn depose(&mut self, effects: &mut Vec<Effect>) {
        for to in std::mem::take(&mut self.waiting).into_values().flatten() {
            let answer = Answer::Unknown;
            effects.push(Effect::Reply { to, answer });
        }
    }

    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        event: Event,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        // A damaged log is not built on, should nobody else have been left to lead.
        if self.opened_at.is_none() && !core.damaged {
            self.open(core, ctx, effects)?;
        }
        match event {
            Event::Write(write) => self.write(core, ctx, write, effects)?,
            Event::Remote(remote) => self.append_remote(core, ctx, remote, effects)?,
            Event::Skip(placement) => self.append_skip(core, ctx, placement, effects)?,
            Event::Message { message, .. } => self.on_message(core, ctx, message, effects),
            Event::Durable { .. } | Event::Written { .. } => self.advance(core, ctx, effects),
            Event::LogRead { peer, from, read } => {
                self.on_log_read(core, ctx, peer, from, read, effects);
            }
            Event::SnapshotEnded { peer } => {
                self.probe(core, ctx, |other| other == peer, effects);
            }
            Event::PeerUp(node) => {
                self.probe(core, ctx, |other| other.node == node, effects);
            }
            Event::PeerDown(node) => self.on_peer_down(ctx, node),
            Event::Tick => self.beat(core, ctx, effects),
            Event::Configuration(_)
            | Event::ClockRaised
            | Event::StoreDamaged
            | Event::RowsDamaged
            | Event::SnapshotBegun { .. }
            | Event::SnapshotInstalled { .. }
            | Event::SnapshotAborted => {}
        }
        self.propose(core, ctx, effects);
        Ok(())
    }

    fn on_message(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        match message.body {
            Body::Ack(ack) => self.on_ack(core, ctx, ack, effects),
            Body::Mismatch(mismatch) => self.on_mismatch(core, ctx, mismatch, effects),
            // Nobody else appends or closes in this epoch.
            Body::Append(_) | Body::Close { .. } | Body::Configuration(_) | Body::Behind => {}
        }
    }
}
