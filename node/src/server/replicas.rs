//! Read path, step 3 on the gateway's side: asks replicas for a lookup's rows, as
//! [`super::fetch::Asking`] decides, and puts together what came.

mod came;
mod origins;
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
use origins::Origins;
use parking_lot::Mutex;
use proto::{
    id::{ClusterId, NodeId, ShardId},
    reason::{Reason, Refusal},
    token::Token,
};
use raft::placement::Placement;
use replication::{Micros, RoleName};
use session::Session;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// An observer that may be older is not preferred any more: a few closes, each 250 ms after the other.
const OBSERVER_AGE_MICROS: u128 = 2_000_000;

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
    fn at_once(&self, (fetch, origins): (&Arc<Fetch>, &Origins), token: &Token) -> Option<Fetched> {
        let standings = self.own.standings();
        let asked_at = self.now_micros();
        let is_here = |shard: &ShardId| {
            let standing = standings.get(shard);
            let wanted = (fetch.max_staleness, origins);
            standing.is_some_and(|own| own.is_readable && keeps_up(own, wanted, asked_at))
        };
        if !fetch.shards.iter().all(is_here) {
            return None;
        }
        let asked = Asked::all(fetch, token, Duration::ZERO);
        let came = Came::new(self.own.answer_cached(&asked)?, asked, asked_at);
        if !came.is_all_good(origins, self.now_micros()) {
            return None;
        }
        let winners = vec![Some(0); fetch.shards.len()];
        Some(self.put_together((fetch, origins), token, &winners, vec![Some(came)]))
    }

    /// The answer of the attempts that won.
    fn put_together(
        &self,
        (fetch, origins): (&Fetch, &Origins),
        token: &Token,
        winners: &[Option<usize>],
        came: Vec<Option<Came>>,
    ) -> Fetched {
        let mut put = came::Put::new(fetch, origins, token);
        for (attempt, came) in came.into_iter().enumerate() {
            if let Some(came) = came {
                put.add(came, |place| winners[usize::from(place)] == Some(attempt));
            }
        }
        put.finish(self.cluster)
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
/// observer, for which nobody waits, too: they answer where no other replica does. So does a backup that
/// is older than was asked for, towards whatever region. Of nobody else can be had what the primary lacks.
fn keeps_up(
    own: &Standing,
    (limit, origins): (Option<Duration>, &Origins),
    now_micros: u64,
) -> bool {
    let is_within = |complete_at: Option<Micros>, limit_micros: u128| {
        complete_at.is_some_and(|at| u128::from(now_micros.saturating_sub(at.0)) <= limit_micros)
    };
    let is_fresh_enough = || {
        let others = origins.others.iter();
        let mut others = others.map(|(region, _)| own.complete_towards(*region));
        limit.map(|limit| limit.as_micros()).is_none_or(|limit| {
            is_within(own.complete_at, limit) && others.all(|at| is_within(at, limit))
        })
    };
    match own.role {
        RoleName::Primary => true,
        RoleName::Backup | RoleName::Idle | RoleName::Stopped => is_fresh_enough(),
        RoleName::Observer => is_within(own.complete_at, OBSERVER_AGE_MICROS) && is_fresh_enough(),
        RoleName::Joining => false,
    }
}

#[async_trait]
impl Fetcher for Replicas {
    async fn fetch(&self, fetch: Arc<Fetch>) -> Result<Fetched, Refusal> {
        let token = self.token(&fetch)?;
        self.learned.lock().budget.pay();
        let own = (self.region.id(), self.region.name());
        let origins = Origins::of(&fetch, &self.own.catalog(), own);
        if let Some(fetched) = self.at_once((&fetch, &origins), &token) {
            return Ok(fetched);
        }
        let mut session = Session::new(self, (&fetch, &origins), &token);
        session.run().await?;
        let (winners, came, attempts) = session.end();
        let mut fetched = self.put_together((&fetch, &origins), &token, &winners, came);
        fetched.attempts = attempts;
        Ok(fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::RegionId;

    const NOW_MICROS: u64 = 10_000_000;

    /// As old as this towards its own region and towards region 2.
    fn standing(role: RoleName, own: u64, other: Option<u64>) -> Standing {
        Standing {
            role,
            is_readable: true,
            complete_at: Some(Micros(NOW_MICROS - own)),
            origins: vec![(RegionId(2), other.map(|age| Micros(NOW_MICROS - age)))],
        }
    }

    #[track_caller]
    fn check(own: &Standing, limit_micros: Option<u64>, others: &[u16], expected: bool) {
        let origins = Origins {
            own: "eu".into(),
            others: others
                .iter()
                .map(|id| (RegionId(*id), id.to_string()))
                .collect(),
        };
        let limit = limit_micros.map(Duration::from_micros);
        let keeps_up = keeps_up(own, (limit, &origins), NOW_MICROS);
        assert_eq!(keeps_up, expected, "{own:?} {limit:?}");
    }

    #[test]
    fn a_backup_is_preferred_while_it_is_fresh_enough_towards_each_region_that_counts() {
        let backup = standing(RoleName::Backup, 50, Some(700));
        check(&backup, None, &[2], true);
        check(&backup, Some(700), &[2], true);
        check(&backup, Some(699), &[2], false);
        check(&backup, Some(699), &[], true);
        check(&backup, Some(49), &[], false);
        check(&backup, Some(700), &[2, 3], false);
        let unknown = standing(RoleName::Backup, 50, None);
        check(&unknown, Some(u64::MAX), &[2], false);
        check(&unknown, None, &[2], true);
    }

    #[test]
    fn nobody_has_what_the_primary_lacks_and_joiners_and_old_observers_come_last() {
        check(&standing(RoleName::Primary, 50, None), Some(1), &[2], true);
        check(&standing(RoleName::Joining, 1, Some(1)), None, &[], false);
        let observer = |age| standing(RoleName::Observer, age, Some(1));
        check(&observer(2_000_000), None, &[], true);
        check(&observer(2_000_001), None, &[], false);
        check(&observer(500), Some(499), &[], false);
    }
}
