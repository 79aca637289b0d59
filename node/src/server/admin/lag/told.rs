//! What one node says of its own shards.

use crate::server::{
    shards::{LinkReport, OutboxReport, Standing},
    streams::ShardStreams,
};
use proto::{
    id::{Incarnation, PlacementId, RegionId, ShardId},
    token::Reached,
};
use replication::link::LinkState;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::server) struct Told {
    /// The shards that can be read there.
    pub(in crate::server) readable: BTreeSet<ShardId>,
    /// How old the oldest of these can be towards each region; none is unknown.
    pub(in crate::server) ages: BTreeMap<RegionId, Option<Duration>>,
    /// The shards whose primaries are there, and of whose streams something is said.
    pub(in crate::server) primaries: BTreeSet<ShardId>,
    /// How the streams of another region are received, the worst of its placements.
    pub(in crate::server) links: BTreeMap<(ShardId, RegionId), Link>,
    /// What own streams have still to send.
    pub(in crate::server) outboxes: BTreeMap<(ShardId, PlacementId), Backlog>,
}

/// What a link is at; the worse is the larger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Link {
    /// It follows.
    Live,
    /// It catches up.
    Replay,
    /// Something did not come.
    Gap,
    /// It waits for a snapshot.
    Snapshot,
    /// It waits until this is out of the way.
    Held(String),
}

/// What one stream has still to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Backlog {
    /// Entries; none where a new incarnation began since the last that was sent.
    pub(in crate::server) entries: Option<u64>,
    /// Their bytes.
    pub(in crate::server) bytes: u64,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            entries: Some(0),
            bytes: 0,
        }
    }
}

impl Told {
    /// What this node says of its shards towards its own region and `others`.
    pub(in crate::server) fn of(
        (own, others): (RegionId, impl Iterator<Item = RegionId>),
        standings: &BTreeMap<ShardId, Standing>,
        streams: Option<&[ShardStreams]>,
        now_micros: u64,
    ) -> Self {
        let readable = standings.iter().filter(|(_, own)| own.is_readable);
        let readable: Vec<(&ShardId, &Standing)> = readable.collect();
        let oldest = |age: &dyn Fn(&Standing) -> Option<Duration>| {
            let ages = readable.iter().map(|(_, standing)| age(standing));
            let ages: Option<Vec<Duration>> = ages.collect();
            ages?.into_iter().max()
        };
        let towards = |region: RegionId| {
            let age = move |standing: &Standing| {
                let mut ages = standing.ages(now_micros);
                ages.find(|(origin, _)| *origin == region)?.1
            };
            (region, oldest(&age))
        };
        let own = (own, oldest(&|standing| standing.age(now_micros)));
        let mut told = Self {
            ages: std::iter::once(own).chain(others.map(towards)).collect(),
            readable: readable.iter().map(|(shard, _)| **shard).collect(),
            ..Self::default()
        };
        streams.into_iter().flatten().for_each(|of| told.note(of));
        told
    }

    fn note(&mut self, streams: &ShardStreams) {
        let shard = streams.shard;
        self.primaries.insert(shard);
        for report in &streams.links {
            let link = Link::of(report);
            let known = self
                .links
                .entry((shard, report.origin))
                .or_insert(Link::Live);
            if *known < link {
                *known = link;
            }
        }
        let outboxes = streams.outboxes.iter();
        let outboxes = outboxes.map(|report| ((shard, report.placement), Backlog::of(report)));
        self.outboxes.extend(outboxes);
    }

    /// How old the oldest of its shards can be towards a region.
    pub(in crate::server) fn age(&self, region: RegionId) -> Option<Duration> {
        self.ages.get(&region).copied().flatten()
    }

    /// How many of the shards whose primaries are there receive a region's streams in which state, in the
    /// order of [`Link::STATES`].
    pub(in crate::server) fn link_counts(&self, origin: RegionId) -> [u64; Link::STATES.len()] {
        let link = |shard: &ShardId| self.links.get(&(*shard, origin));
        let states = self.primaries.iter().map(|shard| Link::state(link(shard)));
        let states: Vec<&str> = states.collect();
        Link::STATES.map(|state| states.iter().filter(|of| **of == state).count() as u64)
    }
}

impl Link {
    /// The names of all states.
    pub(in crate::server) const STATES: [&str; 6] =
        ["live", "replay", "gap", "snapshot", "held", "unknown"];

    fn of(report: &LinkReport) -> Self {
        match report.state {
            LinkState::Live => Self::Live,
            LinkState::Replay => Self::Replay,
            LinkState::Gap => Self::Gap,
            LinkState::Snapshot => Self::Snapshot,
            LinkState::Held(obstacle) => Self::Held(obstacle.to_string()),
        }
    }

    /// The name of a link's state, where it is known.
    pub(in crate::server) const fn state(link: Option<&Self>) -> &'static str {
        match link {
            Some(Self::Live) => "live",
            Some(Self::Replay) => "replay",
            Some(Self::Gap) => "gap",
            Some(Self::Snapshot) => "snapshot",
            Some(Self::Held(_)) => "held",
            None => "unknown",
        }
    }
}

impl Backlog {
    fn of(report: &OutboxReport) -> Self {
        Self {
            entries: between(report.delivered, report.end),
            bytes: report.backlog_bytes as u64,
        }
    }
}

/// Entries after one and through the other. Sequences begin anew in each incarnation, and the first one
/// follows nothing.
fn between(after: Reached, through: Reached) -> Option<u64> {
    let is_first = through.incarnation == Incarnation(1) && after == Reached::default();
    (after.incarnation == through.incarnation || is_first)
        .then(|| through.sequence.0.saturating_sub(after.sequence.0))
}
