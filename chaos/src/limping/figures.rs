//! What is told of a bout: how long writes took, and when the node was out.

use std::{fmt, time::Duration};

/// How long calls of some time took that came to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    calls: &'static str,
    sorted: Vec<Duration>,
}

impl Figures {
    /// Of these, in any order; `calls` says what they are of.
    #[must_use]
    pub fn of(calls: &'static str, mut lengths: Vec<Duration>) -> Self {
        lengths.sort();
        Self {
            calls,
            sorted: lengths,
        }
    }

    fn quantile(&self, percent: usize) -> Duration {
        let place = self.sorted.len() * percent / 100;
        let last = self.sorted.len().saturating_sub(1);
        let found = self.sorted.get(place.min(last));
        found.copied().unwrap_or_default()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, calls) = (self.sorted.len(), self.calls);
        if count == 0 {
            return write!(f, "no {calls}");
        }
        let [half, most, all] = [50, 99, 100].map(|percent| self.quantile(percent));
        write!(
            f,
            "{count} {calls}, p50 {half:.1?}, p99 {most:.1?}, longest {all:.1?}"
        )
    }
}

/// When a node had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// When it was in sync of nothing, and stayed so as far as was looked.
    out_of_sync: Option<Duration>,
    /// When it was primary of nothing, likewise.
    no_primary: Option<Duration>,
    /// How often it was in sync again before the fault ended.
    returns: usize,
    /// Of how many shards it was in sync, and primary, when it was last looked.
    last: (usize, usize),
}

impl Left {
    /// Takes in of how many shards it is in sync, and primary, so long after the fault began.
    pub fn look(&mut self, (in_sync, primaries): (usize, usize), at: Duration) {
        self.last = (in_sync, primaries);
        let since = |known: Option<Duration>, count| match count {
            0 => known.or(Some(at)),
            _ => None,
        };
        self.returns += usize::from(self.out_of_sync.is_some() && in_sync > 0);
        self.out_of_sync = since(self.out_of_sync, in_sync);
        self.no_primary = since(self.no_primary, primaries);
    }

    /// Of how many shards it was in sync when it was last looked.
    #[must_use]
    pub const fn last_in_sync(&self) -> usize {
        self.last.0
    }

    /// Whether it was out of everything in the end.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.out_of_sync.is_some() && self.no_primary.is_some()
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            out_of_sync,
            no_primary,
            returns,
            last: (in_sync, primaries),
        } = self;
        match no_primary {
            Some(at) => write!(f, "primary of nothing after {:.1} s", at.as_secs_f64())?,
            None => write!(f, "still primary of {primaries} shards")?,
        }
        match out_of_sync {
            Some(at) => write!(f, ", out of sync after {:.1} s", at.as_secs_f64())?,
            None => write!(f, ", still in sync of {in_sync} shards")?,
        }
        write!(f, ", {returns} returns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_sorted_lengths() {
        let lengths = (1..=200).rev().map(Duration::from_millis);
        let told = Figures::of("writes", lengths.collect()).to_string();
        assert_eq!(
            told,
            "200 writes, p50 101.0ms, p99 199.0ms, longest 200.0ms"
        );
        let none = Figures::of("writes", Vec::new());
        assert_eq!(none.to_string(), "no writes");
    }

    #[test]
    fn a_node_is_out_once_it_stays_out() {
        let mut left = Left::default();
        let at = Duration::from_secs;
        left.look((4, 2), at(1));
        left.look((4, 0), at(2));
        left.look((0, 0), at(3));
        assert!(left.is_out());
        left.look((1, 0), at(4));
        assert!(!left.is_out());
        left.look((0, 0), at(5));
        let told = "primary of nothing after 2.0 s, out of sync after 5.0 s, 1 returns";
        assert_eq!(left.to_string(), told);
    }
}
