//! One node of the model: its disk, its clocks, its replica.

use crate::{disk::Disk, rng::Rng};
use proto::{
    hlc::{Clock, Hlc},
    id::{BootId, NodeId, Position, RegionId, ShardId, StoreId},
};
use replication::{
    Budget, Context, Effect, Event, Fence, Identity, Member, Micros, Now, Replica, Ticket,
    closes::Close, planted::Planted,
};
use std::{collections::BTreeMap, time::Duration};

/// Milliseconds since 1970 at which every run begins.
pub const EPOCH_MILLIS: u64 = 1_795_000_000_000;
pub const SHARD: ShardId = ShardId(3);
pub const REGION: RegionId = RegionId(1);

/// What a member is named by, and so what counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Its disk.
    Disk,
    /// Its boot: what is in memory counts.
    Boot,
}

pub struct Node {
    pub id: NodeId,
    pub disk: Disk,
    pub boot: BootId,
    pub naming: Naming,
    pub replica: Option<Replica>,
    pub paused: bool,
    pub backlog: Vec<Event>,
    /// Its disk was wiped under its store's name (only a planted bug does that) or is damaged: until it
    /// has left the in-sync set it does not count as a copy.
    pub tainted: bool,
    /// What the replica was told is written.
    pub said: Ticket,
    pub raising: Hlc,
    /// How often its log was dropped for a snapshot, and for which one last.
    pub emptied: u64,
    pub awaited: Option<(Fence, u32)>,
    pub clock: Clock,
    pub closed_seen: BTreeMap<u16, Close>,
    pub applied_seen: Position,
    bound: Hlc,
    budget: Budget,
    skew_millis: i64,
    /// Parts per million by which the monotonic clock runs fast.
    rate: i64,
    started_at: u64,
}

impl Node {
    pub fn new(number: u64, naming: Naming, rng: &mut Rng) -> Self {
        Self {
            id: NodeId(number),
            disk: Disk::new(StoreId(number * 100)),
            boot: BootId(number * 1_000),
            naming,
            replica: None,
            paused: false,
            backlog: Vec::new(),
            tainted: false,
            said: Ticket(0),
            raising: Hlc::ZERO,
            emptied: 0,
            awaited: None,
            clock: Clock::starting_at(Hlc::ZERO),
            closed_seen: BTreeMap::new(),
            applied_seen: Position(0),
            bound: Hlc::ZERO,
            budget: Budget::default(),
            skew_millis: 0,
            rate: rng.between(0, 600) as i64 - 300,
            started_at: 0,
        }
    }

    pub fn member(&self) -> Member {
        Member {
            node: self.id,
            store: self.disk.store,
            boot: (self.naming == Naming::Boot).then_some(self.boot),
        }
    }

    pub fn skew(&mut self, rng: &mut Rng) {
        self.skew_millis = rng.between(0, 20_000) as i64 - 10_000;
    }

    pub fn wall_millis(&self, now: u64) -> u64 {
        (EPOCH_MILLIS + now / 1_000).saturating_add_signed(self.skew_millis)
    }

    /// The node's monotonic clock, which begins with its boot.
    pub fn monotonic(&self, now: u64) -> Micros {
        let run = (now - self.started_at) as i64;
        Micros((1_000_000 + run + run * self.rate / 1_000_000) as u64)
    }

    pub fn start(&mut self, now: u64, planted: Planted) {
        self.boot.0 += 1;
        self.started_at = now;
        self.clock = Clock::starting_at(self.bound);
        self.said = Ticket(0);
        self.raising = Hlc::ZERO;
        self.awaited = None;
        self.budget = Budget::default();
        self.closed_seen.clear();
        let me = Identity {
            shard: SHARD,
            region: REGION,
            node: self.id,
            store: self.disk.store,
            boot: self.boot,
        };
        let recovered = self.disk.recover();
        let mut ctx = self.context(now).1;
        let mut replica = Replica::open(me, recovered, &mut ctx);
        replica.plant(planted);
        self.applied_seen = replica.committed().position;
        self.replica = Some(replica);
    }

    fn context(&mut self, now: u64) -> (Option<&mut Replica>, Context<'_>) {
        let at = Now {
            monotonic: self.monotonic(now),
            wall_millis: self.wall_millis(now),
        };
        let ctx = Context {
            now: at,
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        (self.replica.as_mut(), ctx)
    }

    pub fn crash(&mut self, rng: &mut Rng) {
        self.replica = None;
        self.paused = false;
        self.backlog.clear();
        self.disk.crash(rng);
    }

    pub fn step(&mut self, now: u64, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let (replica, mut ctx) = self.context(now);
        if let Some(replica) = replica {
            replica.step(&mut ctx, event, &mut effects);
        }
        effects
    }

    /// The bound to make durable so that it lies above `above`.
    pub fn bound_above(&self, now: u64, above: Hlc) -> Hlc {
        let wanted = self
            .clock
            .bound_wanted(self.wall_millis(now), Duration::from_secs(1));
        wanted.max(Hlc(above.0 + 1))
    }

    /// Whether the bound should be raised before anybody waits for it.
    pub fn bound_is_near(&self, now: u64) -> bool {
        let soon = self
            .clock
            .bound_wanted(self.wall_millis(now), Duration::from_millis(300));
        self.clock.bound() < soon
    }

    pub fn bound_is_durable(&mut self, bound: Hlc) {
        self.bound = self.bound.max(bound);
        self.raising = Hlc::ZERO;
        self.clock.raise_bound(bound);
    }

    /// Bytes that no commit and no acknowledgement accounts for, once all is quiet.
    pub fn leaked(&self) -> usize {
        let peers = (1..=3).map(|node| self.budget.in_flight(NodeId(node)));
        self.budget.pending() + peers.sum::<usize>()
    }
}
