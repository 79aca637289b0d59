//! The harness's one clock: microseconds since a run began, beside the wall clock's time then.

use sim::history::Micros;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// See the module. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    wall_at_start: Duration,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: Instant::now(),
            wall_at_start: wall.expect("the machine's clock is past 1970"),
        }
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Since the start, as histories say it.
    #[must_use]
    pub fn now(&self) -> Micros {
        Micros(micros(self.elapsed()))
    }

    /// Microseconds since 1970, moving with the monotonic clock.
    #[must_use]
    pub fn wall_micros(&self) -> u64 {
        micros(self.wall_at_start + self.elapsed())
    }

    /// Microseconds since 1970 at the start.
    #[must_use]
    pub fn wall_at_start(&self) -> u64 {
        micros(self.wall_at_start)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
