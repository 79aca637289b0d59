//! The hybrid logical clock: stamps that rise on each node and follow what was seen.
//!
//! 48 bits of milliseconds, 16 of a counter. The clock itself is pure: the wall clock comes in as
//! an argument, and the bound below which it may stamp comes from disk (see [`Clock::raise_bound`]).

use crate::time::EventTime;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// One stamp.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hlc(pub u64);

impl Hlc {
    /// Before every stamp.
    pub const ZERO: Self = Self(0);

    /// The first stamp of a millisecond.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis << 16)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The counter within the millisecond.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The stamp as a point in time; what a view with `order_by: write_time` keeps as event time.
    #[must_use]
    pub const fn event_time(self) -> EventTime {
        EventTime::saturating(self.millis() * 1_000)
    }

    /// How far the stamp lies ahead of `wall_millis`.
    #[must_use]
    pub const fn ahead_of(self, wall_millis: u64) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(wall_millis))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A node's clock. Stamps rise strictly, never fall behind what was observed, and never reach the
/// persisted bound: a restarted node starts at the bound, so it cannot stamp twice alike (I18).
#[derive(Debug, Clone)]
pub struct Clock {
    last: Hlc,
    bound: Hlc,
}

/// The bound must be raised, and made durable, before another stamp is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock's durable bound is reached at {needed}; raise it before stamping")]
pub struct BoundReached {
    /// The stamp that was to be given.
    pub needed: Hlc,
}

impl Clock {
    /// A clock that starts at the bound which an earlier run left, with no room to stamp yet.
    #[must_use]
    pub const fn starting_at(bound: Hlc) -> Self {
        Self { last: bound, bound }
    }

    /// The largest stamp given or observed.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.last
    }

    /// The bound that stands on disk.
    #[must_use]
    pub const fn bound(&self) -> Hlc {
        self.bound
    }

    /// The next stamp at the wall clock's `wall_millis`.
    pub fn stamp(&mut self, wall_millis: u64) -> Result<Hlc, BoundReached> {
        let next = Hlc::from_millis(wall_millis).max(Hlc(self.last.0 + 1));
        if next >= self.bound {
            return Err(BoundReached { needed: next });
        }
        self.last = next;
        Ok(next)
    }

    /// Follows a stamp seen in an entry, a close or a token.
    pub fn observe(&mut self, seen: Hlc) {
        self.last = self.last.max(seen);
    }

    /// Tells that `bound` is durable.
    pub fn raise_bound(&mut self, bound: Hlc) {
        self.bound = self.bound.max(bound);
    }

    /// The bound to make durable next: `room` ahead of the wall clock and of the last stamp.
    #[must_use]
    pub fn bound_wanted(&self, wall_millis: u64, room: Duration) -> Hlc {
        let room_millis = u64::try_from(room.as_millis()).unwrap_or(u64::MAX >> 16);
        Hlc::from_millis(wall_millis.max(self.last.millis()) + room_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_while_the_wall_clock_stands_or_falls() {
        let mut clock = Clock::starting_at(Hlc::ZERO);
        clock.raise_bound(Hlc::from_millis(1_000));
        let stamps: Vec<_> = [5, 5, 3, 9].map(|wall| clock.stamp(wall).unwrap()).into();
        assert_eq!(format!("{stamps:?}"), "[5.0, 5.1, 5.2, 9.0]");
    }

    #[test]
    fn a_restarted_clock_stamps_above_all_it_stamped_before() {
        let mut before = Clock::starting_at(Hlc::ZERO);
        before.raise_bound(Hlc::from_millis(2_000));
        let last = before.stamp(1_999).unwrap();
        let mut after = Clock::starting_at(before.bound());
        assert!(
            after.stamp(10).is_err(),
            "it has no room before the bound is raised"
        );
        after.raise_bound(after.bound_wanted(10, Duration::from_secs(1)));
        assert!(after.stamp(10).unwrap() > last);
    }

    #[test]
    fn the_bound_is_never_reached() {
        let mut clock = Clock::starting_at(Hlc::ZERO);
        clock.raise_bound(Hlc::from_millis(10));
        assert_eq!(
            clock.stamp(10),
            Err(BoundReached {
                needed: Hlc::from_millis(10)
            })
        );
        clock.observe(Hlc::from_millis(50));
        assert!(clock.stamp(1).is_err());
    }
}
