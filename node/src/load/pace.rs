//! `--rows-per-second`: when the next batch may go, without catching up in a burst after a stall.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How far behind its time a batch may go out before the schedule starts anew.
const SLACK: Duration = Duration::from_secs(1);

/// A schedule of rows.
#[derive(Debug)]
pub struct Pace {
    rows_per_second: Option<f64>,
    next: Instant,
}

impl Pace {
    /// Begins at `now`; without a rate every batch may go at once.
    #[must_use]
    pub fn new(rows_per_second: Option<f64>, now: Instant) -> Self {
        Self {
            rows_per_second,
            next: now,
        }
    }

    /// When `rows` rows may go that are ready at `now`.
    pub fn schedule(&mut self, rows: usize, now: Instant) -> Instant {
        let Some(rate) = self.rows_per_second else {
            return now;
        };
        if self.next + SLACK < now {
            self.next = now;
        }
        let at = self.next;
        self.next += Duration::from_secs_f64(rows as f64 / rate);
        at
    }

    /// Waits until `rows` rows may go.
    pub async fn wait(&mut self, rows: usize) {
        let at = self.schedule(rows, Instant::now());
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_the_rate_and_do_not_catch_up_in_a_burst() {
        let start = Instant::now();
        let after = |millis: u64| start + Duration::from_millis(millis);
        let mut pace = Pace::new(Some(1_000.0), start);
        assert_eq!(pace.schedule(100, start), start);
        assert_eq!(pace.schedule(100, after(1)), after(100));
        // Half a second late is made up for; ten seconds are not.
        assert_eq!(pace.schedule(100, after(700)), after(200));
        assert_eq!(pace.schedule(100, after(10_000)), after(10_000));
        assert_eq!(pace.schedule(100, after(10_000)), after(10_100));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        assert_eq!(pace.schedule(1_000_000, start), start);
        assert_eq!(pace.schedule(1, start), start);
    }
}
