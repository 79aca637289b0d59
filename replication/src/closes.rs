//! Closed HLCs and staleness: what a replica knows to be over, and how old its rows can be.
//!
//! A close is (stream, sequence n, HLC h): nothing past n is stamped at or below h, and when it was
//! sent nothing past n was acknowledged. Closed HLCs move by closes alone. Staleness never compares
//! clocks: it is the age, on the reader's own clock, of the instant that a close gave back.

use crate::{context::Micros, link::passed_on};
use proto::{
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, RegionId, Sequence},
    token::Reached,
};
use std::collections::BTreeMap;

/// A close of one stream of this region and shard; a fact once it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The stream.
    pub placement: PlacementId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The last sequence at or below.
    pub sequence: Sequence,
    /// Nothing past the sequence is stamped at or below this.
    pub hlc: Hlc,
}

/// A close of all own streams of a shard at once, as one round of promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Its number in the epoch.
    pub number: u64,
    /// The end of the log when it was sent.
    pub position: Position,
    /// What to stamp above.
    pub hlc: Hlc,
    /// The streams' ends at that position.
    pub heads: Vec<(PlacementId, Incarnation, Sequence)>,
    /// Of other regions, as far as it is known: how old what the log has of their streams could be
    /// when the round was sent.
    pub ages: Vec<(RegionId, Micros)>,
}

impl Round {
    /// Through where it closes a stream; the beginning of one that it does not name.
    #[must_use]
    pub fn reached(&self, placement: PlacementId) -> Reached {
        let mut heads = self.heads.iter();
        let head = heads.find(|(other, ..)| *other == placement);
        head.map_or_else(Reached::default, |(_, incarnation, sequence)| Reached {
            incarnation: *incarnation,
            sequence: *sequence,
        })
    }

    /// The closes that it makes once done.
    pub fn closes(&self) -> impl Iterator<Item = Close> + '_ {
        self.heads
            .iter()
            .map(|(placement, incarnation, sequence)| Close {
                placement: *placement,
                incarnation: *incarnation,
                sequence: *sequence,
                hlc: self.hlc,
            })
    }
}

/// What is closed, and since when on this replica's clock everything is here.
#[derive(Debug, Default)]
pub(crate) struct Closes {
    closed: BTreeMap<PlacementId, Close>,
    complete_at: Option<Micros>,
    /// The same of other regions' streams; those that are not in it are unknown.
    origins: BTreeMap<RegionId, Micros>,
}

impl Closes {
    /// Takes a close whose sequence is applied here.
    pub(crate) fn close(&mut self, close: Close) {
        let known = self.closed.entry(close.placement).or_insert(close);
        if (close.incarnation, close.hlc) > (known.incarnation, known.hlc) {
            *known = close;
        }
    }

    /// Everything acknowledged before `instant` is applied here.
    pub(crate) fn complete_before(&mut self, instant: Micros) {
        self.complete_at = self.complete_at.max(Some(instant));
    }

    /// Everything of other regions is applied here that was, at `sent`, as old as they say. What is not
    /// said any more is unknown from now on.
    pub(crate) fn know_origins(&mut self, sent: Micros, ages: &[(RegionId, Micros)]) {
        let known = ages.iter().filter_map(|(origin, age)| {
            let instant = passed_on(sent, *age)?;
            let before = self.origins.get(origin).copied();
            Some((
                *origin,
                before.map_or(instant, |before| before.max(instant)),
            ))
        });
        self.origins = known.collect();
    }

    /// Everything acknowledged in that region before this instant is applied here; None is *unknown*.
    pub(crate) fn origin_complete_at(&self, origin: RegionId) -> Option<Micros> {
        self.origins.get(&origin).copied()
    }

    pub(crate) fn closed(&self, placement: PlacementId) -> Option<Close> {
        self.closed.get(&placement).copied()
    }

    /// An age such that every write acknowledged longer ago is here; a thousandth is added because
    /// clocks run at slightly different rates. None is *unknown*.
    pub(crate) fn age(&self, now: Micros) -> Option<Micros> {
        let age = now.since(self.complete_at?).0;
        Some(Micros(age + age / 1_000 + 1))
    }

    /// Whether everything of some instant is here.
    pub(crate) const fn is_ever_complete(&self) -> bool {
        self.complete_at.is_some()
    }

    /// Rows may be older than what was said: a snapshot replaces them.
    pub(crate) fn forget(&mut self) {
        self.complete_at = None;
        self.origins.clear();
    }
}
