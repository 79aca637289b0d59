//! The room of one class of calls: those inside, and those that wait at the door.
//!
//! Who waits is let in by deadline, the earliest first. Who could not be let in in time is told so when
//! it comes, not when its time is over: what waits is predicted from the pace at which others left.

use super::limit::{Instant, Limit, Tuning};
use std::collections::BTreeMap;

/// The weight of the newest gap between two that left.
const PACE_WEIGHT: f64 = 1.0 / 16.0;
/// The shortest time after which anybody is told to come back.
const LEAST_RETRY_MICROS: u64 = 50_000;
/// The longest.
const MOST_RETRY_MICROS: u64 = 2_000_000;
/// How long asked and entered are counted together for the hint to come back.
const COUNT_MICROS: u64 = 100_000;

/// What a user of a room chooses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// How many are inside.
    pub inside: Tuning,
    /// How many wait at most.
    pub waiting: usize,
    /// How long one waits at most.
    pub wait_micros: u64,
}

/// A call that waits: by what moment it must be answered, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    deadline_micros: u64,
    number: u64,
}

impl Ticket {
    /// Until when it waits.
    #[must_use]
    pub const fn until_micros(self) -> u64 {
        self.deadline_micros
    }
}

/// What becomes of a call that comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is inside.
    Entered,
    /// It waits; it hears through what it left.
    Waits(Ticket),
    /// It has to come back after so many microseconds.
    Full(u64),
}

/// Those whose waiting ended because somebody left.
#[derive(Debug)]
pub struct Left<W> {
    /// They are inside.
    pub entered: Vec<W>,
    /// Their time was over before it was their turn.
    pub late: Vec<W>,
}

/// See the module. `W` is how those who wait are told.
#[derive(Debug)]
pub struct Room<W> {
    size: Size,
    limit: Limit,
    inside: usize,
    waiting: BTreeMap<Ticket, W>,
    numbers: u64,
    pace: Pace,
    crowd: Crowd,
}

/// How long it takes from one that leaves to the next, while somebody waits.
#[derive(Debug, Default)]
struct Pace {
    left_at_micros: Option<u64>,
    gap_micros: f64,
}

/// How many come for each that is let in.
#[derive(Debug, Default)]
struct Crowd {
    since_micros: u64,
    asked: u64,
    entered: u64,
    ratio: f64,
}

