//! Read path, step 3 on the gateway's side: which replica answers, what waits for a token, and how
//! old the answer can be.

use super::{
    global::Global,
    reads::Reader,
    region::RegionView,
    shards::{Board, Standing},
};
use crate::components::{Clock, Components};
use async_trait::async_trait;
use bytes::Bytes;
use gateway::lookup::fetch::{Fetch, Fetched, Replicas as Fetcher, ShardRead, ShardRows};
use proto::{
    id::{ClusterId, ShardId, Stream},
    reason::{Reason, Refusal},
    token::{Reached, Token},
};
use raft::{group::Blocking, registry::Catalog};
use replication::streams::Head;
use replication::token::{Asked, Coverage, coverage};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// How often a lookup that waits for a token looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

type Outcomes = Vec<Result<ShardRows, Refusal>>;

/// Fetches from this node's replicas.
pub struct Replicas {
    cluster: ClusterId,
    region: RegionView,
    reader: Arc<Reader>,
    board: Board,
    catalogs: watch::Receiver<Arc<Catalog>>,
    clock: Arc<dyn Clock>,
    place: Blocking,
}

impl Replicas {
    /// Fetches through `reader`.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        region: RegionView,
        (reader, board): (Reader, Board),
        global: &Global,
        components: &Components,
    ) -> Self {
        Self {
            cluster,
            region,
            reader: Arc::new(reader),
            board,
            catalogs: global.catalogs(),
            clock: Arc::clone(&components.clock),
            place: components.place,
        }
    }

    /// Waits until what a token asks for is applied here, at most until the deadline; false where
    /// it was not, or never will be.
    async fn reach(&self, token: &Token, fetch: &Fetch) -> bool {
        loop {
            match self.covers(token, fetch) {
                Coverage::Covered => return true,
                Coverage::Lost => return false,
                Coverage::NotYet => {}
            }
            if self.clock.now().monotonic_micros() >= fetch.deadline.0 {
                return false;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Judges the streams of the shards that the lookup touches; others are not read.
    fn covers(&self, token: &Token, fetch: &Fetch) -> Coverage {
        let mut worst = Coverage::Covered;
        let touched = token
            .streams()
            .filter(|(stream, _)| fetch.reads.iter().any(|read| read.shard == stream.shard));
        for (stream, reached) in touched {
            let asked = Asked {
                incarnation: reached.incarnation,
                sequence: reached.sequence,
            };
            match coverage(self.head(stream).as_ref(), asked) {
                Coverage::Covered => {}
                Coverage::NotYet => worst = Coverage::NotYet,
                Coverage::Lost => return Coverage::Lost,
            }
        }
        worst
    }

    fn head(&self, stream: Stream) -> Option<Head> {
        let mark = self
            .reader
            .store()
            .stream(stream.shard, (stream.origin, stream.placement))?;
        Some(Head {
            incarnation: mark.incarnation,
            sequence: mark.sequence,
            lineage: Vec::new(),
        })
    }

    async fn read(&self, fetch: &Arc<Fetch>) -> Outcomes {
        let catalog = Arc::clone(&self.catalogs.borrow());
        let reads: Vec<&ShardRead> = fetch.reads.iter().collect();
        if let Some(rows) = self.reader.read_cached(&reads, &catalog) {
            return rows;
        }
        let (reader, fetch) = (Arc::clone(&self.reader), Arc::clone(fetch));
        self.place
            .run(move || reader.read(&fetch.reads.iter().collect::<Vec<_>>(), &catalog))
            .await
    }

    /// The age of the oldest shard touched: every write of this region acknowledged longer ago is
    /// in the answer. The time since the read began is part of it.
    fn age(&self, fetch: &Fetch, standings: &BTreeMap<ShardId, Standing>) -> Option<Duration> {
        let now = self.clock.now().monotonic_micros();
        let age = |read: &ShardRead| {
            let complete_at = standings.get(&read.shard)?.complete_at?;
            let age = now.saturating_sub(complete_at.0);
            // Clocks of two machines run at slightly different rates.
            Some(Duration::from_micros(age + age / 1_000 + 1))
        };
        fetch
            .reads
            .iter()
            .map(age)
            .try_fold(Duration::ZERO, |worst, age| Some(worst.max(age?)))
    }

    /// How far the shards touched are, as a token.
    fn seen(&self, fetch: &Fetch) -> Token {
        let mut token = Token::default();
        for read in &fetch.reads {
            for ((origin, placement), mark) in self.reader.store().streams(read.shard) {
                let stream = Stream {
                    origin,
                    shard: read.shard,
                    placement,
                };
                token.see(
                    stream,
                    Reached {
                        incarnation: mark.incarnation,
                        sequence: mark.sequence,
                    },
                    mark.hlc,
                );
            }
        }
        token
    }
}

#[async_trait]
impl Fetcher for Replicas {
    async fn fetch(&self, fetch: Arc<Fetch>) -> Fetched {
        let asked = match Token::decode(&fetch.token, self.cluster) {
            _ if fetch.token.is_empty() => Token::default(),
            Ok(token) => token,
            Err(error) => {
                return refused(
                    &fetch,
                    &Refusal::of_field(Reason::TokenUnknown, "token", error.to_string()),
                );
            }
        };
        let mut is_stale = !asked.is_empty() && !self.reach(&asked, &fetch).await;
        // Before the read: what stands now is in it.
        let standings = self.board.read();
        let mut shards = self.read(&fetch).await;
        for (outcome, read) in shards.iter_mut().zip(&fetch.reads) {
            if !standings
                .get(&read.shard)
                .is_some_and(|standing| standing.is_readable)
            {
                *outcome = Err(unreadable(read.shard));
            }
        }
        let age = self.age(&fetch, &standings);
        if let Some(limit) = fetch.max_staleness {
            is_stale |= age.is_none_or(|age| age > limit);
        }
        let mut token = self.seen(&fetch);
        token.merge(&asked);
        Fetched {
            shards,
            is_stale,
            staleness: vec![(self.region.name(), age)],
            token: token
                .encode(self.cluster)
                .map(Bytes::from)
                .unwrap_or_default(),
        }
    }
}

fn unreadable(shard: ShardId) -> Refusal {
    Refusal::new(
        Reason::NotReady,
        format!("shard {shard} cannot be read on this node now"),
    )
}

fn refused(fetch: &Fetch, refusal: &Refusal) -> Fetched {
    let shards = fetch.reads.iter().map(|_| Err(refusal.clone())).collect();
    Fetched {
        shards,
        is_stale: true,
        staleness: Vec::new(),
        token: Bytes::new(),
    }
}
