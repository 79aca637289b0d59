//! Time: a monotonic clock that counts suspension, and the wall clock.

use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since an unknown start; never steps back, and goes on while the machine is suspended, so
    /// that an age measured with it is never too small.
    pub monotonic: Duration,
    /// Microseconds since 1970 UTC, as far as the machine knows.
    pub wall_micros: u64,
}

impl Now {
    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub const fn wall_millis(&self) -> u64 {
        self.wall_micros / 1_000
    }

    /// Microseconds of the monotonic clock.
    #[must_use]
    pub fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.monotonic.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
    /// Microseconds for which a thread of the present runtime had tasks to run, on average over its
    /// threads; none where that is not measured.
    fn busy_micros(&self) -> Option<u64> {
        None
    }
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let monotonic = span(clock_gettime(ClockId::Boottime));
        let wall = span(clock_gettime(ClockId::Realtime));
        Now {
            monotonic,
            wall_micros: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn busy_micros(&self) -> Option<u64> {
        let runtime = tokio::runtime::Handle::try_current().ok()?.metrics();
        let threads = runtime.num_workers();
        let busy: Duration = (0..threads)
            .map(|thread| runtime.worker_total_busy_duration(thread))
            .sum();
        u64::try_from(busy.as_micros())
            .ok()?
            .checked_div(threads as u64)
    }
}

/// A clock before its epoch reads as the epoch.
fn span(time: Timespec) -> Duration {
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
