//! Growing and shrinking the in-sync set, one proposal after the other.
//!
//! A proposal's outcome is known only by the configuration that follows: an answer may be lost, and
//! a copy of it may still be under way. So a joiner that was once proposed stays needed until another
//! epoch is seen; if it falls silent, an epoch without it is proposed, and whichever comes first wins.

use super::{
    Primary,
    peer::{Growth, Peer},
};
use crate::{
    configuration::{Configuration, Member, Proposal, Standing},
    context::{Context, Micros},
    core::Core,
    effect::Effect,
    settings::PROPOSAL_RETRY,
};
use proto::id::Position;

impl Primary {
    /// The members of the in-sync set that are silent.
    pub(super) fn silent_in_sync(&self, now: Micros) -> Vec<Member> {
        let silent = |peer: &&Peer| peer.standing == Standing::InSync && peer.is_silent(now);
        let silent = self.peers.values().filter(silent);
        silent.map(|peer| peer.member).collect()
    }

    /// Proposes what the peers' state calls for, not more than once in a while.
    pub(super) fn propose(&mut self, core: &Core, ctx: &Context<'_>, effects: &mut Vec<Effect>) {
        let now = ctx.now.monotonic;
        let Some(configuration) = &core.configuration else {
            return;
        };
        if core.damaged || self.opened_at.is_none() {
            return;
        }
        self.need_joiner(core, now);
        let recently = |at| now.since(at) < PROPOSAL_RETRY;
        if self.proposed_at.is_some_and(recently) {
            return;
        }
        if let Some(proposal) = self.wanted(configuration, now) {
            self.proposed_at = Some(now);
            effects.push(Effect::Propose(proposal));
        }
    }

    /// Makes a joiner that has caught up needed, and lets one go that fell silent before it was
    /// proposed. One at a time. Where the epoch's own entry waits for a member that is gone and cannot
    /// be spared, a joiner that holds the entry is the way out: no close was completed in the epoch,
    /// and whoever holds its first entry stamps above all earlier ones.
    fn need_joiner(&mut self, core: &Core, now: Micros) {
        let is_open = self.is_open(core);
        let position = core.log.end().position;
        let round = if is_open { self.last_round + 1 } else { 0 };
        let held = core
            .log
            .committed()
            .position
            .max(self.opened_at.unwrap_or_default());
        let mut busy = self
            .peers
            .values()
            .any(|peer| peer.growth != Growth::None && !peer.is_silent(now));
        for peer in self.peers.values_mut() {
            let lagging = peer.is_silent(now) || peer.standing != Standing::Joining;
            match peer.growth {
                Growth::Needed { .. } if lagging => peer.growth = Growth::None,
                Growth::None if !lagging && !busy && has(peer, held) => {
                    peer.growth = Growth::Needed { position, round };
                    busy = true;
                }
                Growth::None | Growth::Needed { .. } | Growth::Proposed => {}
            }
        }
    }

    fn wanted(&mut self, configuration: &Configuration, now: Micros) -> Option<Proposal> {
        // As many as can be spared: one that left may come back and stand in for the next.
        let mut lost = self.silent_in_sync(now);
        lost.truncate(configuration.spare());
        if !lost.is_empty() {
            return Some(configuration.shrunk(&lost));
        }
        if self.stranded {
            return Some(configuration.shrunk(&[]));
        }
        let proposed = |peer: &&mut Peer| peer.growth == Growth::Proposed;
        if let Some(peer) = self.peers.values_mut().find(proposed) {
            return Some(if peer.is_silent(now) {
                configuration.shrunk(&[])
            } else {
                configuration.grown(peer.member)
            });
        }
        let ready = |peer: &&mut Peer| {
            matches!(peer.growth, Growth::Needed { position, round }
                if has(peer, position) && peer.promised >= round)
        };
        let peer = self.peers.values_mut().find(ready)?;
        peer.growth = Growth::Proposed;
        Some(configuration.grown(peer.member))
    }
}

fn has(peer: &Peer, position: Position) -> bool {
    peer.durable >= position
}
