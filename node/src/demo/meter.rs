//! What was seen: rates, latencies, statuses and errors, second by second and in all.

use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use wire::v1::{LookupResponse, ValueStatus};

/// The bit of a status byte that says that a default was filled in.
const DEFAULTED: u8 = 16;
/// Latencies above are recorded as this.
const LONGEST_MICROS: u64 = 60_000_000;

/// What was counted in some span of time.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Lines of the shop whose features are durable.
    pub events: u64,
    /// Rows of features that are durable.
    pub rows: u64,
    /// Write requests that failed for good.
    pub failed_writes: u64,
    /// Rows that were not taken.
    pub rejected_rows: u64,
    /// Lookups that were answered.
    pub lookups: u64,
    /// Lookups that failed.
    pub failed_lookups: u64,
    /// Values by their status.
    pub values: BTreeMap<&'static str, u64>,
    /// Values in place of which the default was served.
    pub defaulted: u64,
    /// Of a lookup of one customer and items, in microseconds.
    pub items: Histogram<u64>,
    /// Of a lookup of one customer and articles, in microseconds.
    pub articles: Histogram<u64>,
    /// The longest time between two acknowledged writes.
    pub longest_write_gap: Duration,
    /// What failed calls said, and how often.
    pub errors: BTreeMap<String, u64>,
}

impl Default for Counts {
    fn default() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are constant");
        Self {
            events: 0,
            rows: 0,
            failed_writes: 0,
            rejected_rows: 0,
            lookups: 0,
            failed_lookups: 0,
            values: BTreeMap::new(),
            defaulted: 0,
            items: histogram(),
            articles: histogram(),
            longest_write_gap: Duration::ZERO,
            errors: BTreeMap::new(),
        }
    }
}

/// Which kind of lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupKind {
    /// One customer and items.
    Items,
    /// One customer and articles.
    Articles,
}

/// Counts from many tasks.
#[derive(Debug)]
pub struct Meter {
    counts: Mutex<Counts>,
    last_write: Mutex<Instant>,
}

impl Meter {
    /// Begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            counts: Mutex::default(),
            last_write: Mutex::new(now),
        }
    }

    /// What was counted since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    /// Counts an acknowledged write of features of `events` lines.
    pub fn wrote(&self, events: u64, rows: u64, rejected: u64, now: Instant) {
        let last = {
            let mut last = self
                .last_write
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *last, now)
        };
        let mut counts = self.counts();
        counts.events += events;
        counts.rows += rows;
        counts.rejected_rows += rejected;
        counts.longest_write_gap = counts
            .longest_write_gap
            .max(now.saturating_duration_since(last));
    }

    /// Counts a write that failed for good.
    pub fn write_failed(&self, error: String) {
        let mut counts = self.counts();
        counts.failed_writes += 1;
        *counts.errors.entry(error).or_default() += 1;
    }

    /// Counts an answered lookup, timed from when it should have been sent.
    pub fn looked_up(&self, kind: LookupKind, took: Duration, answer: &LookupResponse) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST_MICROS);
        let mut counts = self.counts();
        counts.lookups += 1;
        match kind {
            LookupKind::Items => counts.items.saturating_record(micros),
            LookupKind::Articles => counts.articles.saturating_record(micros),
        }
        counts.add_statuses(answer);
    }

    /// Counts a lookup that failed.
    pub fn lookup_failed(&self, error: String) {
        let mut counts = self.counts();
        counts.failed_lookups += 1;
        *counts.errors.entry(error).or_default() += 1;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole after every statement, so those of a task that panicked can be used.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Adds what was counted in another span of time.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rows += other.rows;
        self.failed_writes += other.failed_writes;
        self.rejected_rows += other.rejected_rows;
        self.lookups += other.lookups;
        self.failed_lookups += other.failed_lookups;
        self.defaulted += other.defaulted;
        for (status, count) in &other.values {
            *self.values.entry(status).or_default() += count;
        }
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        self.items
            .add(&other.items)
            .expect("both have the same bounds");
        self.articles
            .add(&other.articles)
            .expect("both have the same bounds");
        self.longest_write_gap = self.longest_write_gap.max(other.longest_write_gap);
    }

    /// All values that were answered.
    #[must_use]
    pub fn all_values(&self) -> u64 {
        self.values.values().sum()
    }

    /// Values of one status.
    #[must_use]
    pub fn with_status(&self, status: ValueStatus) -> u64 {
        self.values
            .get(status.as_str_name())
            .copied()
            .unwrap_or_default()
    }

    /// Both kinds of lookups together.
    #[must_use]
    pub fn latencies(&self) -> Histogram<u64> {
        let mut both = self.items.clone();
        both.add(&self.articles).expect("both have the same bounds");
        both
    }

    fn add_statuses(&mut self, answer: &LookupResponse) {
        for column in &answer.columns {
            let rows = if column.shared {
                1
            } else {
                u64::from(answer.row_count)
            };
            let statuses = (column.statuses as usize)
                .checked_sub(1)
                .and_then(|index| answer.statuses.get(index));
            let Some(statuses) = statuses else {
                self.add_values(ValueStatus::Present, rows);
                continue;
            };
            for byte in statuses {
                let status = ValueStatus::try_from(i32::from(byte & !DEFAULTED));
                self.add_values(status.unwrap_or(ValueStatus::Unspecified), 1);
                self.defaulted += u64::from(byte & DEFAULTED != 0);
            }
        }
    }

    fn add_values(&mut self, status: ValueStatus, count: u64) {
        *self.values.entry(status.as_str_name()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wire::v1::Column;

    #[test]
    fn statuses_are_counted_with_their_defaults() {
        let column = |statuses: u32, shared: bool| Column {
            statuses,
            shared,
            ..Default::default()
        };
        let answer = LookupResponse {
            columns: vec![column(0, true), column(0, false), column(1, false)],
            statuses: vec![Bytes::from_static(&[1, 3 + 16, 5])],
            row_count: 3,
            ..Default::default()
        };
        let meter = Meter::new(Instant::now());
        meter.looked_up(LookupKind::Items, Duration::from_millis(2), &answer);
        let counts = meter.take();
        assert_eq!(counts.with_status(ValueStatus::Present), 1 + 3 + 1);
        assert_eq!(counts.with_status(ValueStatus::NotFound), 1);
        assert_eq!(counts.with_status(ValueStatus::Unavailable), 1);
        assert_eq!((counts.all_values(), counts.defaulted), (7, 1));
        assert_eq!(meter.take().lookups, 0, "taken counts start anew");
    }

    #[test]
    fn the_longest_gap_between_writes_is_kept_over_seconds() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let meter = Meter::new(start);
        meter.wrote(100, 400, 0, at(50));
        let mut total = meter.take();
        meter.wrote(100, 400, 1, at(2_050));
        total.add(&meter.take());
        assert_eq!(total.longest_write_gap, Duration::from_secs(2));
        assert_eq!(
            (total.events, total.rows, total.rejected_rows),
            (200, 800, 1)
        );
    }
}
