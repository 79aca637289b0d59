//! One lookup's attempts under way.

use super::{Came, Learned, Replicas, keeps_up, origins::Origins};
use crate::server::fetch::{
    Answer, Ask, Asked, Asking, Candidate, IsUsed, RemoteError, Surroundings,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use gateway::lookup::{course::Attempt, fetch::Fetch};
use parking_lot::Mutex;
use proto::{
    id::{NodeId, ShardId},
    reason::Refusal,
    token::Token,
};
use raft::placement::Placement;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// An attempt as it ended: its number, what was asked, and what came.
type Ended = (usize, Asked, Result<Answer, RemoteError>);

/// See the module.
pub struct Session<'a> {
    replicas: &'a Replicas,
    fetch: &'a Arc<Fetch>,
    origins: &'a Origins,
    token: &'a Token,
    asking: Asking,
    around: Around<'a>,
    calls: FuturesUnordered<BoxFuture<'a, Ended>>,
    sent: Vec<Sent>,
    came: Vec<Option<Came>>,
}

struct Sent {
    node: NodeId,
    at: u64,
    shards: usize,
    ended_at: Option<u64>,
    /// Whether how long it took says how fast the node is.
    is_plain: bool,
    is_hedge: bool,
}

/// What the decisions need to know of the region.
struct Around<'a> {
    replicas: &'a Replicas,
    fetch: &'a Fetch,
    origins: &'a Origins,
    placement: Arc<Placement>,
    order: BTreeMap<NodeId, usize>,
}

impl<'a> Session<'a> {
    /// Nobody is asked yet.
    pub fn new(
        replicas: &'a Replicas,
        (fetch, origins): (&'a Arc<Fetch>, &'a Origins),
        token: &'a Token,
    ) -> Self {
        let is_named = |shard: &ShardId| token.streams().any(|(of, _)| of.shard == *shard);
        let waits: Vec<bool> = fetch.shards.iter().map(is_named).collect();
        Self {
            replicas,
            fetch,
            origins,
            token,
            asking: Asking::new(&waits, fetch.deadline.0),
            around: Around::new(replicas, fetch, origins),
            calls: FuturesUnordered::new(),
            sent: Vec::new(),
            came: Vec::new(),
        }
    }

    /// Asks until there is an answer for every shard, none can be had, or the deadline has come.
    /// A refusal is one that nobody could answer otherwise.
    pub async fn run(&mut self) -> Result<(), Refusal> {
        let first = self.asking.start(self.now(), &mut self.around);
        self.ask(first);
        while !self.asking.is_settled() && self.now() < self.fetch.deadline.0 {
            let pause = self.asking.wake_at().saturating_sub(self.now());
            let ended = tokio::select! {
                Some(ended) = self.calls.next() => Some(ended),
                () = sleep(Duration::from_micros(pause)) => None,
            };
            let asks = match ended {
                Some((attempt, asked, Ok(answer))) => self.take(attempt, asked, answer),
                Some((_, _, Err(RemoteError::Refused(refusal)))) => return Err(refusal),
                Some((attempt, _, Err(error))) => self.fail(attempt, &error),
                None => {
                    self.around.renew();
                    self.asking.wake(self.now(), &mut self.around)
                }
            };
            self.ask(asks);
        }
        Ok(())
    }

    /// Which attempt won each shard, what came of each, and how each went.
    pub fn end(self) -> (Vec<Option<usize>>, Vec<Option<Came>>, Vec<Attempt>) {
        let now = self.now();
        let winners = self.asking.winners();
        {
            let mut learned = self.replicas.learned.lock();
            for (node, asked_at) in self.asking.overdue() {
                learned.health.failed(node, asked_at, now);
            }
        }
        for (attempt, _) in self
            .sent
            .iter()
            .enumerate()
            .filter(|(_, sent)| sent.is_hedge)
        {
            let is_used = if winners.contains(&Some(attempt)) {
                IsUsed::Won
            } else {
                IsUsed::Lost
            };
            tracing::trace!(?is_used, "a lookup was hedged");
            self.replicas.hedges.hedged(is_used);
        }
        let attempts = self.attempts(&winners);
        (winners, self.came, attempts)
    }

    fn attempts(&self, winners: &[Option<usize>]) -> Vec<Attempt> {
        let first = self.sent.first().map_or(0, |sent| sent.at);
        let attempt = |(number, sent): (usize, &Sent)| Attempt {
            node: sent.node,
            shards: sent.shards,
            after_micros: sent.at.saturating_sub(first),
            took_micros: sent.ended_at.map(|at| at.saturating_sub(sent.at)),
            is_hedge: sent.is_hedge,
            used: winners.iter().filter(|won| **won == Some(number)).count(),
        };
        self.sent.iter().enumerate().map(attempt).collect()
    }

    fn now(&self) -> u64 {
        self.replicas.now_micros()
    }

