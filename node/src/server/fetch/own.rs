//! This node's own shards: their rows, how far they are, and how old that can be.

use super::super::{
    reads::{Read, Reader, Wanted},
    shards::{self, Board, Standing},
};
use crate::components::Clock;
use gateway::lookup::fetch::{Fetch, Part};
use proto::{
    id::{RegionId, ShardId, Stream},
    token::{Reached, Token},
};
use raft::{group::Blocking, registry::Catalog};
use replication::{
    streams::Head,
    token::{Asked as AskedOf, Coverage, coverage},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// How often a read that waits for a token looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What one node is asked for: some shards of a fetch, with all their keys.
pub struct Asked {
    /// The fetch.
    pub fetch: Arc<Fetch>,
    /// The shards, as places in the fetch; rising.
    pub places: Vec<u16>,
    /// Their keys.
    pub wanted: Wanted,
    /// What they must reflect.
    pub token: Token,
    /// How long they may be waited for until they do.
    pub wait: Duration,
}

/// What one node answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The rows of the shards that it read.
    pub part: Part,
    /// For each shard that it was asked for, how that stands.
    pub shards: Vec<ShardAnswer>,
    /// How far these shards are, as a token.
    pub seen: Token,
}

/// How one shard stands on the node that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardAnswer {
    /// Whether its rows are in the part; otherwise it is not held there, or cannot be read now.
    pub is_read: bool,
    /// Whether the rows reflect the token.
    pub coverage: Coverage,
    /// An age such that every write acknowledged longer ago is in the rows; `None` is unknown. Of the
    /// writes that the region took itself.
    pub age: Option<Duration>,
    /// The same of writes that other regions took. Nothing is known of those that are not named.
    pub origins: Vec<(RegionId, Option<Duration>)>,
}

impl Asked {
    /// Asks for some shards of a fetch.
    #[must_use]
    pub fn new(fetch: &Arc<Fetch>, places: Vec<u16>, token: &Token, wait: Duration) -> Self {
        Self {
            wanted: Wanted::of(fetch, |place| places.binary_search(&place).is_ok()),
            token: token_of(token, fetch, &places),
            fetch: Arc::clone(fetch),
            places,
            wait,
        }
    }

    /// Asks for all of it.
    #[must_use]
    pub fn all(fetch: &Arc<Fetch>, token: &Token, wait: Duration) -> Self {
        let places = (0..).zip(&fetch.shards).map(|(place, _)| place).collect();
        Self::new(fetch, places, token, wait)
    }

    /// The shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        let places = self.places.iter();
        places.map(|place| self.fetch.shards[usize::from(*place)])
    }
}

/// The streams of a token that lie in some shards; others are not read.
fn token_of(token: &Token, fetch: &Fetch, places: &[u16]) -> Token {
    let mut own = Token::default();
    let shards = places.iter().map(|place| fetch.shards[usize::from(*place)]);
    let shards: std::collections::BTreeSet<ShardId> = shards.collect();
    for (stream, reached) in token
        .streams()
        .filter(|(stream, _)| shards.contains(&stream.shard))
    {
        own.see(stream, reached, token.hlc());
    }
    own
}

/// See the module. Clones read the same shards.
#[derive(Clone)]
pub struct OwnShards {
    reader: Arc<Reader>,
    board: Board,
    catalogs: watch::Receiver<Arc<Catalog>>,
    clock: Arc<dyn Clock>,
    place: Blocking,
}

impl OwnShards {
    /// Reads through `reader` what `board` says can be read.
    #[must_use]
    pub fn new(
        (reader, board): (Reader, Board),
        catalogs: watch::Receiver<Arc<Catalog>>,
        clock: Arc<dyn Clock>,
        place: Blocking,
    ) -> Self {
        Self {
            reader: Arc::new(reader),
            board,
            catalogs,
            clock,
            place,
        }
    }

    /// How the shards stand.
    #[must_use]
    pub fn standings(&self) -> Arc<BTreeMap<ShardId, Standing>> {
        self.board.read()
    }

