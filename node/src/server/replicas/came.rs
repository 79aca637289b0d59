//! What came from one node, what it is worth, and the answer that several of them make. Pure.

use super::{
    super::fetch::{Answer, Asked, ShardAnswer, Verdict},
    origins::Origins,
};
use gateway::{
    edge::Moment,
    lookup::fetch::{Fetch, Fetched, Part},
};
use proto::{
    id::{ClusterId, RegionId},
    reason::{Reason, Refusal},
    token::Token,
};
use replication::token::Coverage;
use std::time::Duration;

/// One node's answer, its ages as moments of this process's clock.
pub struct Came {
    asked: Asked,
    part: Part,
    shards: Vec<Shard>,
    seen: Token,
    /// Shards with rows that could not be read, as places; rising.
    damaged: Vec<u16>,
}

struct Shard {
    is_read: bool,
    coverage: Coverage,
    /// Towards the region's own writes.
    complete_at: Option<Moment>,
    /// Towards those of others.
    origins: Vec<(RegionId, Option<Moment>)>,
}

impl Shard {
    /// The moments of the own region and of each other one that counts; `None` where it is unknown.
    fn moments<'a>(&'a self, origins: &'a Origins) -> impl Iterator<Item = Option<Moment>> + 'a {
        let of = |region: RegionId| {
            let named = self.origins.iter().find(|(origin, _)| *origin == region);
            named.and_then(|(_, moment)| *moment)
        };
        let others = origins.others.iter().map(move |(region, _)| of(*region));
        std::iter::once(self.complete_at).chain(others)
    }
}

impl Came {
    /// An answer to what was asked at a moment: the node may have looked at its clock right then,
    /// and what passed since is not in its ages.
    pub fn new(answer: Answer, asked: Asked, asked_at_micros: u64) -> Self {
        let moment = |age: Duration| {
            // Before the clock began: as old as it can say.
            Moment(asked_at_micros.saturating_sub(age.as_micros() as u64))
        };
        let other = |(origin, age): (RegionId, Option<Duration>)| (origin, age.map(moment));
        let shard = |shard: ShardAnswer| Shard {
            is_read: shard.is_read,
            coverage: shard.coverage,
            complete_at: shard.age.map(moment),
            origins: shard.origins.into_iter().map(other).collect(),
        };
        Self {
            damaged: answer.part.unreadable(&asked.fetch),
            part: answer.part,
            shards: answer.shards.into_iter().map(shard).collect(),
            seen: answer.seen,
            asked,
        }
    }

    /// What it is worth for each shard that was asked for. How old it may be counts for each origin.
    pub fn verdicts(&self, origins: &Origins, now_micros: u64) -> Vec<Verdict> {
        let limit = self.asked.fetch.max_staleness;
        let verdict = |(place, shard): (&u16, &Shard)| {
            let is_older = |limit: Duration| {
                let mut moments = shard.moments(origins);
                moments.any(|moment| moment.is_none_or(|at| at.age(now_micros) > limit))
            };
            let is_old = limit.is_some_and(is_older);
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
    pub fn is_all_good(&self, origins: &Origins, now_micros: u64) -> bool {
        let verdicts = self.verdicts(origins, now_micros);
        verdicts.iter().all(|verdict| *verdict == Verdict::Good)
    }
}

/// The answer as it comes together.
pub struct Put<'a> {
    fetch: &'a Fetch,
    origins: &'a Origins,
    parts: Vec<Part>,
    seen: Token,
    /// By origin, the own region first, the earliest over the shards so far.
    oldest: Vec<Option<Moment>>,
    is_read: Vec<bool>,
    is_covered: Vec<bool>,
}

impl<'a> Put<'a> {
    /// Nothing yet.
    pub fn new(fetch: &'a Fetch, origins: &'a Origins, token: &Token) -> Self {
        let shards = fetch.shards.len();
        let is_named =
            |shard: &proto::id::ShardId| token.streams().any(|(stream, _)| stream.shard == *shard);
        Self {
            fetch,
            origins,
            parts: Vec::new(),
            seen: token.clone(),
            oldest: vec![Some(Moment(u64::MAX)); 1 + origins.others.len()],
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
                let moments = shard.moments(self.origins);
                for (oldest, moment) in self.oldest.iter_mut().zip(moments) {
                    *oldest = oldest.zip(moment).map(|(one, other)| one.min(other));
                }
                self.is_covered[at] = shard.coverage == Coverage::Covered;
            }
        }
        if wins {
            part.keep(self.fetch, is_winner);
            self.parts.push(part);
            self.seen.merge(&seen);
        }
    }

    /// The answer. Its ages are those of the shards that are furthest behind; unknown where one has no
    /// rows.
    pub fn finish(self, cluster: ClusterId) -> Fetched {
        let is_whole = self.is_read.iter().all(|is_read| *is_read);
        let others = self.origins.others.iter().map(|(_, name)| name);
        let names = std::iter::once(&self.origins.own).chain(others);
        let complete_at = names
            .zip(&self.oldest)
            .map(|(name, oldest)| (name.clone(), oldest.filter(|_| is_whole)));
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
            complete_at: complete_at.collect(),
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
        origins: Vec::new(),
    };

    /// A region by itself.
    fn alone() -> Origins {
        Origins {
            own: "eu".into(),
            others: Vec::new(),
        }
    }

    /// With two others.
    fn of_three() -> Origins {
        Origins {
            others: vec![(RegionId(2), "us".into()), (RegionId(3), "ap".into())],
            ..alone()
        }
    }

