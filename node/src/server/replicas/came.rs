//! What came from one node, what it is worth, and the answer that several of them make. Pure.

use super::super::fetch::{Answer, Asked, ShardAnswer, Verdict};
use bytes::Bytes;
use gateway::{
    edge::Moment,
    lookup::fetch::{Fetch, Fetched, Part},
};
use proto::{
    id::ClusterId,
    reason::{Reason, Refusal},
    token::Token,
};
use replication::token::Coverage;

/// One node's answer, its ages as moments of this process's clock.
pub struct Came {
    asked: Asked,
    part: Part,
    shards: Vec<Shard>,
    seen: Token,
    /// Shards with rows that could not be read, as places; rising.
    damaged: Vec<u16>,
}

#[derive(Clone, Copy)]
struct Shard {
    is_read: bool,
    coverage: Coverage,
    complete_at: Option<Moment>,
}

impl Came {
    /// An answer to what was asked at a moment: the node may have looked at its clock right then,
    /// and what passed since is not in its ages.
    pub fn new(answer: Answer, asked: Asked, asked_at_micros: u64) -> Self {
        let moment = |age: std::time::Duration| {
            // Before the clock began: as old as it can say.
            Moment(asked_at_micros.saturating_sub(age.as_micros() as u64))
        };
        let shard = |shard: ShardAnswer| Shard {
            is_read: shard.is_read,
            coverage: shard.coverage,
            complete_at: shard.age.map(moment),
        };
        Self {
            damaged: answer.part.unreadable(&asked.fetch),
            part: answer.part,
            shards: answer.shards.into_iter().map(shard).collect(),
            seen: answer.seen,
            asked,
        }
    }

    /// What it is worth for each shard that was asked for.
    pub fn verdicts(&self, now_micros: u64) -> Vec<Verdict> {
        let limit = self.asked.fetch.max_staleness;
        let verdict = |(place, shard): (&u16, &Shard)| {
            let age = shard.complete_at.map(|moment| moment.age(now_micros));
            let is_old = limit.is_some_and(|limit| age.is_none_or(|age| age > limit));
            if !shard.is_read {
                Verdict::Refused
            } else if shard.coverage == Coverage::NotYet || is_old {
                Verdict::Behind
            } else if self.damaged.binary_search(place).is_ok() {
                Verdict::Damaged
            } else {
                // What is lost for good is so everywhere.
                Verdict::Good
            }
        };
        let shards = self.asked.places.iter().zip(&self.shards);
        shards.map(verdict).collect()
    }

    /// Whether it is all that was asked for.
    pub fn is_all_good(&self, now_micros: u64) -> bool {
        let verdicts = self.verdicts(now_micros);
        verdicts.iter().all(|verdict| *verdict == Verdict::Good)
    }
}

/// The answer as it comes together.
pub struct Put<'a> {
    fetch: &'a Fetch,
    parts: Vec<Part>,
    seen: Token,
    /// By shard.
    complete_at: Vec<Option<Moment>>,
    is_read: Vec<bool>,
    is_covered: Vec<bool>,
}

impl<'a> Put<'a> {
    /// Nothing yet.
    pub fn new(fetch: &'a Fetch, token: &Token) -> Self {
        let shards = fetch.shards.len();
        let is_named =
            |shard: &proto::id::ShardId| token.streams().any(|(stream, _)| stream.shard == *shard);
        Self {
            fetch,
            parts: Vec::new(),
            seen: token.clone(),
            complete_at: vec![None; shards],
            is_read: vec![false; shards],
            is_covered: fetch.shards.iter().map(|shard| !is_named(shard)).collect(),
        }
    }

    /// Adds those shards of an answer that won.
    pub fn add(&mut self, came: Came, is_winner: impl Fn(u16) -> bool) {
        let Came {
            asked,
            mut part,
            shards,
            seen,
            ..
        } = came;
        let mut wins = false;
        for (place, shard) in asked.places.iter().zip(shards) {
            let at = usize::from(*place);
            if shard.is_read && is_winner(*place) {
                wins = true;
                self.is_read[at] = true;
                self.complete_at[at] = shard.complete_at;
                self.is_covered[at] = shard.coverage == Coverage::Covered;
            }
        }
        if wins {
            part.keep(self.fetch, is_winner);
            self.parts.push(part);
            self.seen.merge(&seen);
        }
    }

    /// The answer. The age is that of the shard that is furthest behind.
    pub fn finish(self, region: String, cluster: ClusterId) -> Fetched {
        let newest = Some(Moment(u64::MAX));
        let complete_at = self
            .complete_at
            .iter()
            .fold(newest, |oldest, moment| Some(oldest?.min((*moment)?)));
        let shards = self.fetch.shards.iter().zip(&self.is_read);
        let unread = shards.filter(|(_, is_read)| !**is_read);
        let refusal = |shard| {
            let message =
                format!("no node of the region could give the rows of shard {shard} in time");
            Refusal::new(Reason::NotReady, message)
        };
        let token = self.seen.encode(cluster);
        Fetched {
            refused: unread.map(|(shard, _)| (*shard, refusal(shard))).collect(),
            parts: self.parts,
            is_stale: self.is_covered.contains(&false),
            complete_at: vec![(region, complete_at)],
            token: token.map(Bytes::from).unwrap_or_default(),
        }
    }
}
