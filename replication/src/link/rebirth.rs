//! What a new incarnation waits for before it closes its streams.
//!
//! Acknowledged entries were lost at the origin, but other holders may have them. The origin merges
//! from each holder that passed its *start* (from then on such a holder takes nothing more of the
//! incarnation that ended), and issues again what it lacked. Until all have been merged or have left,
//! a close would claim that what was acknowledged long ago is everywhere, and would let tombstones go
//! that cells still to come must be hidden by.

use crate::planted::{Bug, Planted};
use proto::{
    id::{Incarnation, RegionId},
    token::Reached,
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// It may still take entries of the incarnation that ended.
    Before,
    /// It is being merged.
    Merging,
    Done,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebirthEvent {
    /// A holder reports how far the stream is durable there.
    Reported(RegionId, Reached),
    /// What a holder has was merged, and what was lacking is issued again and durable.
    Merged(RegionId),
    /// The merge ended without all of it.
    Failed(RegionId),
    /// The holder was decommissioned.
    Left(RegionId),
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebirthEffect {
    /// Fetch what the holder has, and issue again, with its old versions, every own cell and deletion
    /// that is lacking here.
    MergeFrom(RegionId),
}

/// The state of one stream in a new incarnation.
#[derive(Debug)]
pub struct Rebirth {
    incarnation: Incarnation,
    holders: BTreeMap<RegionId, Holder>,
    planted: Planted,
}

impl Rebirth {
    /// A new incarnation with these other holders; none where nothing was lost.
    #[must_use]
    pub fn new(incarnation: Incarnation, holders: impl IntoIterator<Item = RegionId>) -> Self {
        let before = |region| (region, Holder::Before);
        Self {
            incarnation,
            holders: holders.into_iter().map(before).collect(),
            planted: Planted::NONE,
        }
    }

    /// Takes a rule out, for a test.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(&mut self, bug: Bug) {
        self.planted = Planted::with(bug);
    }

    /// Takes one event.
    pub fn step(&mut self, event: RebirthEvent, effects: &mut Vec<RebirthEffect>) {
        match event {
            RebirthEvent::Reported(region, reached) => {
                let passed = reached.incarnation >= self.incarnation;
                if passed && self.holders.get(&region) == Some(&Holder::Before) {
                    self.holders.insert(region, Holder::Merging);
                    effects.push(RebirthEffect::MergeFrom(region));
                }
            }
            RebirthEvent::Merged(region) => self.set(region, Holder::Done),
            RebirthEvent::Failed(region) => self.set(region, Holder::Before),
            RebirthEvent::Left(region) => {
                self.holders.remove(&region);
            }
        }
    }

    fn set(&mut self, region: RegionId, to: Holder) {
        // A merge that was not asked for says nothing: the holder may have taken more since.
        if let Some(holder) = self.holders.get_mut(&region)
            && *holder == Holder::Merging
        {
            *holder = to;
        }
    }

    /// Whether the stream may be closed.
    #[must_use]
    pub fn may_close(&self) -> bool {
        self.planted.has(Bug::ClosedBeforeMerged)
            || self.holders.values().all(|holder| *holder == Holder::Done)
    }

    /// Whom it waits for.
    pub fn waits_for(&self) -> impl Iterator<Item = RegionId> + '_ {
        let waiting = self
            .holders
            .iter()
            .filter(|(_, holder)| **holder != Holder::Done);
        waiting.map(|(region, _)| *region)
    }
}
