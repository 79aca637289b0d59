//! Which nodes served when.

use sim::history::Micros;
use std::time::Duration;

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes traffic.
    Serves,
    /// It is about to be killed, frozen or stopped.
    Stands,
    /// It left the cluster for good.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted {
    at: Micros,
    node: usize,
    change: Change,
}

/// When a call ran, by what was done to nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Its gateway, or more than one node, did not serve all the while.
    Unanswerable,
    /// It is answerable, soon after a node went or came.
    Failover,
    /// It is answerable.
    Steady,
}

/// What a node does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is no node of the cluster: not yet, or not any more.
    Absent,
    Stands,
    Serves,
}

impl State {
    const fn after(change: Change) -> Self {
        match change {
            Change::Serves => Self::Serves,
            Change::Stands => Self::Stands,
            Change::Left => Self::Absent,
        }
    }
}

/// See the module. The first nodes stand at the start; others are none of the cluster before they serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    nodes: usize,
    noted: Vec<Noted>,
}

impl Timeline {
    /// A timeline of so many nodes.
    #[must_use]
    pub const fn of(nodes: usize) -> Self {
        Self {
            nodes,
            noted: Vec::new(),
        }
    }

    /// Tells what happened to a node. Times never go back.
    pub fn note(&mut self, at: Micros, node: usize, change: Change) {
        self.noted.push(Noted { at, node, change });
    }

    /// Whether a node stands by the last that was told.
    #[must_use]
    pub fn stands(&self, node: usize) -> bool {
        let mut of_node = self.noted.iter().rev().filter(|noted| noted.node == node);
        of_node
            .next()
            .is_none_or(|noted| noted.change != Change::Serves)
    }

    fn at_the_start(&self, gateway: usize) -> Vec<State> {
        let noted = self.noted.iter().map(|noted| noted.node);
        let last = noted.chain([gateway]).max().unwrap_or_default();
        let mut states = vec![State::Stands; self.nodes];
        states.resize(self.nodes.max(last + 1), State::Absent);
        states
    }

    /// When a call through `gateway` ran.
    #[must_use]
    pub fn when(&self, gateway: usize, from: Micros, to: Micros, failover: Duration) -> When {
        let failover = u64::try_from(failover.as_micros()).unwrap_or(u64::MAX);
        let mut states = self.at_the_start(gateway);
        let mut last_change = None;
        let mut is_answerable = true;
        let judge = |states: &[State]| {
            let standing = states.iter().filter(|state| **state == State::Stands);
            states[gateway] == State::Serves && standing.count() <= 1
        };
        let begun = self.noted.partition_point(|noted| noted.at <= from);
        for noted in &self.noted[..begun] {
            states[noted.node] = State::after(noted.change);
            last_change = Some(noted.at);
        }
        is_answerable &= judge(&states);
        for noted in self.noted[begun..]
            .iter()
            .take_while(|noted| noted.at <= to)
        {
            states[noted.node] = State::after(noted.change);
            last_change = Some(noted.at);
            is_answerable &= judge(&states);
        }
        let is_soon = last_change.is_some_and(|at| at.0.saturating_add(failover) >= from.0);
        match (is_answerable, is_soon) {
            (false, _) => When::Unanswerable,
            (true, true) => When::Failover,
            (true, false) => When::Steady,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(seconds: u64) -> Micros {
        Micros(seconds * SECOND)
    }

    /// Three nodes serve from second 1; node 2 stands from 10 to 20, all from 40 to 50, 51 and 52.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::of(3);
        for node in 0..3 {
            timeline.note(at(1), node, Change::Serves);
        }
        timeline.note(at(10), 2, Change::Stands);
        timeline.note(at(20), 2, Change::Serves);
        for node in 0..3 {
            timeline.note(at(40), node, Change::Stands);
        }
        for node in 0..3 {
            timeline.note(at(50 + node as u64), node, Change::Serves);
        }
        timeline
    }

    fn check(gateway: usize, from: u64, to: u64, expected: When) {
        let when = timeline().when(gateway, at(from), at(to), Duration::from_secs(3));
        assert_eq!(when, expected, "through {gateway} from {from} to {to}");
    }

    #[test]
    fn a_call_through_a_node_that_serves_is_answerable_while_one_other_stands() {
        check(0, 0, 0, When::Unanswerable);
        check(0, 5, 6, When::Steady);
        check(0, 5, 10, When::Failover);
        check(0, 11, 12, When::Failover);
        check(0, 15, 16, When::Steady);
        check(0, 21, 22, When::Failover);
        check(0, 25, 26, When::Steady);
    }

    #[test]
    fn a_call_through_a_node_that_stands_for_a_moment_of_it_is_not() {
        check(2, 5, 9, When::Steady);
        check(2, 5, 10, When::Unanswerable);
        check(2, 15, 16, When::Unanswerable);
        check(2, 15, 30, When::Unanswerable);
        check(2, 24, 30, When::Steady);
    }

    #[test]
    fn a_call_while_two_stand_is_not() {
        check(0, 39, 41, When::Unanswerable);
        check(0, 50, 50, When::Unanswerable);
        check(0, 51, 51, When::Failover);
        check(0, 60, 61, When::Steady);
    }

    #[test]
    fn a_node_counts_from_when_it_first_serves_until_it_left() {
        let mut timeline = Timeline::of(2);
        timeline.note(at(1), 0, Change::Serves);
        let check = |timeline: &Timeline, gateway, from, expected| {
            let when = timeline.when(gateway, at(from), at(from), Duration::ZERO);
            assert_eq!(when, expected, "through {gateway} at {from}");
        };
        timeline.note(at(2), 1, Change::Serves);
        timeline.note(at(5), 1, Change::Stands);
        timeline.note(at(20), 2, Change::Serves);
        check(&timeline, 0, 10, When::Steady);
        check(&timeline, 2, 10, When::Unanswerable);
        check(&timeline, 2, 21, When::Steady);
        timeline.note(at(30), 0, Change::Stands);
        check(&timeline, 2, 31, When::Unanswerable);
        timeline.note(at(40), 1, Change::Left);
        check(&timeline, 2, 41, When::Steady);
    }

    #[test]
    fn who_stands_now_is_known() {
        let mut timeline = Timeline::of(2);
        assert!(timeline.stands(0));
        timeline.note(at(1), 0, Change::Serves);
        assert!(!timeline.stands(0) && timeline.stands(1));
    }
}
