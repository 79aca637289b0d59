//! How many calls are worked on at once: fewer where the process is busy all the time and calls stay long,
//! more where all places are wanted.
//!
//! Calls that stay long are no sign of too many by themselves: they may wait for other nodes, or for a
//! caller that sends its body slowly, and with fewer of them the process would only be idle. Where it
//! never is, each call more makes all others stay longer and none comes out earlier.

use std::ops::RangeInclusive;

/// Calls that a window has at least.
const WINDOW_CALLS: u32 = 32;
/// How long a window lasts at least.
const WINDOW_MICROS: u64 = 50_000;
/// The part of a window from which on the process counts as busy all the time.
const BUSY: f64 = 0.9;
/// What is left of the limit, at most and at least, after a window in which there were too many. In
/// between it is what would have made their stay as long as is wanted.
const LESS: RangeInclusive<f64> = 0.25..=0.9;
/// The part of the limit that it grows by after a window that was full without that.
const MORE: f64 = 1.0 / 16.0;

/// What a user of a limit chooses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// How long a call may stay before it counts as late.
    pub target_micros: u64,
    /// The limit never falls below.
    pub least: usize,
    /// The limit never grows beyond, and begins there: an idle process has nothing to learn from.
    pub most: usize,
}

/// A moment, and how long the process had been busy until then, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant {
    /// The moment.
    pub at_micros: u64,
    /// Microseconds of work of each thread, since any moment.
    pub busy_micros: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Limit {
    tuning: Tuning,
    calls: f64,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    calls: u32,
    late: u32,
    stayed_micros: u64,
    was_full: bool,
}

impl Limit {
    /// A limit before anything is known.
    #[must_use]
    pub fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            calls: tuning.most as f64,
            window: Window::default(),
        }
    }

    /// How many calls may be inside.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls as usize
    }

    /// Somebody found no room.
    pub fn note_full(&mut self) {
        self.window.was_full = true;
    }

    /// A call leaves that stayed so long.
    pub fn note_left(&mut self, now: Instant, stayed_micros: u64) {
        let began = *self.window.began.get_or_insert(now);
        self.window.calls += 1;
        self.window.stayed_micros += stayed_micros;
        self.window.late += u32::from(stayed_micros > self.tuning.target_micros);
        let lasted = now.at_micros.saturating_sub(began.at_micros);
        if self.window.calls >= WINDOW_CALLS && lasted >= WINDOW_MICROS {
            self.judge(now.busy_since(began) >= BUSY * lasted as f64);
            self.window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
    }

    fn judge(&mut self, was_busy: bool) {
        let are_late = self.window.late * 2 > self.window.calls;
        let (least, most) = (self.tuning.least as f64, self.tuning.most as f64);
        if was_busy && are_late {
            let wanted = self.tuning.target_micros * u64::from(self.window.calls);
            let part = wanted as f64 / self.window.stayed_micros.max(1) as f64;
            self.calls = (self.calls * part.clamp(*LESS.start(), *LESS.end())).max(least);
        } else if self.window.was_full {
            self.calls = (self.calls + (self.calls * MORE).max(1.0)).min(most);
        }
    }
}

impl Instant {
    fn busy_since(self, earlier: Self) -> f64 {
        match (self.busy_micros, earlier.busy_micros) {
            (Some(now), Some(then)) => now.saturating_sub(then) as f64,
            (None, _) | (_, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUNING: Tuning = Tuning {
        target_micros: 1_000,
        least: 4,
        most: 256,
    };

    /// A process and its gate: each call is done `work_micros` after the last one, and stays as long as all
    /// that are inside with it.
    struct World {
        limit: Limit,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self {
                limit: Limit::new(TUNING),
                now: Instant {
                    at_micros: 0,
                    busy_micros: Some(0),
                },
            }
        }

        /// Work without an end to it; so many of a thousand microseconds are spent waiting for others.
        fn load(&mut self, calls: u64, work_micros: u64, idle_of_1000: u64) {
            for _ in 0..calls {
                self.now.at_micros += work_micros;
                let busy = self.now.busy_micros.as_mut().unwrap();
                *busy += work_micros * (1_000 - idle_of_1000) / 1_000;
                self.limit.note_full();
                let stayed = self.limit.calls() as u64 * work_micros;
                self.limit.note_left(self.now, stayed);
            }
        }
    }

    #[test]
    fn under_a_load_without_end_calls_stay_about_as_long_as_is_wanted() {
        let mut world = World::new();
        for work_micros in [100, 40, 200] {
            world.load(2_000_000 / work_micros * 5, work_micros, 0);
            let stayed = world.limit.calls() as u64 * work_micros;
            let wanted = TUNING.target_micros * 7 / 10..=TUNING.target_micros * 13 / 10;
            assert!(
                wanted.contains(&stayed),
                "{stayed} µs at {work_micros} each"
            );
        }
    }

    #[test]
    fn calls_that_wait_for_others_are_no_overload() {
        let mut world = World::new();
        world.load(100_000, 500, 300);
        assert_eq!(world.limit.calls(), TUNING.most);
        world.now.busy_micros = None;
        for _ in 0..10_000 {
            world.now.at_micros += 1_000;
            world.limit.note_left(world.now, 50_000);
        }
        assert_eq!(world.limit.calls(), TUNING.most, "nothing is measured");
    }

    #[test]
    fn a_busy_process_whose_calls_are_short_is_none_either() {
        let mut world = World::new();
        world.load(100_000, 3, 0);
        assert_eq!(world.limit.calls(), TUNING.most);
    }

    #[test]
    fn a_stall_that_passes_costs_one_step_and_comes_back() {
        let mut world = World::new();
        world.load(501, 100, 0);
        assert_eq!(world.limit.calls(), 64, "a quarter of 256");
        world.load(25 * 500, 100, 500);
        assert_eq!(world.limit.calls(), TUNING.most);
    }

    #[test]
    fn it_stays_between_its_bounds() {
        let mut world = World::new();
        world.load(10_000, 100_000, 0);
        assert_eq!(world.limit.calls(), TUNING.least);
        world.load(100_000, 1_000, 900);
        assert_eq!(world.limit.calls(), TUNING.most);
    }
}
