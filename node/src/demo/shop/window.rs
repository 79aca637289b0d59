//! Sums over the last 24 hours, 7 days and 30 days of a key's events.

use std::{
    collections::VecDeque,
    ops::{AddAssign, SubAssign},
};

const HOUR: i64 = 3_600_000_000;

/// How far each window reaches back, in microseconds; the longest last.
pub const SPANS_MICROS: [i64; 3] = [24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Orders begun.
    pub orders: i64,
    /// Lines sold.
    pub lines: i64,
    /// Pieces sold.
    pub units: i64,
    /// Lines returned.
    pub return_lines: i64,
    /// Pieces returned.
    pub returned_units: i64,
    /// Thousandths of a pound, returns taken off.
    pub mills: i64,
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.orders += other.orders;
        self.lines += other.lines;
        self.units += other.units;
        self.return_lines += other.return_lines;
        self.returned_units += other.returned_units;
        self.mills += other.mills;
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.orders -= other.orders;
        self.lines -= other.lines;
        self.units -= other.units;
        self.return_lines -= other.return_lines;
        self.returned_units -= other.returned_units;
        self.mills -= other.mills;
    }
}

/// One event of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When it was.
    pub time_micros: i64,
    /// What it adds.
    pub amounts: Amounts,
    /// The customer behind a sale, where known.
    pub buyer: Option<i64>,
}

/// The events of the longest window, and the sums over all three.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    events: VecDeque<Event>,
    /// How many of the newest events lie in each window.
    inside: [usize; 3],
    sums: [Amounts; 3],
}

impl Windows {
    /// Adds an event and lets go of what lies a whole window behind it. Events come in the order
    /// of their times. `left` sees each event that leaves the longest window.
    pub fn add(&mut self, event: Event, left: impl FnMut(&Event)) {
        self.events.push_back(event);
        for (inside, sum) in self.inside.iter_mut().zip(&mut self.sums) {
            *inside += 1;
            *sum += event.amounts;
        }
        self.advance(event.time_micros, left);
    }

    /// The sum over the window of `SPANS_MICROS[span]`, as of the last event.
    #[must_use]
    pub fn sums(&self) -> &[Amounts; 3] {
        &self.sums
    }

    fn advance(&mut self, now_micros: i64, mut left: impl FnMut(&Event)) {
        for (span, micros) in SPANS_MICROS.iter().enumerate() {
            while let Some(event) = self.oldest(span)
                && event.time_micros <= now_micros - micros
            {
                self.sums[span] -= event.amounts;
                self.inside[span] -= 1;
            }
        }
        let longest = self.inside[SPANS_MICROS.len() - 1];
        while self.events.len() > longest {
            let event = self
                .events
                .pop_front()
                .expect("there are more than the longest holds");
            left(&event);
        }
    }

    fn oldest(&self, span: usize) -> Option<Event> {
        let index = self.events.len().checked_sub(self.inside[span])?;
        self.events.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale_at(time_micros: i64) -> Event {
        let amounts = Amounts {
            lines: 1,
            mills: 250,
            ..Amounts::default()
        };
        Event {
            time_micros,
            amounts,
            buyer: Some(time_micros),
        }
    }

    #[test]
    fn an_event_leaves_a_window_exactly_one_span_later() {
        let mut windows = Windows::default();
        let mut gone = Vec::new();
        windows.add(sale_at(0), |_| {});
        windows.add(sale_at(SPANS_MICROS[0] - 1), |_| {});
        assert_eq!(windows.sums().map(|sum| sum.lines), [2, 2, 2]);
        windows.add(sale_at(SPANS_MICROS[0]), |_| {});
        assert_eq!(windows.sums().map(|sum| sum.lines), [2, 3, 3]);
        windows.add(sale_at(SPANS_MICROS[2]), |event| {
            gone.push(event.time_micros);
        });
        assert_eq!(windows.sums().map(|sum| sum.lines), [1, 1, 3]);
        assert_eq!(gone, [0]);
    }

    #[test]
    fn a_long_silence_empties_all_windows_but_for_the_newcomer() {
        let mut windows = Windows::default();
        (0..100).for_each(|minute| windows.add(sale_at(minute * 60_000_000), |_| {}));
        windows.add(sale_at(10 * SPANS_MICROS[2]), |_| {});
        assert_eq!(windows.sums().map(|sum| sum.mills), [250, 250, 250]);
        assert_eq!(windows.events.len(), 1);
    }
}
