//! The log of slow lookups: which, how long, where the time went. Bounded, whatever the number of slow ones.

use crate::{
    edge::Clock,
    failure::Failure,
    lookup::course::{Course, millis},
    metrics::Totals,
    trace::Trace,
};
use parking_lot::Mutex;
use proto::id::NodeId;
use std::{fmt::Write as _, sync::Arc, time::Duration};
use wire::twin::{LookupRequest, lookup_request::Select};

/// Lines in a second. When a node is slow all its lookups are, and ten of them say it.
const LINES_A_SECOND: u32 = 10;
const SECOND_MICROS: u64 = 1_000_000;

/// See the module.
pub struct SlowLog {
    /// From here on a lookup is slow; none is where there is nothing here.
    threshold: Option<Duration>,
    clock: Arc<dyn Clock>,
    second: Mutex<Second>,
}

/// The lines of one second.
#[derive(Debug, Default)]
struct Second {
    began_micros: u64,
    lines: u32,
    left_out: u64,
}

impl Second {
    /// Whether there is room for a line, and how many there was none for since the last one.
    fn next(&mut self, now_micros: u64) -> Option<u64> {
        if now_micros.saturating_sub(self.began_micros) >= SECOND_MICROS {
            (self.began_micros, self.lines) = (now_micros, 0);
        }
        if self.lines >= LINES_A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl SlowLog {
    /// Tells of what takes `threshold` or longer.
    #[must_use]
    pub fn new(threshold: Option<Duration>, clock: Arc<dyn Clock>) -> Self {
        Self {
            threshold,
            clock,
            second: Mutex::default(),
        }
    }

    /// Whether what took so long gets a line, and how many got none since the last one.
    fn line(&self, took: Duration) -> Option<u64> {
        self.threshold.filter(|threshold| took >= *threshold)?;
        self.second.lock().next(self.clock.monotonic_micros())
    }

    /// Tells of rows that were read for another node's lookup, if that was slow.
    pub fn note_read(
        &self,
        gateway: NodeId,
        (shards, trace): (usize, Option<Trace>),
        took: Duration,
    ) {
        if let Some(left_out) = self.line(took) {
            tracing::warn!(
                target: "atoll::slow_lookup",
                took_ms = in_millis(took), shards, %gateway, left_out, trace = text(trace),
                "a slow read for another node's lookup"
            );
        }
    }

    /// Tells of a lookup, if it was slow: what it did and what came of it, or why it failed.
    pub(crate) fn note(
        &self,
        (request, trace): (&LookupRequest, Option<Trace>),
        took: Duration,
        came: Result<(&Course, Totals), &Failure>,
    ) {
        let Some(left_out) = self.line(took) else {
            return;
        };
        let (project, asked) = (&request.project, asked_for(request.select.as_ref()));
        let (took_ms, trace) = (in_millis(took), text(trace));
        match came {
            Ok((course, totals)) => tracing::warn!(
                target: "atoll::slow_lookup",
                project, asked, took_ms,
                rows = course.rows, keys = course.keys, views = course.views, shards = course.shards,
                plan_ms = millis(course.planned_micros),
                fetch_ms = millis(course.fetched_micros),
                answer_ms = millis(course.gathered_micros),
                nodes = nodes(course), values = totals.to_string(), left_out, trace,
                "a slow lookup"
            ),
            Err(failure) => tracing::warn!(
                target: "atoll::slow_lookup",
                project, asked, took_ms, reason = failure.reason.as_str(), left_out, trace,
                "a slow lookup failed"
            ),
        }
    }
}

fn in_millis(took: Duration) -> f64 {
    millis(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

fn text(trace: Option<Trace>) -> String {
    trace.map_or_else(|| "none".to_owned(), |trace| trace.to_string())
}

/// Names that callers make up are cut: a line stays a line.
fn asked_for(select: Option<&Select>) -> String {
    match select {
        Some(Select::Service(name)) => {
            let name: String = name.chars().take(64).collect();
            format!("service {name}")
        }
        Some(Select::Features(features)) => format!("{} features", features.names.len()),
        None => "nothing".into(),
    }
}

fn nodes(course: &Course) -> String {
    if course.attempts.is_empty() {
        return "this one's memory".into();
    }
    let mut text = String::new();
    for (place, attempt) in course.attempts.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{attempt}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_ten_lines_and_the_next_says_how_many_it_had_no_room_for() {
        let mut second = Second::default();
        let first: Vec<_> = (0..25).map(|at| second.next(SECOND_MICROS + at)).collect();
        assert_eq!(first.iter().flatten().count(), 10);
        assert_eq!(second.next(2 * SECOND_MICROS + 1), Some(15));
        assert_eq!(second.next(2 * SECOND_MICROS + 2), Some(0));
    }
}
