//! One lookup after the other, told as what is asked and what comes.

use super::*;

const MS: u64 = 1_000;
const DEADLINE: u64 = 1_000 * MS;
const GOOD: Verdict = Verdict::Good;

/// Candidates by shard, by number; the first of each list is no primary unless said.
struct Region {
    candidates: Vec<Vec<u64>>,
    primary: u64,
    hedges: u32,
}

impl Surroundings for Region {
    fn candidates(&mut self, place: u16) -> Vec<Candidate> {
        let candidate = |node: &u64| Candidate {
            node: NodeId(*node),
            is_primary: *node == self.primary,
            hedge_after_micros: 10 * MS,
        };
        let of_place = &self.candidates[usize::from(place)];
        of_place.iter().map(candidate).collect()
    }

    fn may_hedge(&mut self) -> bool {
        let is_left = self.hedges > 0;
        self.hedges = self.hedges.saturating_sub(1);
        is_left
    }
}

fn region(candidates: &[&[u64]]) -> Region {
    Region {
        candidates: candidates.iter().map(|of| of.to_vec()).collect(),
        primary: 9,
        hedges: 5,
    }
}

/// Asks as (attempt, node, shards).
fn told(asks: &[Ask]) -> Vec<(usize, u64, Vec<u16>)> {
    let one = |ask: &Ask| (ask.attempt, ask.node.0, ask.places.clone());
    asks.iter().map(one).collect()
}

fn asking(region: &mut Region) -> (Asking, Vec<Ask>) {
    let mut asking = Asking::new(&vec![false; region.candidates.len()], DEADLINE);
    let first = asking.start(0, region);
    (asking, first)
}

#[test]
fn each_node_is_asked_once_for_all_its_shards() {
    let mut region = region(&[&[1, 2], &[2, 3], &[1, 3]]);
    let (mut asking, first) = asking(&mut region);
    assert_eq!(told(&first), [(0, 1, vec![0, 2]), (1, 2, vec![1])]);
    assert_eq!(asking.answered(0, &[GOOD, GOOD], MS), []);
    assert!(!asking.is_settled());
    assert_eq!(asking.answered(1, &[GOOD], MS), []);
    assert!(asking.is_settled());
    assert_eq!(asking.winners(), [Some(0), Some(1), Some(0)]);
}

#[test]
fn a_shard_that_is_refused_or_whose_node_fails_is_asked_of_the_next() {
    let mut region = region(&[&[1, 2], &[1, 3]]);
    let (mut asking, _) = asking(&mut region);
    let next = asking.answered(0, &[Verdict::Refused, GOOD], MS);
    assert_eq!(told(&next), [(1, 2, vec![0])]);
    assert_eq!(asking.failed(1, 2 * MS), [], "nobody is left");
    assert!(!asking.is_settled(), "it is tried once more");
    assert_eq!(asking.wake_at(), 27 * MS);
    let again = asking.wake(27 * MS, &mut region);
    assert_eq!(told(&again), [(2, 1, vec![0])]);
    let next = asking.failed(2, 28 * MS);
    assert_eq!(told(&next), [(3, 2, vec![0])]);
    asking.failed(3, 29 * MS);
    assert!(
        asking.is_settled(),
        "who cannot answer twice is not waited for"
    );
    assert_eq!(asking.winners(), [None, Some(0)]);
}

#[test]
fn a_shard_map_that_changed_is_looked_at_again() {
    let mut region = region(&[&[1]]);
    let (mut asking, _) = asking(&mut region);
    asking.answered(0, &[Verdict::Refused], MS);
    region.candidates = vec![vec![4]];
    let again = asking.wake(asking.wake_at(), &mut region);
    assert_eq!(told(&again), [(1, 4, vec![0])]);
}

#[test]
fn a_slow_node_is_hedged_for_what_is_open_and_the_first_answer_wins() {
    let mut region = region(&[&[1, 2], &[1, 3], &[4]]);
    let (mut asking, first) = asking(&mut region);
    assert_eq!(first.len(), 2);
    asking.answered(1, &[GOOD], MS);
    assert_eq!(asking.wake_at(), 10 * MS);
    let hedges = asking.wake(10 * MS, &mut region);
    assert_eq!(told(&hedges), [(2, 2, vec![0]), (3, 3, vec![1])]);
    assert!(hedges.iter().all(|ask| ask.is_hedge));
    assert_eq!(asking.answered(2, &[GOOD], 12 * MS), []);
    // The slow one comes after all: for the first shard too late, for the second in time.
    assert_eq!(asking.answered(0, &[GOOD, GOOD], 13 * MS), []);
    assert!(asking.is_settled());
    assert_eq!(asking.winners(), [Some(2), Some(0), Some(1)]);
    assert_eq!(asking.overdue().collect::<Vec<_>>(), []);
    assert_eq!(
        region.hedges, 4,
        "one lookup that asks two nodes besides is one hedge"
    );
}

