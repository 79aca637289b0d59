//! Committing, and completing closes: step 4 of the write path.

use super::{Primary, peer::Peer, ship};
use crate::{
    context::Context, core::Core, effect::Effect, entry::Entry, message::Ack, planted::Bug,
    requests::Written, write::Answer,
};
use proto::id::{Position, Sequence};

impl Primary {
    pub(super) fn on_ack(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        ack: Ack,
        effects: &mut Vec<Effect>,
    ) {
        let closed_through = self.closed_through;
        let Some(peer) = self.peers.get_mut(&ack.member) else {
            return;
        };
        // A log that was dropped since: what it held does not count.
        if peer.session != ack.session {
            return;
        }
        peer.hear(ctx.now.monotonic);
        peer.stand();
        peer.acknowledge(&ack, ctx.now.monotonic, ctx.budget);
        ship::ship(core, ctx, peer, closed_through, effects);
        self.advance(core, ctx, effects);
    }

    /// Commits what every needed replica holds, this one included, and completes closes. Tells the
    /// peers at once: a token may wait at a backup.
    pub(super) fn advance(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        // Its copy does not count any more, and the others cannot know: it answers nothing.
        if core.damaged {
            return;
        }
        let before = (core.log.committed(), self.closed_through);
        if let Some(through) = self.committable(core) {
            for entry in core.commit(ctx, through, effects) {
                self.answer(&entry, effects);
                if entry.header().sequence > Sequence(0) {
                    effects.push(Effect::Settled(entry));
                }
            }
        }
        self.complete_closes(core, effects);
        if before != (core.log.committed(), self.closed_through) {
            for peer in self.peers.values() {
                ship::note(core, peer, self.closed_through, effects);
            }
        }
    }

    /// Not before the epoch's own entry is held by all: with it, so is everything before it.
    fn committable(&self, core: &Core) -> Option<Position> {
        if self.stranded && !core.planted.has(Bug::JoinerNotNeeded) {
            return None;
        }
        let held = self.needed(core).map(|peer| peer.durable);
        let through = held.fold(core.durable(), Position::min);
        (through >= self.opened_at?).then_some(through)
    }

    pub(super) fn needed(&self, core: &Core) -> impl Iterator<Item = &Peer> {
        let members_only = core.planted.has(Bug::JoinerNotNeeded);
        let needed = move |peer: &&Peer| {
            peer.is_needed() && (!members_only || peer.growth == super::peer::Growth::None)
        };
        self.peers.values().filter(needed)
    }

    fn answer(&mut self, entry: &Entry, effects: &mut Vec<Effect>) {
        let Some(waiting) = self.waiting.remove(&entry.header().position) else {
            return;
        };
        let Some(written) = Written::of(entry) else {
            return;
        };
        for to in waiting {
            let answer = Answer::Written(written.clone());
            effects.push(Effect::Reply { to, answer });
        }
    }

    /// A round is done once all needed replicas promised it and the entries before it are committed.
    fn complete_closes(&mut self, core: &mut Core, effects: &mut Vec<Effect>) {
        let promised = if core.planted.has(Bug::CloseWithoutAcks) {
            u64::MAX
        } else {
            let promised = self.needed(core).map(|peer| peer.promised);
            promised.fold(u64::MAX, u64::min)
        };
        while let Some(sent) = self.rounds.pop_front() {
            let committed = sent.round.position <= core.log.committed().position;
            if sent.round.number > promised || !committed || self.stranded {
                self.rounds.push_front(sent);
                return;
            }
            for close in sent.round.closes() {
                core.closes.close(close);
            }
            core.closes.complete_before(sent.sent_at);
            self.closed_through = sent.round.number;
            let (round, sent_at) = (sent.round, sent.sent_at);
            effects.push(Effect::Closed { round, sent_at });
        }
    }

    /// Whether the epoch's own entry is committed: from then on it may close and propose joiners.
    pub(crate) fn is_open(&self, core: &Core) -> bool {
        let committed = core.log.committed().position;
        self.opened_at.is_some_and(|at| at <= committed)
    }
}
