//! What happens without a cause: closes and signs of life, every quarter of a second.

use super::{
    Primary, SentRound,
    peer::{Flow, Peer, Told},
    ship,
};
use crate::{
    closes::Round,
    context::{Context, Micros},
    core::Core,
    effect::Effect,
    message::{Body, Echo},
    settings::{CLOSE_INTERVAL, OWN_PAUSE, ROUNDS_KEPT},
};
use proto::id::RegionId;

use super::open::stamps;

impl Primary {
    pub(super) fn beat(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let now = ctx.now.monotonic;
        let stood_still = now.since(self.last_tick) >= OWN_PAUSE;
        self.last_tick = now;
        let end = core.log.end().position;
        for peer in self.peers.values_mut() {
            peer.compare(end, now);
            if stood_still {
                peer.forgive(now);
            }
        }
        // A replica that cannot write lets itself be replaced: it is not heard from.
        if core.damaged {
            return;
        }
        self.ship_to_all(core, ctx, effects);
        if now < self.next_beat {
            return;
        }
        self.next_beat = now.plus(CLOSE_INTERVAL);
        for peer in self.peers.values_mut() {
            ship::note_or_try(core, peer, self.closed_through, effects);
        }
        if self.is_open(core) {
            self.start_round(core, ctx, effects);
            self.advance(core, ctx, effects);
        }
    }

    /// Takes note of what is in the log of other regions' streams, before it beats.
    pub(crate) fn know_origins(&mut self, origins: Vec<(RegionId, Micros)>) {
        self.origins = origins;
    }

    /// Whether a round is due with the next tick.
    pub(crate) fn is_beat_due(&self, now: Micros) -> bool {
        now >= self.next_beat
    }

    fn ages(&self, now: Micros) -> Vec<(RegionId, Micros)> {
        let age = |at: &Micros| {
            let age = now.since(*at).0;
            Micros(age + age / 1_000 + 1)
        };
        let origins = self.origins.iter();
        origins.map(|(origin, at)| (*origin, age(at))).collect()
    }

    fn start_round(&mut self, core: &Core, ctx: &mut Context<'_>, effects: &mut Vec<Effect>) {
        // All later stamps are larger than this one.
        let Some(hlc) = stamps(ctx, 1, effects) else {
            // The clock waits for its bound: again at the next tick, not a whole beat later.
            self.next_beat = ctx.now.monotonic;
            return;
        };
        self.last_round += 1;
        let heads = core.log.heads().iter();
        let round = Round {
            number: self.last_round,
            position: core.log.end().position,
            hlc,
            heads: heads
                .map(|(placement, head)| (placement, head.incarnation, head.sequence))
                .collect(),
            ages: self.ages(ctx.now.monotonic),
        };
        // One that waits for a snapshot could not count a close, and must not hear of its session before
        // the snapshot does: it would take that for a session that it has acknowledged under.
        let counting = |peer: &&Peer| peer.flow != Flow::Snapshot;
        for peer in self.peers.values().filter(counting) {
            let body = Body::Close {
                member: peer.member,
                session: peer.session,
                round: round.clone(),
                echo: peer.told.map(|told| echo(told, ctx.now.monotonic)),
            };
            core.send(peer.member.node, body, effects);
        }
        let sent_at = ctx.now.monotonic;
        self.rounds.push_back(SentRound { round, sent_at });
        if self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
    }
}

/// The peer's clock, moved on by the time it was held here, less what this clock may run ahead.
fn echo(told: Told, now: Micros) -> Echo {
    let held = now.since(told.at).0;
    Echo {
        boot: told.boot,
        instant: told
            .clock
            .plus(Micros(held.saturating_sub(held / 1_000 + 1))),
    }
}
