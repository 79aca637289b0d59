//! Points in time as they are stored: microseconds since 1970 UTC.
//!
//! Pure arithmetic. Reading a clock is the business of drivers; here `now` is always an argument.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a fact was true, given by its writer. From 1970 until 2255: the index keeps 53 bits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventTime(u64);

impl EventTime {
    /// The last point that can be stored.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The point `micros` after 1970, if it can be stored.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < 0 || micros as u64 > Self::MAX.0 {
            None
        } else {
            Some(Self(micros as u64))
        }
    }

    /// The point `micros` after 1970, no later than [`Self::MAX`].
    #[must_use]
    pub const fn saturating(micros: u64) -> Self {
        if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The point `span` later, no later than [`Self::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self::saturating(self.0.saturating_add(micros))
    }

    /// The point `span` earlier, no earlier than 1970.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_stored_are_none() {
        assert_eq!(EventTime::from_micros(-1), None);
        assert_eq!(EventTime::from_micros(1 << 53), None);
        assert_eq!(EventTime::from_micros((1 << 53) - 1), Some(EventTime::MAX));
        assert_eq!(
            EventTime::from_micros(0)
                .unwrap()
                .minus(Duration::from_secs(1))
                .micros(),
            0
        );
        assert_eq!(EventTime::MAX.plus(Duration::MAX), EventTime::MAX);
    }
}
