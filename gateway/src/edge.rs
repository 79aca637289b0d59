//! The seams through which time and randomness come in, so that a simulated world controls them.

/// Time as the gateway sees it.
pub trait Clock: Send + Sync {
    /// Microseconds of a clock that never goes back; its zero means nothing.
    fn monotonic_micros(&self) -> u64;
    /// Microseconds since 1970 UTC, as this machine believes.
    fn wall_micros(&self) -> u64;
    /// Microseconds for which a thread that runs tasks had any to run, on average over these threads;
    /// none where that is not measured.
    fn busy_micros(&self) -> Option<u64> {
        None
    }
}

/// Where random bits come from.
pub trait Randomness: Send + Sync {
    /// 128 fresh bits.
    fn random_u128(&self) -> u128;
}

/// A point on [`Clock::monotonic_micros`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago it is.
    #[must_use]
    pub fn age(self, now_micros: u64) -> std::time::Duration {
        std::time::Duration::from_micros(now_micros.saturating_sub(self.0))
    }
}

/// A point on [`Clock::monotonic_micros`] by which a call must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub u64);

impl Deadline {
    /// The point `wait` after `clock`'s present.
    #[must_use]
    pub fn after(clock: &dyn Clock, wait: std::time::Duration) -> Self {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self(clock.monotonic_micros().saturating_add(micros))
    }

    /// What is left until then; zero once it has passed.
    #[must_use]
    pub fn left(self, clock: &dyn Clock) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.saturating_sub(clock.monotonic_micros()))
    }
}