    /// A shard that was read, with its ages in microseconds towards regions 2 and 3.
    fn towards(us: Option<u64>, ap: Option<u64>) -> ShardAnswer {
        let age = |micros: Option<u64>| micros.map(Duration::from_micros);
        ShardAnswer {
            origins: vec![(RegionId(3), age(ap)), (RegionId(2), age(us))],
            ..READ
        }
    }

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
        let origins = alone();
        let mut put = Put::new(&fetch, &origins, &Token::default());
        put.add(came(&fetch, &[0, 2], &[aged(30), aged(400)], 1), |_| true);
        put.add(came(&fetch, &[1], &[aged(50)], 2), |_| true);
        let fetched = put.finish(CLUSTER);
        let expected = [("eu".to_owned(), Some(Moment(600)))];
        assert_eq!(fetched.complete_at, expected);
        assert!(!fetched.is_stale && fetched.refused.is_empty());
    }

    #[test]
    fn an_age_is_unknown_as_soon_as_that_of_one_shard_is() {
        let fetch = fetch(None);
        let unknown = ShardAnswer { age: None, ..READ };
        let complete_at = |shards: &[ShardAnswer; 3]| {
            let origins = alone();
            let mut put = Put::new(&fetch, &origins, &Token::default());
            put.add(came(&fetch, &[0, 1, 2], shards, 1), |_| true);
            put.finish(CLUSTER).complete_at[0].1
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
        let origins = alone();
        let mut put = Put::new(&fetch, &origins, &Token::default());
        put.add(came(&fetch, &[0, 1, 2], &[READ; 3], 7), |place| place == 1);
        put.add(came(&fetch, &[0, 2], &[READ; 2], 8), |place| place != 1);
        let fetched = put.finish(CLUSTER);
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
        let origins = alone();
        let stale = |token: &Token, shards: &[ShardAnswer; 3]| {
            let mut put = Put::new(&fetch, &origins, token);
            put.add(came(&fetch, &[0, 1, 2], shards, 1), |_| true);
            let fetched = put.finish(CLUSTER);
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
        assert_eq!(stale(&token, &[READ, unread.clone(), READ]), (true, 1));
        assert_eq!(stale(&token, &[unread, READ, READ]), (false, 1));
    }

    #[test]
    fn an_answer_is_worth_what_it_has_of_what_was_asked_for() {
        let verdicts = |limit, shards: &[ShardAnswer; 3], now| {
            came(&fetch(limit), &[0, 1, 2], shards, 1).verdicts(&alone(), now)
        };
        let good = Verdict::Good;
        let unknown = ShardAnswer { age: None, ..READ };
        assert_eq!(
            verdicts(None, &[READ, unknown.clone(), READ], 9_000),
            [good; 3]
        );
        assert_eq!(verdicts(Some(100), &[READ; 3], 1_070), [good; 3]);
        assert_eq!(verdicts(Some(100), &[READ; 3], 1_071), [Verdict::Behind; 3]);
        let with_unknown = verdicts(Some(100), &[READ, unknown, READ], 1_000);
        assert_eq!(with_unknown, [good, Verdict::Behind, good]);
        let unread = ShardAnswer {
            is_read: false,
            coverage: Coverage::NotYet,
            age: None,
            origins: Vec::new(),
        };
        let lost = ShardAnswer {
            coverage: Coverage::Lost,
            ..READ
        };
        let mixed = verdicts(None, &[unread, lost, READ], 1_000);
        assert_eq!(mixed, [Verdict::Refused, good, good]);
    }

    #[test]
    fn each_origin_has_the_age_of_the_shard_that_is_furthest_behind_it() {
        let (fetch, origins) = (fetch(None), of_three());
        let complete_at = |shards: &[ShardAnswer; 3]| {
            let mut put = Put::new(&fetch, &origins, &Token::default());
            put.add(came(&fetch, &[0, 1, 2], shards, 1), |_| true);
            put.finish(CLUSTER).complete_at
        };
        let of = |us: Option<u64>, ap: Option<u64>| {
            let moment = |at: Option<u64>| at.map(Moment);
            let named = [("eu", Some(970)), ("us", us), ("ap", ap)];
            named.map(|(name, at)| (name.to_owned(), moment(at)))
        };
        let (young, old) = (towards(Some(5), Some(100)), towards(Some(300), Some(7)));
        let all = [young.clone(), old.clone(), young.clone()];
        assert_eq!(complete_at(&all), of(Some(700), Some(900)));
        let unknown = [young.clone(), towards(None, Some(7)), old.clone()];
        assert_eq!(complete_at(&unknown), of(None, Some(900)));
        // What a node does not name, as one of an earlier release, it does not know.
        assert_eq!(complete_at(&[young, READ, old]), of(None, None));
    }

    #[test]
    fn an_answer_is_as_old_as_towards_its_worst_origin() {
        let verdict = |limit, shard: ShardAnswer| {
            let verdicts = came(&fetch(limit), &[0], &[shard], 1).verdicts(&of_three(), 1_000);
            verdicts[0]
        };
        let limit = Some(100);
        let both = |us, ap| towards(Some(us), Some(ap));
        assert_eq!(verdict(limit, both(100, 100)), Verdict::Good);
        assert_eq!(verdict(limit, both(101, 5)), Verdict::Behind);
        assert_eq!(verdict(limit, both(5, 101)), Verdict::Behind);
        assert_eq!(verdict(limit, towards(None, Some(5))), Verdict::Behind);
        assert_eq!(verdict(limit, READ), Verdict::Behind);
        assert_eq!(verdict(None, towards(None, None)), Verdict::Good);
    }
}
