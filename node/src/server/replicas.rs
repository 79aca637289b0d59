//! Read path, step 3 on the gateway's side: asks replicas for a lookup's rows, as
//! [`super::fetch::Asking`] decides, and puts together what came.

mod came;
mod session;

use super::{
    fetch::{Asked, Budget, Health, Hedges, Nearness, OwnShards, RemoteShards},
    region::RegionView,
    shards::Standing,
};
use crate::components::Clock;
use async_trait::async_trait;
use came::Came;
use gateway::lookup::fetch::{Fetch, Fetched, Replicas as Fetcher};
use parking_lot::Mutex;
use proto::{
    id::{ClusterId, NodeId, ShardId},
    reason::{Reason, Refusal},
    token::Token,
};
use raft::placement::Placement;
use replication::RoleName;
use session::Session;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// An observer that may be older is not preferred any more: a few closes, each 250 ms after the other.
const OBSERVER_AGE_MICROS: u64 = 2_000_000;

/// Fetches from the region's replicas.
pub struct Replicas {
    cluster: ClusterId,
    region: RegionView,
    own: OwnShards,
    remote: RemoteShards,
    clock: Arc<dyn Clock>,
    learned: Mutex<Learned>,
    hedges: Hedges,
}

/// What earlier lookups leave for later ones.
#[derive(Default)]
struct Learned {
    health: Health,
    budget: Budget,
}

impl Replicas {
    /// Fetches from this process, or else over the mesh.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        region: RegionView,
        (own, remote): (OwnShards, RemoteShards),
        clock: Arc<dyn Clock>,
        hedges: Hedges,
    ) -> Self {
        Self {
            cluster,
            region,
            own,
            remote,
            clock,
            learned: Mutex::default(),
            hedges,
        }
    }

    fn now_micros(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }

    fn token(&self, fetch: &Fetch) -> Result<Token, Refusal> {
        if fetch.token.is_empty() {
            return Ok(Token::default());
        }
        Token::decode(&fetch.token, self.cluster)
            .map_err(|error| Refusal::of_field(Reason::TokenUnknown, "token", error.to_string()))
    }

    /// Everything from this process's memory, where that is all that was asked for.
    fn at_once(&self, fetch: &Arc<Fetch>, token: &Token) -> Option<Fetched> {
        let standings = self.own.standings();
        let asked_at = self.now_micros();
        let is_here = |shard: &ShardId| {
            let standing = standings.get(shard);
            standing.is_some_and(|own| own.is_readable && keeps_up(own, asked_at))
        };
        if !fetch.shards.iter().all(is_here) {
            return None;
        }
        let asked = Asked::all(fetch, token, Duration::ZERO);
        let came = Came::new(self.own.answer_cached(&asked)?, asked, asked_at);
        if !came.is_all_good(self.now_micros()) {
            return None;
        }
        let winners = vec![Some(0); fetch.shards.len()];
        Some(self.put_together(fetch, token, &winners, vec![Some(came)]))
    }

    /// The answer of the attempts that won.
    fn put_together(
        &self,
        fetch: &Fetch,
        token: &Token,
        winners: &[Option<usize>],
        came: Vec<Option<Came>>,
    ) -> Fetched {
        let mut put = came::Put::new(fetch, token);
        for (attempt, came) in came.into_iter().enumerate() {
            if let Some(came) = came {
                put.add(came, |place| winners[usize::from(place)] == Some(attempt));
            }
        }
        put.finish(self.region.name(), self.cluster)
    }

    /// Every node of the region in the order in which this lookup prefers them.
    fn order(&self, placement: &Placement) -> BTreeMap<NodeId, usize> {
        let me = self.region.me();
        let zone = placement.members.get(&me).map(|member| &member.zone);
        let nearness = |node: NodeId| match placement.members.get(&node) {
            _ if node == me => Nearness::Process,
            Some(member) if Some(&member.zone) == zone => Nearness::Zone,
            Some(_) | None => Nearness::Region,
        };
        let others = placement.members.keys().copied().filter(|node| *node != me);
        let nodes = others.chain([me]).map(|node| (node, nearness(node)));
        let mut learned = self.learned.lock();
        let is_member = |node| node == me || placement.members.contains_key(&node);
        learned.health.keep(is_member);
        let order = learned.health.order(nodes, self.now_micros());
        order.into_iter().zip(0..).collect()
    }
}

/// Whether this process's replica is as good to ask as others. A joiner may be far behind, and an
/// observer, for which nobody waits, too: they answer where no other replica does.
fn keeps_up(own: &Standing, now_micros: u64) -> bool {
    let is_fresh = || {
        let complete_at = own.complete_at;
        complete_at.is_some_and(|at| now_micros.saturating_sub(at.0) <= OBSERVER_AGE_MICROS)
    };
    match own.role {
        RoleName::Primary | RoleName::Backup | RoleName::Idle | RoleName::Stopped => true,
        RoleName::Observer => is_fresh(),
        RoleName::Joining => false,
    }
}

#[async_trait]
impl Fetcher for Replicas {
    async fn fetch(&self, fetch: Arc<Fetch>) -> Result<Fetched, Refusal> {
        let token = self.token(&fetch)?;
        self.learned.lock().budget.pay();
        if let Some(fetched) = self.at_once(&fetch, &token) {
            return Ok(fetched);
        }
        let mut session = Session::new(self, &fetch, &token);
        session.run().await?;
        let (winners, came, attempts) = session.end();
        let mut fetched = self.put_together(&fetch, &token, &winners, came);
        fetched.attempts = attempts;
        Ok(fetched)
    }
}