    fn ask(&mut self, asks: Vec<Ask>) {
        let now = self.now();
        for ask in asks {
            debug_assert_eq!(
                ask.attempt,
                self.sent.len(),
                "attempts are numbered as they come"
            );
            self.sent.push(Sent {
                node: ask.node,
                at: now,
                shards: ask.places.len(),
                ended_at: None,
                is_plain: ask.wait_micros == 0,
                is_hedge: ask.is_hedge,
            });
            self.came.push(None);
            let wait = Duration::from_micros(ask.wait_micros);
            let asked = Asked::new(self.fetch, ask.places, self.token, wait);
            let left = Duration::from_micros(self.fetch.deadline.0.saturating_sub(now));
            let (replicas, attempt, node) = (self.replicas, ask.attempt, ask.node);
            let version = self.origins.version();
            self.calls.push(if node == replicas.region.me() {
                Box::pin(async move {
                    let answer = replicas.own.answer(&asked).await;
                    (attempt, asked, Ok(answer))
                })
            } else {
                Box::pin(async move {
                    let answer = replicas.remote.answer(node, &asked, version, left).await;
                    (attempt, asked, answer)
                })
            });
        }
    }

    fn take(&mut self, attempt: usize, asked: Asked, answer: Answer) -> Vec<Ask> {
        let now = self.now();
        self.sent[attempt].ended_at = Some(now);
        let sent = &self.sent[attempt];
        if sent.is_plain {
            let took = now.saturating_sub(sent.at);
            self.replicas
                .learned
                .lock()
                .health
                .answered(sent.node, took);
        }
        let came = Came::new(answer, asked, sent.at);
        let verdicts = came.verdicts(self.origins, now);
        self.came[attempt] = Some(came);
        self.asking.answered(attempt, &verdicts, now)
    }

    fn fail(&mut self, attempt: usize, error: &RemoteError) -> Vec<Ask> {
        let now = self.now();
        self.sent[attempt].ended_at = Some(now);
        let sent = &self.sent[attempt];
        tracing::debug!(node = %sent.node, %error, "a node gave no rows");
        let learned: &Mutex<Learned> = &self.replicas.learned;
        learned.lock().health.failed(sent.node, sent.at, now);
        self.asking.failed(attempt, now)
    }
}

impl<'a> Around<'a> {
    fn new(replicas: &'a Replicas, fetch: &'a Fetch, origins: &'a Origins) -> Self {
        let placement = replicas.region.placement();
        Self {
            order: replicas.order(&placement),
            replicas,
            fetch,
            origins,
            placement,
        }
    }

    /// Looks at the region again, if it has changed.
    fn renew(&mut self) {
        let placement = self.replicas.region.placement();
        if !Arc::ptr_eq(&placement, &self.placement) {
            self.order = self.replicas.order(&placement);
            self.placement = placement;
        }
    }

    /// Whether this process can answer for a shard, and whether only where nobody else does; of others that is
    /// not known before they are asked, but members of the in-sync set nearly always can.
    fn own(&self, shard: ShardId) -> Option<(bool, NodeId)> {
        let standings = self.replicas.own.standings();
        let own = standings.get(&shard).filter(|own| own.is_readable)?;
        let wanted = (self.fetch.max_staleness, self.origins);
        let is_last = !keeps_up(own, wanted, self.replicas.now_micros());
        Some((is_last, self.replicas.region.me()))
    }
}

impl Surroundings for Around<'_> {
    fn candidates(&mut self, place: u16) -> Vec<Candidate> {
        let shard = self.fetch.shards[usize::from(place)];
        let me = self.replicas.region.me();
        let config = self.placement.shards.get(&shard);
        let in_sync = config.into_iter().flat_map(|config| &config.in_sync);
        let joining = config.into_iter().flat_map(|config| &config.joining);
        let in_sync = in_sync.map(|replica| (false, replica.node));
        let joining = joining.map(|replica| (true, replica.node));
        let others = in_sync.chain(joining).filter(|(_, node)| *node != me);
        let last = usize::MAX;
        let mut nodes: Vec<(bool, usize, NodeId)> = others
            .chain(self.own(shard))
            .map(|(joins, node)| (joins, self.order.get(&node).copied().unwrap_or(last), node))
            .collect();
        nodes.sort_unstable();
        let health = &self.replicas.learned.lock().health;
        let primary = config.map(|config| config.primary.node);
        let candidate = |(_, _, node): (bool, usize, NodeId)| Candidate {
            node,
            is_primary: primary == Some(node),
            hedge_after_micros: health.hedge_after_micros(node),
        };
        nodes.into_iter().map(candidate).collect()
    }

    fn may_hedge(&mut self) -> bool {
        let is_paid = self.replicas.learned.lock().budget.take();
        if !is_paid {
            self.replicas.hedges.denied();
        }
        is_paid
    }
}
