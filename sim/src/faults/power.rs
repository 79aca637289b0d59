//! Losses of power: the disk stops in the middle of what is written, a little before the host goes down.

use super::schedule::{Fault, Host, Schedule};
use crate::random::Random;
use std::time::Duration;

/// Crashes of a hundred that are one.
const PERCENT: u64 = 60;

/// A loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerLoss {
    /// Whose.
    pub host: Host,
    /// From when on.
    pub at: Duration,
    /// After how many more changes of the disk.
    pub after_changes: u64,
}

impl PowerLoss {
    /// Draws which crashes of a schedule are losses of power, in the order of time.
    pub fn draw(random: &mut Random, schedule: &Schedule) -> Vec<Self> {
        let mut losses = Vec::new();
        for event in schedule.events() {
            let Fault::Crash(host) = event.fault else {
                continue;
            };
            let before = Duration::from_micros(random.within(2_000..80_000));
            let after_changes = random.below(6);
            if random.percent(PERCENT) {
                losses.push(Self {
                    host,
                    at: event.at.saturating_sub(before),
                    after_changes,
                });
            }
        }
        losses.sort_by_key(|loss| loss.at);
        losses
    }
}
