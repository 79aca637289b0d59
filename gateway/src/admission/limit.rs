//! How many calls are worked on at once: fewer when they wait too long to be begun, more when all are
//! wanted and none waits.
//!
//! A judgement needs a window of some calls and some time. One late call proves nothing (the machine
//! may have done something else), so it takes more late ones than others.

/// Calls that a window has at least.
const WINDOW_CALLS: u32 = 32;
/// How long a window lasts at least.
const WINDOW_MICROS: u64 = 10_000;
/// What is left of the limit after a window in which most calls were late.
const LESS: f64 = 0.8;
/// The part of the limit that it grows by after a window that was full and not late.
const MORE: f64 = 1.0 / 16.0;

/// What a user of a limit chooses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// How long a call may wait to be begun before it counts as late.
    pub target_micros: u64,
    /// The limit never falls below.
    pub least: usize,
    /// The limit never grows beyond, and begins there: an idle process has nothing to learn from.
    pub most: usize,
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
    began_micros: Option<u64>,
    calls: u32,
    late: u32,
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

    /// A call was begun, so long after it was let in.
    pub fn note_begun(&mut self, now_micros: u64, waited_micros: u64) {
        let began = *self.window.began_micros.get_or_insert(now_micros);
        self.window.calls += 1;
        self.window.late += u32::from(waited_micros > self.tuning.target_micros);
        let lasted = now_micros.saturating_sub(began);
        if self.window.calls >= WINDOW_CALLS && lasted >= WINDOW_MICROS {
            self.judge();
            self.window = Window {
                began_micros: Some(now_micros),
                ..Window::default()
            };
        }
    }

    fn judge(&mut self) {
        let is_late = self.window.late * 2 > self.window.calls;
        let (least, most) = (self.tuning.least as f64, self.tuning.most as f64);
        if is_late {
            self.calls = (self.calls * LESS).max(least);
        } else if self.window.was_full {
            self.calls = (self.calls + (self.calls * MORE).max(1.0)).min(most);
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

    /// A server that begins one call after the other, each `work_micros` after the last.
    fn load(limit: &mut Limit, now_micros: &mut u64, windows: usize, work_micros: u64) {
        for _ in 0..windows * WINDOW_CALLS as usize * 4 {
            *now_micros += work_micros;
            limit.note_full();
            // All that are inside stand before the one that is let in.
            let waited = limit.calls() as u64 * work_micros;
            limit.note_begun(*now_micros, waited);
        }
    }

    #[test]
    fn under_a_load_without_end_calls_wait_about_as_long_as_is_wanted() {
        let (mut limit, mut now) = (Limit::new(TUNING), 0);
        for work_micros in [100, 40, 200] {
            load(&mut limit, &mut now, 100, work_micros);
            let waited = limit.calls() as u64 * work_micros;
            let wanted = TUNING.target_micros * 7 / 10..=TUNING.target_micros * 13 / 10;
            assert!(
                wanted.contains(&waited),
                "{waited} µs at {work_micros} each"
            );
        }
    }

    #[test]
    fn calls_that_are_slow_and_wait_for_nothing_are_no_overload() {
        let (mut limit, mut now) = (Limit::new(TUNING), 0);
        for _ in 0..10_000 {
            now += 50_000;
            limit.note_begun(now, 10);
        }
        assert_eq!(limit.calls(), TUNING.most);
    }

    #[test]
    fn a_stall_that_passes_costs_one_step_and_comes_back() {
        let (mut limit, mut now) = (Limit::new(TUNING), 0);
        let begin = |limit: &mut Limit, now: &mut u64, waited| {
            for _ in 0..WINDOW_CALLS {
                *now += 400;
                limit.note_full();
                limit.note_begun(*now, waited);
            }
        };
        begin(&mut limit, &mut now, 50_000);
        assert_eq!(limit.calls(), 204, "256 less a fifth");
        for _ in 0..4 {
            begin(&mut limit, &mut now, 10);
        }
        assert_eq!(limit.calls(), TUNING.most);
    }

    #[test]
    fn it_stays_between_its_bounds() {
        let (mut limit, mut now) = (Limit::new(TUNING), 0);
        load(&mut limit, &mut now, 400, 100_000);
        assert_eq!(limit.calls(), TUNING.least);
        for _ in 0..100_000 {
            now += 1_000;
            limit.note_full();
            limit.note_begun(now, 0);
        }
        assert_eq!(limit.calls(), TUNING.most);
    }
}