impl<W> Room<W> {
    /// An empty room.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            limit: Limit::new(size.inside),
            inside: 0,
            waiting: BTreeMap::new(),
            numbers: 0,
            pace: Pace::default(),
            crowd: Crowd::default(),
        }
    }

    /// How many may be inside now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.calls()
    }

    /// How many are.
    #[must_use]
    pub const fn inside(&self) -> usize {
        self.inside
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Somebody comes who must be answered by a moment; `wait` makes what tells it of its turn.
    pub fn ask(
        &mut self,
        now_micros: u64,
        deadline_micros: u64,
        wait: impl FnOnce() -> W,
    ) -> Asked {
        self.crowd.count(now_micros);
        if self.inside < self.limit.calls() && self.waiting.is_empty() {
            self.inside += 1;
            self.crowd.entered += 1;
            return Asked::Entered;
        }
        self.limit.note_full();
        let latest = deadline_micros.min(now_micros.saturating_add(self.size.wait_micros));
        let turn = now_micros.saturating_add(self.pace.time_of(self.waiting.len() + 1));
        if self.waiting.len() >= self.size.waiting || turn > latest {
            return Asked::Full(self.retry_micros());
        }
        let ticket = Ticket {
            deadline_micros: latest,
            number: self.numbers_next(),
        };
        self.waiting.insert(ticket, wait());
        Asked::Waits(ticket)
    }

    /// Somebody leaves who stayed so long; others may come in.
    pub fn leave(&mut self, now: Instant, stayed_micros: u64) -> Left<W> {
        self.limit.note_left(now, stayed_micros);
        self.go(now.at_micros)
    }

    /// Somebody leaves who never came: it was gone when it was its turn.
    pub fn go(&mut self, now_micros: u64) -> Left<W> {
        self.inside = self.inside.saturating_sub(1);
        self.pace.leave(now_micros, !self.waiting.is_empty());
        self.let_in(now_micros)
    }

    /// Somebody does not wait any more. Whether it did until now: otherwise it was let in meanwhile or
    /// told that it is late, and if it is inside it has to leave.
    pub fn give_up(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(&ticket).is_some()
    }

    /// When somebody who waited in vain is asked back.
    pub fn retry_micros(&mut self) -> u64 {
        let number = self.numbers_next();
        self.crowd.retry_micros(number)
    }

    fn let_in(&mut self, now_micros: u64) -> Left<W> {
        let mut left = Left {
            entered: Vec::new(),
            late: Vec::new(),
        };
        while self.inside < self.limit.calls()
            && let Some((ticket, waiting)) = self.waiting.pop_first()
        {
            if ticket.deadline_micros < now_micros {
                left.late.push(waiting);
            } else {
                self.inside += 1;
                self.crowd.entered += 1;
                left.entered.push(waiting);
            }
        }
        left
    }

    fn numbers_next(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Pace {
    fn leave(&mut self, now_micros: u64, somebody_waits: bool) {
        let before = self.left_at_micros.replace(now_micros);
        let Some(before) = before.filter(|_| somebody_waits) else {
            return;
        };
        let gap = now_micros.saturating_sub(before) as f64;
        self.gap_micros += (gap - self.gap_micros) * PACE_WEIGHT;
    }

    /// How long it takes until so many have left.
    fn time_of(&self, calls: usize) -> u64 {
        (self.gap_micros * calls as f64) as u64
    }
}

impl Crowd {
    fn count(&mut self, now_micros: u64) {
        if now_micros.saturating_sub(self.since_micros) >= COUNT_MICROS {
            self.ratio = self.asked as f64 / self.entered.max(1) as f64;
            (self.since_micros, self.asked, self.entered) = (now_micros, 0, 0);
        }
        self.asked += 1;
    }

    /// Later, the more there are; and not all at once.
    fn retry_micros(&self, number: u64) -> u64 {
        let wait = LEAST_RETRY_MICROS as f64 * self.ratio.max(1.0);
        // The golden ratio's multiples lie evenly between 0 and 1, however many there are.
        let spread = (number as f64 * 0.618_033_988_749_895).fract() + 0.5;
        ((wait * spread) as u64).clamp(LEAST_RETRY_MICROS / 2, MOST_RETRY_MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        inside: Tuning {
            target_micros: 1_000,
            least: 2,
            most: 2,
        },
        waiting: 3,
        wait_micros: 10_000,
    };

    fn room() -> Room<&'static str> {
        let mut room = Room::new(SIZE);
        for _ in 0..2 {
            assert_eq!(room.ask(0, 1_000_000, || ""), Asked::Entered);
        }
        room
    }

    #[test]
    fn who_waits_comes_in_by_deadline() {
        let mut room = room();
        for (name, deadline) in [("late", 9_000), ("early", 5_000), ("last", 1_000_000)] {
            let asked = room.ask(0, deadline, || name);
            assert!(matches!(asked, Asked::Waits(_)), "{asked:?}");
        }
        let asked = room.ask(0, 1_000_000, || "one too many");
        assert!(matches!(asked, Asked::Full(_)), "{asked:?}");
        for name in ["early", "late", "last"] {
            assert_eq!(room.go(100).entered, [name]);
        }
        assert_eq!((room.inside(), room.waiting()), (2, 0));
    }

    #[test]
    fn who_waits_goes_before_who_comes() {
        let mut room = room();
        assert!(matches!(room.ask(0, 9_000, || "first"), Asked::Waits(_)));
        room.inside -= 1;
        let asked = room.ask(0, 9_000, || "second");
        assert!(matches!(asked, Asked::Waits(_)), "{asked:?}");
    }

    #[test]
    fn whose_time_is_over_is_not_let_in() {
        let mut room = room();
        assert!(matches!(room.ask(0, 500, || "early"), Asked::Waits(_)));
        assert!(matches!(room.ask(0, 9_000, || "late"), Asked::Waits(_)));
        let left = room.go(600);
        assert_eq!((left.late, left.entered), (vec!["early"], vec!["late"]));
    }

    #[test]
    fn who_would_be_too_late_is_told_when_it_comes() {
        let mut room = room();
        // Two milliseconds from one to the next, learned while somebody waits.
        for now in (0..400_000).step_by(2_000) {
            let asked = room.ask(now, now + 9_000, || "");
            assert!(matches!(asked, Asked::Waits(_)), "{asked:?} at {now}");
            room.go(now + 2_000);
        }
        let now = 402_000;
        assert!(matches!(room.ask(now, now + 9_000, || ""), Asked::Waits(_)));
        let asked = room.ask(now, now + 1_000, || "it has one millisecond");
        assert!(matches!(asked, Asked::Full(_)), "{asked:?}");
        let asked = room.ask(now, now + 9_000, || "it has nine");
        assert!(matches!(asked, Asked::Waits(_)), "{asked:?}");
    }

    #[test]
    fn nobody_comes_in_twice_and_who_gave_up_does_not() {
        let mut room = room();
        let Asked::Waits(ticket) = room.ask(0, 9_000, || "gone") else {
            panic!("it waits")
        };
        assert!(room.give_up(ticket));
        assert!(!room.give_up(ticket));
        let left = room.go(10);
        assert!(left.entered.is_empty() && left.late.is_empty());
        assert_eq!(room.inside(), 1);
    }

    #[test]
    fn the_more_come_the_later_they_are_asked_back() {
        let retry = |asked_for_each: u64| {
            let mut room = room();
            let mut hints = Vec::new();
            for step in 0..400 {
                let now = step * 1_000;
                for _ in 0..asked_for_each {
                    if let Asked::Full(micros) = room.ask(now, now, || "") {
                        hints.push(micros);
                    }
                }
                room.go(now);
                room.ask(now, now + 9_000, || "");
            }
            let late = &hints[hints.len() / 2..];
            late.iter().sum::<u64>() / late.len() as u64
        };
        let (few, many) = (retry(2), retry(10));
        assert!(many > few * 2, "{few} and {many}");
        assert!(many <= MOST_RETRY_MICROS);
    }
}