#[test]
fn the_node_that_had_to_be_hedged_is_known_to_be_overdue() {
    let mut region = region(&[&[1, 2]]);
    let (mut asking, _) = asking(&mut region);
    asking.wake(10 * MS, &mut region);
    asking.answered(1, &[GOOD], 11 * MS);
    assert_eq!(asking.overdue().collect::<Vec<_>>(), [(NodeId(1), 0)]);
}

#[test]
fn without_budget_a_frozen_node_is_given_up_at_half_the_time() {
    let mut region = region(&[&[1, 2]]);
    region.hedges = 0;
    let (mut asking, _) = asking(&mut region);
    assert_eq!(asking.wake(10 * MS, &mut region), []);
    assert_eq!(asking.wake_at(), DEADLINE / 2);
    let next = asking.wake(DEADLINE / 2, &mut region);
    assert_eq!(told(&next), [(1, 2, vec![0])]);
    assert!(!next[0].is_hedge);
    // It wakes up and is the first to answer.
    assert_eq!(asking.answered(0, &[GOOD], 501 * MS), []);
    assert_eq!(asking.winners(), [Some(0)]);
}

#[test]
fn a_failure_while_a_hedge_is_out_asks_nobody_else() {
    let mut region = region(&[&[1, 2, 3]]);
    let (mut asking, _) = asking(&mut region);
    assert_eq!(asking.wake(10 * MS, &mut region).len(), 1);
    assert_eq!(asking.failed(0, 11 * MS), []);
    let next = asking.failed(1, 12 * MS);
    assert_eq!(told(&next), [(2, 3, vec![0])]);
}

#[test]
fn who_is_behind_is_followed_by_the_primary_which_may_wait() {
    let mut region = region(&[&[1, 2, 9]]);
    let mut asking = Asking::new(&[true], DEADLINE);
    let first = asking.start(0, &mut region);
    assert_eq!(first[0].wait_micros, 0, "somebody else may have it already");
    let next = asking.answered(0, &[Verdict::Behind], MS);
    assert_eq!(told(&next), [(1, 9, vec![0])]);
    assert_eq!(next[0].wait_micros, TOKEN_WAIT_MICROS);
    let next = asking.answered(1, &[Verdict::Behind], 60 * MS);
    assert_eq!(told(&next), [(2, 2, vec![0])]);
    assert_eq!(asking.answered(2, &[Verdict::Behind], 120 * MS), []);
    assert_eq!(asking.winners(), [Some(2)], "the freshest of those behind");
    for round in 0..3 {
        let now = asking.wake_at();
        assert!(!asking.is_settled() && now < DEADLINE, "round {round}");
        let again = asking.wake(now, &mut region);
        assert_eq!(told(&again)[0].1, 1, "what it waits for is on its way");
        let attempt = again[0].attempt;
        assert_eq!(
            asking.answered(attempt, &[Verdict::Behind], now)[0].node,
            NodeId(9)
        );
        let next = asking.failed(attempt + 1, now);
        asking.answered(next[0].attempt, &[Verdict::Behind], now);
    }
    let again = asking.wake(asking.wake_at(), &mut region);
    asking.answered(again[0].attempt, &[GOOD], 300 * MS);
    assert!(asking.is_settled());
}

#[test]
fn what_is_behind_is_given_up_only_before_the_deadline() {
    let mut region = region(&[&[9]]);
    let mut asking = Asking::new(&[true], DEADLINE);
    let mut asks = asking.start(0, &mut region);
    let (mut now, mut rounds) = (0, 0);
    while !asking.is_settled() {
        now += asks[0].wait_micros + MS;
        rounds += 1;
        asking.answered(asks[0].attempt, &[Verdict::Behind], now);
        now = asking.wake_at();
        if !asking.is_settled() {
            asks = asking.wake(now, &mut region);
        }
    }
    assert!((10..40).contains(&rounds), "{rounds}");
    assert!(now > DEADLINE * 9 / 10);
}

#[test]
fn rows_that_could_not_be_read_are_better_than_none() {
    let mut region = region(&[&[1, 2]]);
    let (mut asking, _) = asking(&mut region);
    let next = asking.answered(0, &[Verdict::Damaged], MS);
    assert_eq!(told(&next), [(1, 2, vec![0])]);
    asking.answered(1, &[Verdict::Refused], 2 * MS);
    assert_eq!(asking.winners(), [Some(0)]);
}

#[test]
fn a_shard_without_candidates_is_settled_soon() {
    let mut region = region(&[&[], &[1]]);
    let (mut asking, first) = asking(&mut region);
    assert_eq!(told(&first), [(0, 1, vec![1])]);
    asking.answered(0, &[GOOD], MS);
    assert!(!asking.is_settled());
    asking.wake(asking.wake_at(), &mut region);
    assert!(asking.is_settled());
    assert_eq!(asking.winners(), [None, Some(0)]);
}
