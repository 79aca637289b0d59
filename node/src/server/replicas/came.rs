//! What came from one node, what it is worth, and the answer that several of them make. Pure.

use super::super::fetch::{Answer, Asked, ShardAnswer, Verdict};
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
        Fetched {
            refused: unread.map(|(shard, _)| (*shard, refusal(shard))).collect(),
            parts: self.parts,
            is_stale: self.is_covered.contains(&false),
            complete_at: vec![(region, complete_at)],
            token: self.seen.encode(cluster).into(),
            attempts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use gateway::{
        edge::Deadline,
        lookup::{
            fetch::{GroupRead, GroupRows, KeyBatch},
            layout::Layout,
            staging::Staging,
        },
    };
    use proto::{
        hlc::Hlc,
        id::{
            EntityId, FeatureId, Incarnation, PlacementId, ProjectId, RegionId, Revision,
            SchemaVersion, Sequence, ShardId, Stream, ViewId,
        },
        key::{Key, KeyHash},
        schema::{Column, RowSchema},
        time::EventTime,
        token::Reached,
    };
    use std::{sync::Arc, time::Duration};

    const CLUSTER: ClusterId = ClusterId(4);

    /// A key in each of three shards, 10, 11 and 12.
    fn fetch(max_staleness_micros: Option<u64>) -> Arc<Fetch> {
        let columns = vec![Column::of("int64".parse().unwrap())];
        let schema = Arc::new(RowSchema::new(ViewId(1), SchemaVersion(1), columns));
        let mut keys = KeyBatch::default();
        for number in 0..3 {
            let mut key = Key::new();
            key.push_number(number).unwrap();
            keys.push(&key);
        }
        let group = GroupRead {
            entity: EntityId(1),
            keys,
            hashes: vec![KeyHash(0); 3],
            places: vec![0, 1, 2],
            views: vec![Arc::new(Layout::new(schema, [FeatureId(0)]))],
        };
        Arc::new(Fetch {
            project: ProjectId(1),
            revision: Revision(1),
            shards: vec![ShardId(10), ShardId(11), ShardId(12)],
            groups: vec![group],
            token: Bytes::new(),
            max_staleness: max_staleness_micros.map(Duration::from_micros),
            deadline: Deadline(u64::MAX),
            trace: None,
        })
    }

    fn reached(shard: u16, sequence: u64) -> Token {
        let mut token = Token::default();
        let stream = Stream {
            origin: RegionId(1),
            shard: ShardId(shard),
            placement: PlacementId(0),
        };
        let reached = Reached {
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
        };
        token.see(stream, reached, Hlc(sequence));
        token
    }

    const READ: ShardAnswer = ShardAnswer {
        is_read: true,
        coverage: Coverage::Covered,
        age: Some(Duration::from_micros(30)),
    };

    /// An answer to what was asked at 1,000, each row with `value`.
    fn came(fetch: &Arc<Fetch>, places: &[u16], shards: &[ShardAnswer], value: u64) -> Came {
        let layout = &fetch.groups[0].views[0];
        let mut rows = Staging::with_capacity(Arc::clone(layout), places.len());
        let mut keys = Vec::new();
        for (place, shard) in places.iter().zip(shards) {
            if shard.is_read {
                rows.push_runs(&value.to_le_bytes(), EventTime::saturating(1));
                keys.push(u32::from(*place));
            }
        }
        let groups = vec![GroupRows {
            keys,
            views: vec![rows],
        }];
        let answer = Answer {
            part: Part { groups },
            shards: shards.to_vec(),
            seen: reached(10, value),
        };
        let asked = Asked::new(fetch, places.to_vec(), &Token::default(), Duration::ZERO);
        Came::new(answer, asked, 1_000)
    }

    #[test]
    fn the_age_counts_from_when_the_node_was_asked_and_is_that_of_the_oldest_shard() {
        let fetch = fetch(None);
        let aged = |micros| ShardAnswer {
            age: Some(Duration::from_micros(micros)),
            ..READ
        };
        let mut put = Put::new(&fetch, &Token::default());
        put.add(came(&fetch, &[0, 2], &[aged(30), aged(400)], 1), |_| true);
        put.add(came(&fetch, &[1], &[aged(50)], 2), |_| true);
        let fetched = put.finish("eu".into(), CLUSTER);
        let expected = [("eu".to_owned(), Some(Moment(600)))];
        assert_eq!(fetched.complete_at, expected);
        assert!(!fetched.is_stale && fetched.refused.is_empty());
    }

    #[test]
    fn an_age_is_unknown_as_soon_as_that_of_one_shard_is() {
        let fetch = fetch(None);
        let unknown = ShardAnswer { age: None, ..READ };
        let complete_at = |shards: &[ShardAnswer; 3]| {
            let mut put = Put::new(&fetch, &Token::default());
            put.add(came(&fetch, &[0, 1, 2], shards, 1), |_| true);
            put.finish("eu".into(), CLUSTER).complete_at[0].1
        };
        assert_eq!(complete_at(&[READ; 3]), Some(Moment(970)));
        assert_eq!(complete_at(&[READ, unknown, READ]), None);
        let unread = ShardAnswer {
            is_read: false,
            ..READ
        };
        assert_eq!(complete_at(&[READ, unread, READ]), None);
    }

    #[test]
    fn of_two_answers_a_shard_keeps_the_rows_of_the_one_that_won() {
        let fetch = fetch(None);
        let mut put = Put::new(&fetch, &Token::default());
        put.add(came(&fetch, &[0, 1, 2], &[READ; 3], 7), |place| place == 1);
        put.add(came(&fetch, &[0, 2], &[READ; 2], 8), |place| place != 1);
        let fetched = put.finish("eu".into(), CLUSTER);
        let keys: Vec<_> = fetched
            .parts
            .iter()
            .map(|part| &part.groups[0].keys)
            .collect();
        assert_eq!(keys, [&vec![1], &vec![0, 2]]);
        let values: Vec<_> = fetched
            .parts
            .iter()
            .map(|part| part.groups[0].views[0].fixed()[0])
            .collect();
        assert_eq!(values, [7, 8]);
        assert_eq!(fetched.token, reached(10, 8).encode(CLUSTER));
    }

    #[test]
    fn a_shard_that_is_behind_its_token_or_missing_makes_the_answer_stale() {
        let fetch = fetch(None);
        let stale = |token: &Token, shards: &[ShardAnswer; 3]| {
            let mut put = Put::new(&fetch, token);
            put.add(came(&fetch, &[0, 1, 2], shards, 1), |_| true);
            let fetched = put.finish("eu".into(), CLUSTER);
            (fetched.is_stale, fetched.refused.len())
        };
        let not_yet = ShardAnswer {
            coverage: Coverage::NotYet,
            ..READ
        };
        let lost = ShardAnswer {
            coverage: Coverage::Lost,
            ..READ
        };
        let unread = ShardAnswer {
            is_read: false,
            ..READ
        };
        let token = reached(11, 5);
        assert_eq!(stale(&token, &[READ; 3]), (false, 0));
        assert_eq!(stale(&token, &[READ, not_yet, READ]), (true, 0));
        assert_eq!(stale(&token, &[READ, lost, READ]), (true, 0));
        assert_eq!(stale(&token, &[READ, unread, READ]), (true, 1));
        assert_eq!(stale(&token, &[unread, READ, READ]), (false, 1));
    }

    #[test]
    fn an_answer_is_worth_what_it_has_of_what_was_asked_for() {
        let verdicts = |limit, shards: &[ShardAnswer; 3], now| {
            came(&fetch(limit), &[0, 1, 2], shards, 1).verdicts(now)
        };
        let good = Verdict::Good;
        let unknown = ShardAnswer { age: None, ..READ };
        assert_eq!(verdicts(None, &[READ, unknown, READ], 9_000), [good; 3]);
        assert_eq!(verdicts(Some(100), &[READ; 3], 1_070), [good; 3]);
        assert_eq!(verdicts(Some(100), &[READ; 3], 1_071), [Verdict::Behind; 3]);
        let with_unknown = verdicts(Some(100), &[READ, unknown, READ], 1_000);
        assert_eq!(with_unknown, [good, Verdict::Behind, good]);
        let unread = ShardAnswer {
            is_read: false,
            coverage: Coverage::NotYet,
            age: None,
        };
        let lost = ShardAnswer {
            coverage: Coverage::Lost,
            ..READ
        };
        let mixed = verdicts(None, &[unread, lost, READ], 1_000);
        assert_eq!(mixed, [Verdict::Refused, good, good]);
    }
}
