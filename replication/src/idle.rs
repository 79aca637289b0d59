//! A replica without a part: not placed here any more, or a primary that restarted.
//!
//! A restarted primary must not go on in its epoch: it may have sent entries that it lost, and would
//! give their positions a second time. It proposes itself for the next epoch; whoever else the
//! controller proposes may win.

use crate::{
    configuration::Primary,
    context::{Context, Micros},
    core::Core,
    effect::Effect,
    event::Event,
    settings::{LEFTOVER_AFTER, PROPOSAL_RETRY},
};

#[derive(Debug, Default)]
pub(crate) struct Idle {
    proposed_at: Option<Micros>,
    /// Since when nobody could need what this replica has.
    unneeded_since: Option<Micros>,
}

impl Idle {
    pub(crate) fn step(
        &mut self,
        core: &Core,
        ctx: &Context<'_>,
        event: Event,
        effects: &mut Vec<Effect>,
    ) {
        match event {
            Event::Tick => {
                self.propose_return(core, ctx, effects);
                self.look_for_need(core, ctx.now.monotonic);
            }
            Event::Configuration(_)
            | Event::Write(_)
            | Event::Remote(_)
            | Event::Skip(_)
            | Event::Message { .. }
            | Event::Durable { .. }
            | Event::Written { .. }
            | Event::ClockRaised
            | Event::LogRead { .. }
            | Event::SnapshotEnded { .. }
            | Event::SnapshotBegun { .. }
            | Event::SnapshotInstalled { .. }
            | Event::SnapshotAborted
            | Event::PeerUp(_)
            | Event::PeerDown(_)
            | Event::StoreDamaged
            | Event::RowsDamaged => {}
        }
    }

    /// It is not named, so nothing that was acknowledged rests on it; and the shard has all its copies, so
    /// that it need not be asked back either.
    fn look_for_need(&mut self, core: &Core, now: Micros) {
        let configuration = core.configuration.as_ref();
        let is_unneeded = configuration
            .is_some_and(|known| known.standing(core.member()).is_none() && known.is_whole());
        self.unneeded_since = self.unneeded_since.or(Some(now)).filter(|_| is_unneeded);
    }

    pub(crate) fn is_leftover(&self, now: Micros) -> bool {
        self.unneeded_since
            .is_some_and(|since| now.since(since) >= LEFTOVER_AFTER)
    }

    /// Only a member proposes itself: its log holds all that was acknowledged.
    pub(crate) fn propose_return(
        &mut self,
        core: &Core,
        ctx: &Context<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(configuration) = &core.configuration else {
            return;
        };
        let returning = configuration.primary.node == core.me.node
            && configuration.in_sync.contains(&core.member())
            && !core.damaged;
        let now = ctx.now.monotonic;
        let recently = self
            .proposed_at
            .is_some_and(|at| now.since(at) < PROPOSAL_RETRY);
        if returning && !recently {
            self.proposed_at = Some(now);
            let me = Primary {
                node: core.me.node,
                boot: core.me.boot,
            };
            effects.push(Effect::Propose(configuration.with_primary(me)));
        }
    }
}