    /// The newest definitions here.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalogs.borrow())
    }

    /// Answers at once from memory; none where something has to come from the disk.
    #[must_use]
    pub fn answer_cached(&self, asked: &Asked) -> Option<Answer> {
        // Before the read: what stands now is in it.
        let before = self.before(asked);
        let wanted = before.readable(asked);
        let read = self
            .reader
            .read_cached(&asked.fetch, &wanted, &self.catalog())?;
        Some(self.answer_of(asked, &before, read))
    }

    /// Answers, once the token is reflected or was waited for long enough.
    pub async fn answer(&self, asked: &Asked) -> Answer {
        self.wait(asked).await;
        if let Some(answer) = self.answer_cached(asked) {
            return answer;
        }
        let before = self.before(asked);
        let wanted = before.readable(asked);
        let (reader, fetch, catalog) = (
            Arc::clone(&self.reader),
            Arc::clone(&asked.fetch),
            self.catalog(),
        );
        let read = move || reader.read(&fetch, &wanted, &catalog);
        let read = self.place.run(read).await;
        self.answer_of(asked, &before, read)
    }

    async fn wait(&self, asked: &Asked) {
        let until = self.now_micros() + asked.wait.as_micros() as u64;
        let waits = |shard| self.covers(&asked.token, shard) == Coverage::NotYet;
        while asked.shards().any(waits) && self.now_micros() < until {
            sleep(LOOK_AGAIN).await;
        }
    }

    fn now_micros(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }

    fn before(&self, asked: &Asked) -> Before {
        Before {
            standings: self.board.read(),
            coverages: asked
                .shards()
                .map(|shard| self.covers(&asked.token, shard))
                .collect(),
        }
    }

    fn answer_of(&self, asked: &Asked, before: &Before, read: Read) -> Answer {
        let now = self.now_micros();
        let shard = |(place, coverage): (&u16, &Coverage)| {
            let shard = asked.fetch.shards[usize::from(*place)];
            ShardAnswer {
                is_read: read.is_held[usize::from(*place)],
                coverage: *coverage,
                age: before.age(shard, now),
                origins: before.origins(shard, now),
            }
        };
        let shards = asked.places.iter().zip(&before.coverages).map(shard);
        Answer {
            shards: shards.collect(),
            seen: self.seen(asked),
            part: read.part,
        }
    }

    /// Whether what is applied of a shard reflects a token.
    fn covers(&self, token: &Token, shard: ShardId) -> Coverage {
        let mut worst = Coverage::Covered;
        for (stream, reached) in token.streams().filter(|(stream, _)| stream.shard == shard) {
            let asked = AskedOf {
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

    /// How far the shards are. Taken after the read: what was read is in it.
    fn seen(&self, asked: &Asked) -> Token {
        let mut token = Token::default();
        for shard in asked.shards() {
            for ((origin, placement), mark) in self.reader.store().streams(shard) {
                let stream = Stream {
                    origin,
                    shard,
                    placement,
                };
                let reached = Reached {
                    incarnation: mark.incarnation,
                    sequence: mark.sequence,
                };
                token.see(stream, reached, mark.hlc);
            }
        }
        token
    }
}

/// How the shards stood before they were read.
struct Before {
    standings: Arc<BTreeMap<ShardId, Standing>>,
    coverages: Vec<Coverage>,
}

impl Before {
    fn readable(&self, asked: &Asked) -> Wanted {
        Wanted::of(&asked.fetch, |place| {
            let shard = asked.fetch.shards[usize::from(place)];
            let standing = self.standings.get(&shard);
            asked.places.binary_search(&place).is_ok()
                && standing.is_some_and(|standing| standing.is_readable)
        })
    }

    fn age(&self, shard: ShardId, now_micros: u64) -> Option<Duration> {
        self.standings.get(&shard)?.age(now_micros)
    }

    fn origins(&self, shard: ShardId, now_micros: u64) -> Vec<(RegionId, Option<Duration>)> {
        let standing = self.standings.get(&shard);
        standing.map_or_else(Vec::new, |standing| standing.ages(now_micros).collect())
    }
}

#[cfg(test)]
mod tests;
