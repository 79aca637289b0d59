//! Whether every lookup was answered that could be.

use super::timeline::{Timeline, When};
use sim::history::Micros;
use std::{fmt, time::Duration};

/// How long after a node went or came failures are shown only.
pub const FAILOVER: Duration = Duration::from_secs(3);
/// Examples that a report names.
const EXAMPLES: usize = 5;

/// How a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With everything that was asked for.
    Whole,
    /// With `STALE`, for its token.
    Stale,
    /// With so many `UNAVAILABLE` values.
    Unavailable(usize),
    /// With an error, or not at all.
    Failed(String),
    /// With values that nobody wrote, or without those that somebody did.
    Wrong(String),
}

/// A lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The node whose gateway was called.
    pub gateway: usize,
    /// When it left.
    pub issued: Micros,
    /// When it was answered.
    pub answered: Micros,
    /// How it ended.
    pub outcome: Outcome,
}

/// What came of the lookups of some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookups {
    /// All.
    pub asked: usize,
    /// Those that could be answered.
    pub answerable: usize,
    /// Of these, those answered with `STALE`.
    pub stale: usize,
    /// Of these, those without an answer or with `UNAVAILABLE` values soon after a change.
    pub failed_in_failover: usize,
    /// Of these, those without an answer or with `UNAVAILABLE` values later.
    pub failed: usize,
    /// With wrong values, whenever they came.
    pub wrong: usize,
    /// Some of what must not be.
    pub examples: Vec<String>,
}

/// Judges lookups that were issued from `from` until `to`.
#[must_use]
pub fn judge(timeline: &Timeline, asked: &[Asked], from: Micros, to: Micros) -> Lookups {
    let mut found = Lookups::default();
    let within = |asked: &&Asked| asked.issued >= from && asked.issued < to;
    for asked in asked.iter().filter(within) {
        let when = timeline.when(asked.gateway, asked.issued, asked.answered, FAILOVER);
        found.take(asked, when);
    }
    found
}

impl Lookups {
    fn take(&mut self, asked: &Asked, when: When) {
        self.asked += 1;
        self.answerable += usize::from(when != When::Unanswerable);
        match (&asked.outcome, when) {
            (Outcome::Wrong(_), _) => {
                self.wrong += 1;
                self.tell(asked);
            }
            (Outcome::Whole, _) | (_, When::Unanswerable) => {}
            (Outcome::Stale, _) => self.stale += 1,
            (Outcome::Unavailable(_) | Outcome::Failed(_), When::Failover) => {
                self.failed_in_failover += 1;
            }
            (Outcome::Unavailable(_) | Outcome::Failed(_), When::Steady) => {
                self.failed += 1;
                self.tell(asked);
            }
        }
    }

    fn tell(&mut self, asked: &Asked) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(asked.to_string());
        }
    }

    /// Whether nothing happened that must not.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.failed == 0 && self.wrong == 0
    }
}

impl fmt::Display for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked,
            answerable,
            stale,
            failed_in_failover,
            failed,
            wrong,
            ..
        } = self;
        write!(
            f,
            "{asked} lookups, {answerable} answerable: {failed} failed, {wrong} wrong, \
             {failed_in_failover} failed within {FAILOVER:?} of a change, {stale} stale"
        )
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gateway,
            issued,
            answered,
            outcome,
        } = self;
        write!(
            f,
            "lookup through node {gateway} from {issued} to {answered}: {outcome:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::timeline::Change, *};

    fn at(seconds: u64) -> Micros {
        Micros(seconds * 1_000_000)
    }

    /// Three nodes that serve from second 0; the last stands from second 10.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::of(3);
        for node in 0..3 {
            timeline.note(at(0), node, Change::Serves);
        }
        timeline.note(at(10), 2, Change::Stands);
        timeline
    }

    fn judged(gateway: usize, from: u64, outcome: Outcome) -> Lookups {
        let asked = Asked {
            gateway,
            issued: at(from),
            answered: at(from),
            outcome,
        };
        judge(&timeline(), &[asked], at(0), at(100))
    }

    #[test]
    fn a_failure_counts_where_a_live_replica_can_answer() {
        let failed = || Outcome::Failed("refused".into());
        assert_eq!(judged(0, 20, failed()).failed, 1);
        assert_eq!(judged(0, 20, Outcome::Unavailable(3)).failed, 1);
        assert_eq!(judged(0, 11, failed()).failed_in_failover, 1);
        assert!(judged(0, 11, failed()).is_clean());
        assert!(judged(2, 20, failed()).is_clean(), "its gateway stands");
        assert!(judged(0, 20, Outcome::Stale).is_clean());
        assert_eq!(judged(0, 20, Outcome::Stale).stale, 1);
    }

    #[test]
    fn a_wrong_value_counts_always() {
        for (gateway, from) in [(0, 20), (0, 11), (2, 20)] {
            assert!(!judged(gateway, from, Outcome::Wrong("x".into())).is_clean());
        }
    }

    #[test]
    fn only_lookups_of_the_time_count() {
        let asked = Asked {
            gateway: 0,
            issued: at(5),
            answered: at(5),
            outcome: Outcome::Whole,
        };
        let count =
            |from, to| judge(&timeline(), std::slice::from_ref(&asked), at(from), at(to)).asked;
        assert_eq!([count(0, 5), count(5, 6), count(6, 9)], [0, 1, 0]);
    }
}
