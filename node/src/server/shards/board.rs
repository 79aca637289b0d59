//! How the shards stand, for readers on other threads: replaced as a whole with each tick.

use parking_lot::RwLock;
use proto::id::{RegionId, ShardId};
use replication::{Micros, RoleName};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How one shard stands on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What this replica is to it.
    pub role: RoleName,
    /// Whether lookups may be answered from it.
    pub is_readable: bool,
    /// Everything acknowledged before this instant of this node's monotonic clock is applied.
    pub complete_at: Option<Micros>,
    /// For each other region that may write what the shard holds: everything acknowledged there before
    /// this instant of this node's monotonic clock is applied here; `None` is unknown.
    pub origins: Vec<(RegionId, Option<Micros>)>,
}

impl Standing {
    /// Everything acknowledged in another region before this instant is applied here; `None` is unknown,
    /// also of a region of which nothing is said.
    #[must_use]
    pub fn complete_towards(&self, region: RegionId) -> Option<Micros> {
        let named = self.origins.iter().find(|(origin, _)| *origin == region);
        named.and_then(|(_, complete_at)| *complete_at)
    }

    /// An age such that every write of this region that was acknowledged longer ago is applied; `None` is
    /// unknown.
    #[must_use]
    pub fn age(&self, now_micros: u64) -> Option<Duration> {
        age(self.complete_at, now_micros)
    }

    /// The same towards each other region of which something is said.
    pub fn ages(&self, now_micros: u64) -> impl Iterator<Item = (RegionId, Option<Duration>)> + '_ {
        let origins = self.origins.iter();
        origins.map(move |(origin, complete_at)| (*origin, age(*complete_at, now_micros)))
    }
}

fn age(complete_at: Option<Micros>, now_micros: u64) -> Option<Duration> {
    let age = now_micros.saturating_sub(complete_at?.0);
    // Clocks of two machines run at slightly different rates.
    Some(Duration::from_micros(age + age / 1_000 + 1))
}

/// See the module. Clones are one board.
#[derive(Clone, Default)]
pub struct Board(Arc<Shown>);

#[derive(Default)]
struct Shown {
    standings: RwLock<Arc<BTreeMap<ShardId, Standing>>>,
    appended_bytes: AtomicU64,
    caught_up_bytes: AtomicU64,
}

impl Board {
    /// How all shards of this node stand.
    #[must_use]
    pub fn read(&self) -> Arc<BTreeMap<ShardId, Standing>> {
        Arc::clone(&self.0.standings.read())
    }

    /// Bytes appended to the log since the start.
    #[must_use]
    pub fn appended_bytes(&self) -> u64 {
        self.0.appended_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn note_appended(&self, bytes: usize) {
        self.0
            .appended_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes read from the log for replicas that lag, since the start.
    #[must_use]
    pub fn caught_up_bytes(&self) -> u64 {
        self.0.caught_up_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn note_caught_up(&self, bytes: usize) {
        self.0
            .caught_up_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(in crate::server) fn write(&self, standings: BTreeMap<ShardId, Standing>) {
        *self.0.standings.write() = Arc::new(standings);
    }
}
