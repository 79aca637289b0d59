//! Read path, step 3 on the gateway's side: which replica answers, what waits for a token, and how
//! old the answer can be.

use super::{
    global::Global,
    reads::{Read, Reader, Wanted},
    region::RegionView,
    shards::{self, Board, Standing},
};
use crate::components::{Clock, Components};
use async_trait::async_trait;
use bytes::Bytes;
use gateway::{
    edge::Moment,
    lookup::fetch::{Fetch, Fetched, Replicas as Fetcher},
};
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
            .filter(|(stream, _)| fetch.shards.contains(&stream.shard));
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
        let (store, of_shard) = (self.reader.store(), (stream.origin, stream.placement));
        let mark = store.stream(stream.shard, of_shard)?;
        let start = store.start(stream.shard, of_shard);
        Some(shards::head(&mark, start.as_deref()))
    }

    async fn read(&self, fetch: &Arc<Fetch>, wanted: Wanted) -> Read {
        let catalog = Arc::clone(&self.catalogs.borrow());
        if let Some(read) = self.reader.read_cached(fetch, &wanted, &catalog) {
            return read;
        }
        let (reader, fetch) = (Arc::clone(&self.reader), Arc::clone(fetch));
        self.place
            .run(move || reader.read(&fetch, &wanted, &catalog))
            .await
    }

    /// Every write of this region acknowledged before this moment is in the answer: that of the
    /// shard that is furthest behind.
    fn complete_at(
        &self,
        fetch: &Fetch,
        standings: &BTreeMap<ShardId, Standing>,
    ) -> Option<Moment> {
        let now = self.clock.now().monotonic_micros();
        let complete_at = |shard: &ShardId| {
            let complete_at = standings.get(shard)?.complete_at?;
            let age = now.saturating_sub(complete_at.0);
            // Clocks of two machines run at slightly different rates.
            Some(Moment(now.saturating_sub(age + age / 1_000 + 1)))
        };
        let mut moments = fetch.shards.iter().map(complete_at);
        moments.try_fold(Moment(now), |oldest, moment| Some(oldest.min(moment?)))
    }

    /// How far the shards touched are, as a token.
    fn seen(&self, fetch: &Fetch) -> Token {
        let mut token = Token::default();
        for shard in &fetch.shards {
            for ((origin, placement), mark) in self.reader.store().streams(*shard) {
                let stream = Stream {
                    origin,
                    shard: *shard,
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
    async fn fetch(&self, fetch: Arc<Fetch>) -> Result<Fetched, Refusal> {
        let asked = match Token::decode(&fetch.token, self.cluster) {
            _ if fetch.token.is_empty() => Token::default(),
            Ok(token) => token,
            Err(error) => {
                let message = error.to_string();
                return Err(Refusal::of_field(Reason::TokenUnknown, "token", message));
            }
        };
        let is_stale = !asked.is_empty() && !self.reach(&asked, &fetch).await;
        // Before the read: what stands now is in it.
        let standings = self.board.read();
        let is_readable = |place: u16| {
            let standing = standings.get(&fetch.shards[usize::from(place)]);
            standing.is_some_and(|standing| standing.is_readable)
        };
        let read = self.read(&fetch, Wanted::of(&fetch, is_readable)).await;
        let unread = fetch.shards.iter().zip(&read.is_held);
        let unread = unread.filter(|(_, is_held)| !**is_held);
        let mut token = self.seen(&fetch);
        token.merge(&asked);
        Ok(Fetched {
            refused: unread
                .map(|(shard, _)| (*shard, unreadable(*shard)))
                .collect(),
            parts: vec![read.part],
            is_stale,
            complete_at: vec![(self.region.name(), self.complete_at(&fetch, &standings))],
            token: token
                .encode(self.cluster)
                .map(Bytes::from)
                .unwrap_or_default(),
        })
    }
}

fn unreadable(shard: ShardId) -> Refusal {
    Refusal::new(
        Reason::NotReady,
        format!("shard {shard} cannot be read on this node now"),
    )
}
