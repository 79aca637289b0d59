//! Who is asked for which shards of one lookup, and when somebody else is. Pure.
//!
//! Shards are named by their place in the fetch. Each has its candidates in the order of preference.
//! An *attempt* is one node asked for some shards at once. The first good answer of a shard wins. One
//! that is behind what was asked for, or has rows that it cannot read, is kept for want of a better;
//! then the primary is asked, for it has whatever was acknowledged, or else the next one. When all
//! were asked in vain, a shard that is behind is asked for again until the deadline, since what it
//! waits for is on its way; one that nobody could read is tried once more, since the shard map may
//! just have changed.

mod state;

use proto::id::NodeId;
use state::{Attempt, Place};
use std::collections::BTreeMap;

/// The longest that a node waits for a token before it says how far it is: somebody else may be
/// further by then.
pub const TOKEN_WAIT_MICROS: u64 = 50_000;
/// Until a shard that is behind is asked for again, at first; twice as long each time.
const BEHIND_PAUSE_MICROS: u64 = 2_000;
const BEHIND_PAUSE_MOST_MICROS: u64 = 25_000;
/// Until a shard that nobody could read is asked for once more.
const REFUSED_PAUSE_MICROS: u64 = 25_000;
const REFUSED_ROUNDS: u32 = 2;

/// A node that may have a shard's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Whether it is the shard's primary.
    pub is_primary: bool,
    /// How long it is waited for before somebody else is asked besides.
    pub hedge_after_micros: u64,
}

/// What an answer is worth for one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that was asked for.
    Good,
    /// Rows, but older than the token or the staleness asked for.
    Behind,
    /// Rows, some of which could not be read.
    Damaged,
    /// None.
    Refused,
}

/// What the decisions take from outside.
pub trait Surroundings {
    /// Who may have a shard's rows now, the best first.
    fn candidates(&mut self, place: u16) -> Vec<Candidate>;
    /// Whether the budget has room for a hedge; takes it.
    fn may_hedge(&mut self) -> bool;
}

/// One node is to be asked for some shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The attempt's number.
    pub attempt: usize,
    /// The node.
    pub node: NodeId,
    /// The shards; rising.
    pub places: Vec<u16>,
    /// How long the node may wait until it reflects the token.
    pub wait_micros: u64,
    /// Whether another node is still waited for.
    pub is_hedge: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Asking {
    deadline: u64,
    places: Vec<Place>,
    attempts: Vec<Attempt>,
}

impl Asking {
    /// A lookup of so many shards, of which `waits` says whether a token names them.
    #[must_use]
    pub fn new(waits: &[bool], deadline: u64) -> Self {
        Self {
            deadline,
            places: waits.iter().map(|waits| Place::new(*waits)).collect(),
            attempts: Vec::new(),
        }
    }

    /// The first to ask.
    pub fn start(&mut self, now: u64, around: &mut impl Surroundings) -> Vec<Ask> {
        let all: Vec<u16> = (0..).zip(&self.places).map(|(place, _)| place).collect();
        self.begin(&all, now, around)
    }

    /// An attempt brought an answer: what it is worth for each of its shards.
    pub fn answered(&mut self, attempt: usize, verdicts: &[Verdict], now: u64) -> Vec<Ask> {
        let places = self.end(attempt);
        for (place, verdict) in places.iter().zip(verdicts) {
            self.places[usize::from(*place)].take(attempt, *verdict);
        }
        self.go_on(&places, now)
    }

    /// An attempt brought none, and will not.
    pub fn failed(&mut self, attempt: usize, now: u64) -> Vec<Ask> {
        let places = self.end(attempt);
        self.go_on(&places, now)
    }

    /// When [`Self::wake`] has something to do; never after the deadline.
    #[must_use]
    pub fn wake_at(&self) -> u64 {
        let attempts = self.attempts.iter().filter_map(Attempt::wake_at);
        let places = self.places.iter().filter_map(|place| place.again_at);
        attempts
            .chain(places)
            .min()
            .unwrap_or(self.deadline)
            .min(self.deadline)
    }

    /// Time has passed: hedges, gives up, asks again.
    pub fn wake(&mut self, now: u64, around: &mut impl Surroundings) -> Vec<Ask> {
        let mut asks = Vec::new();
        for attempt in 0..self.attempts.len() {
            if self.attempts[attempt].is_due_to_hedge(now) {
                asks.extend(self.hedge(attempt, now, around));
            }
            if self.attempts[attempt].is_due_to_give_up(now) {
                // It may still answer, and then counts; nobody waits for it.
                let places = self.release(attempt);
                asks.extend(self.go_on(&places, now));
            }
        }
        let again: Vec<u16> = (0..)
            .zip(&self.places)
            .filter(|(_, place)| place.again_at.is_some_and(|at| at <= now))
            .map(|(place, _)| place)
            .collect();
        asks.extend(self.begin(&again, now, around));
        asks
    }

