//! What a link does about what did not come.

use super::{From, Link, LinkEffect, State, state::Evidence};
use crate::{
    context::{Micros, Now},
    settings::{GAP_PATIENCE, GAP_READ_AGAIN, SNAPSHOT_RETRY},
};
use proto::token::Reached;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    since: Micros,
    read_at: Micros,
    /// An entry or a close that came too early: the next entry alone ends the gap. Without one it is a
    /// suspicion, which a close can end too.
    before: Option<Reached>,
}

impl Gap {
    pub(super) const fn evidence(&self) -> Evidence {
        if self.before.is_some() {
            Evidence::Proof
        } else {
            Evidence::Suspicion
        }
    }
}

impl Link {
    /// Something is known to lack before `reached`.
    pub(super) fn open_gap_before(
        &mut self,
        now: Now,
        reached: Reached,
        effects: &mut Vec<LinkEffect>,
    ) {
        self.open_gap(now, effects);
        match &mut self.state {
            State::Gap(gap) => gap.before = gap.before.max(Some(reached)),
            State::Snapshot { evidence, .. } => *evidence = Evidence::Proof,
            State::Replay | State::Live | State::Held(_) => {}
        }
    }

    /// Something may lack. The stream is read again from the watermark's time, and goes on being
    /// served.
    pub(super) fn open_gap(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        if !matches!(self.state, State::Replay | State::Live) {
            return;
        }
        let at = now.monotonic;
        self.state = State::Gap(Gap {
            since: at,
            read_at: at,
            before: None,
        });
        effects.push(LinkEffect::Read(self.mark.start_by_time()));
    }

    /// Positions of the transport before mean nothing in the new one.
    pub(super) fn start_over(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        for offered in &mut self.in_flight {
            offered.mark.position = 0;
        }
        (self.mark.position, self.read_through) = (0, 0);
        if matches!(self.state, State::Replay | State::Live) {
            let at = now.monotonic;
            self.state = State::Gap(Gap {
                since: at,
                read_at: at,
                before: None,
            });
        }
        effects.push(LinkEffect::Read(From::Start));
    }

    /// Nobody knows whether what is gone was this stream's. What is left is read.
    pub(super) fn on_position_lost(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        self.ask_for_snapshot(now, Evidence::Suspicion, effects);
        effects.push(LinkEffect::Read(From::Start));
    }

    /// What lacks is not in the transport. An entry that comes all the same is taken: a snapshot that
    /// is merged later does no harm.
    pub(super) fn ask_for_snapshot(
        &mut self,
        now: Now,
        evidence: Evidence,
        effects: &mut Vec<LinkEffect>,
    ) {
        if let State::Snapshot {
            evidence: known, ..
        } = &mut self.state
        {
            *known = (*known).max(evidence);
            return;
        }
        let asked_at = now.monotonic;
        self.state = State::Snapshot { asked_at, evidence };
        effects.push(LinkEffect::FetchSnapshot);
    }

    /// Asks once more for what did not come.
    pub(super) fn press_on(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        let at = now.monotonic;
        match &mut self.state {
            State::Gap(gap) if at.since(gap.since) >= GAP_PATIENCE => {
                let evidence = gap.evidence();
                self.ask_for_snapshot(now, evidence, effects);
            }
            State::Gap(gap) if at.since(gap.read_at) >= GAP_READ_AGAIN => {
                gap.read_at = at;
                effects.push(LinkEffect::Read(self.mark.start_by_time()));
            }
            State::Snapshot { asked_at, .. } if at.since(*asked_at) >= SNAPSHOT_RETRY => {
                *asked_at = at;
                effects.push(LinkEffect::FetchSnapshot);
            }
            State::Gap(_)
            | State::Snapshot { .. }
            | State::Replay
            | State::Live
            | State::Held(_) => {}
        }
    }
}
