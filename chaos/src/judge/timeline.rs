//! Which nodes served when.

use sim::history::Micros;
use std::time::Duration;

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes traffic.
    Serves,
    /// It is about to be killed or frozen.
    Stands,
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

/// See the module. Nodes stand at the start.
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
            .is_none_or(|noted| noted.change == Change::Stands)
    }

    /// When a call through `gateway` ran.
    #[must_use]
    pub fn when(&self, gateway: usize, from: Micros, to: Micros, failover: Duration) -> When {
        let failover = u64::try_from(failover.as_micros()).unwrap_or(u64::MAX);
        let mut serves = vec![false; self.nodes];
        let mut last_change = None;
        let mut is_answerable = true;
        let judge = |serves: &[bool]| {
            let standing = serves.iter().filter(|serves| !**serves).count();
            serves[gateway] && standing <= 1
        };
        let begun = self.noted.partition_point(|noted| noted.at <= from);
        for noted in &self.noted[..begun] {
            serves[noted.node] = noted.change == Change::Serves;
            last_change = Some(noted.at);
        }
        is_answerable &= judge(&serves);
        for noted in self.noted[begun..]
            .iter()
            .take_while(|noted| noted.at <= to)
        {
            serves[noted.node] = noted.change == Change::Serves;
            last_change = Some(noted.at);
            is_answerable &= judge(&serves);
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
    fn who_stands_now_is_known() {
        let mut timeline = Timeline::of(2);
        assert!(timeline.stands(0));
        timeline.note(at(1), 0, Change::Serves);
        assert!(!timeline.stands(0) && timeline.stands(1));
    }
}