    /// Whether nothing more can come of waiting.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.places.iter().all(Place::is_settled)
    }

    /// By shard, the attempt whose rows are the answer.
    #[must_use]
    pub fn winners(&self) -> Vec<Option<usize>> {
        self.places.iter().map(Place::best).collect()
    }

    /// The attempts that were waited for in vain or too long: what is known of them is only that.
    pub fn overdue(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        let overdue = |attempt: &&Attempt| !attempt.has_ended && attempt.hedge_at.is_none();
        let attempts = self.attempts.iter().filter(overdue);
        attempts.map(|attempt| (attempt.node, attempt.asked_at))
    }

    /// Asks the first candidates of some shards, whoever was asked before.
    fn begin(&mut self, places: &[u16], now: u64, around: &mut impl Surroundings) -> Vec<Ask> {
        for place in places {
            self.places[usize::from(*place)].begin(around.candidates(*place));
        }
        self.go_on(places, now)
    }

    /// Asks the next candidates of those shards that nobody is waited for.
    fn go_on(&mut self, places: &[u16], now: u64) -> Vec<Ask> {
        let mut next: BTreeMap<NodeId, Vec<(u16, Candidate)>> = BTreeMap::new();
        for place in places {
            let of_place = &mut self.places[usize::from(*place)];
            if of_place.is_idle() {
                match of_place.next() {
                    Some(candidate) => {
                        let of_node = next.entry(candidate.node).or_default();
                        of_node.push((*place, candidate));
                    }
                    None => of_place.rest(now, self.deadline),
                }
            }
        }
        self.ask(next, now, false)
    }

    /// Asks others for those shards of an attempt that are still open.
    fn hedge(&mut self, attempt: usize, now: u64, around: &mut impl Surroundings) -> Vec<Ask> {
        self.attempts[attempt].hedge_at = None;
        let mut next: BTreeMap<NodeId, Vec<(u16, Candidate)>> = BTreeMap::new();
        for place in &self.attempts[attempt].places {
            let of_place = &self.places[usize::from(*place)];
            if let Some(candidate) = of_place.next().filter(|_| of_place.waits_for_one()) {
                let of_node = next.entry(candidate.node).or_default();
                of_node.push((*place, candidate));
            }
        }
        if next.is_empty() || !around.may_hedge() {
            return Vec::new();
        }
        self.ask(next, now, true)
    }

    fn ask(
        &mut self,
        next: BTreeMap<NodeId, Vec<(u16, Candidate)>>,
        now: u64,
        is_hedge: bool,
    ) -> Vec<Ask> {
        let mut asks = Vec::with_capacity(next.len());
        for (node, of_node) in next {
            let attempt = self.attempts.len();
            let mut waits = true;
            for (place, candidate) in &of_node {
                waits &= self.places[usize::from(*place)].ask(candidate);
            }
            let left = self.deadline.saturating_sub(now);
            let wait_micros = if waits {
                TOKEN_WAIT_MICROS.min(left / 2)
            } else {
                0
            };
            let hedge_after = of_node.iter().map(|(_, of)| of.hedge_after_micros).max();
            let hedge_after = wait_micros + hedge_after.unwrap_or_default();
            let places: Vec<u16> = of_node.iter().map(|(place, _)| *place).collect();
            self.attempts.push(Attempt {
                node,
                places: places.clone(),
                asked_at: now,
                hedge_at: Some(now + hedge_after),
                give_up_at: Some(now + hedge_after.max(left / 2)),
                is_waited_for: true,
                has_ended: false,
            });
            asks.push(Ask {
                attempt,
                node,
                places,
                wait_micros,
                is_hedge,
            });
        }
        asks
    }

    /// An attempt is over; gives its shards.
    fn end(&mut self, attempt: usize) -> Vec<u16> {
        self.attempts[attempt].has_ended = true;
        self.release(attempt)
    }

    /// Nobody waits for an attempt any longer.
    fn release(&mut self, attempt: usize) -> Vec<u16> {
        let attempt = &mut self.attempts[attempt];
        (attempt.hedge_at, attempt.give_up_at) = (None, None);
        let places = attempt.places.clone();
        if std::mem::take(&mut attempt.is_waited_for) {
            for place in &places {
                self.places[usize::from(*place)].waited_for -= 1;
            }
        }
        places
    }
}

#[cfg(test)]
mod tests;
