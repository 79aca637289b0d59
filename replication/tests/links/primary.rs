//! One run of a primary: the cores, and what a driver keeps beside them.

use super::rows::{CLUSTER, stream};
use proto::id::{BootId, Incarnation, NodeId, RegionId};
use replication::{
    Micros, Now,
    link::{Echoes, Link, Outbox, Rebirth},
};
use std::collections::BTreeMap;

pub struct Reader {
    pub cursor: u64,
    pub generation: u64,
    pub is_paused: bool,
}

pub struct Primary {
    pub boot: BootId,
    pub epoch: u32,
    pub incarnation: Incarnation,
    pub outbox: Outbox,
    pub echoes: Echoes,
    pub links: BTreeMap<RegionId, Link>,
    pub readers: BTreeMap<RegionId, Reader>,
    pub rebirth: Rebirth,
    pub session: u64,
    /// A delivery of the session failed: nothing more is reported of it.
    pub is_broken: bool,
    pub stands_until: u64,
    /// When the next record of the session reaches the topic, at the earliest.
    pub sent_until: u64,
    clock_begins: u64,
    clock_ppm: u64,
}

/// What a primary begins with.
pub struct Begin {
    pub region: RegionId,
    pub boot: u64,
    pub epoch: u32,
    pub incarnation: Incarnation,
    pub outbox: Outbox,
    pub rebirth: Rebirth,
    pub clock_begins: u64,
    pub clock_ppm: u64,
}

impl Primary {
    pub fn new(begin: Begin) -> Self {
        let node = NodeId(u64::from(begin.region.0) * 10 + begin.boot % 2);
        Self {
            boot: BootId(begin.boot),
            epoch: begin.epoch,
            incarnation: begin.incarnation,
            outbox: begin.outbox,
            echoes: Echoes::new(CLUSTER, begin.region, node, BootId(begin.boot)),
            links: BTreeMap::new(),
            readers: BTreeMap::new(),
            rebirth: begin.rebirth,
            session: 0,
            is_broken: false,
            stands_until: 0,
            sent_until: 0,
            clock_begins: begin.clock_begins,
            clock_ppm: begin.clock_ppm,
        }
    }

    /// Its own monotonic clock: it began anywhere, and runs a little wrong.
    pub fn monotonic(&self, now: u64) -> Micros {
        Micros(self.clock_begins + now + now * self.clock_ppm / 1_000_000)
    }

    pub fn now(&self, now: u64, wall_millis: u64) -> Now {
        Now {
            monotonic: self.monotonic(now),
            wall_millis,
        }
    }

    /// How far each stream is here, to be told to its origin.
    pub fn reports(&self) -> Vec<proto::link::HeldReport> {
        let report = |(origin, link): (&RegionId, &Link)| proto::link::HeldReport {
            stream: stream(*origin),
            reached: link.committed(),
            closed: link.closed(),
        };
        self.links.iter().map(report).collect()
    }
}
