//! What a judge found, and how much it had to judge: no violation in an empty history proves nothing.

use crate::history::{CallId, Micros};
use std::fmt;

/// A promise, by its number in DESIGN.md 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Replicas that saw the same hold the same.
    I1,
    /// No acknowledged write is lost.
    I3,
    /// Nothing is read that nobody wrote.
    I4,
    /// Read your writes, by token.
    I5,
    /// Reads by token never go back.
    I6,
    /// One boot per epoch, one content per position, one answer per request.
    I8,
    /// Deleted data stays deleted.
    I10,
    /// Nothing past its TTL is present.
    I11,
    /// Claimed staleness is never smaller than the truth.
    I14,
    /// One status per value; a failure is never a miss.
    I16,
    /// After healing everything answers again.
    I17,
    /// No closed HLC is undercut.
    I18,
}

/// One broken promise, or one event that breaks several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is broken; the first is what was judged, others follow from it.
    pub broken: Vec<Invariant>,
    /// When it was seen.
    pub at: Micros,
    /// In the answer to which call, if to one.
    pub call: Option<CallId>,
    /// What was seen and why it cannot be.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, invariant) in self.broken.iter().enumerate() {
            write!(f, "{}{invariant:?}", if place == 0 { "" } else { "+" })?;
        }
        write!(f, " at {}", self.at)?;
        if let Some(call) = self.call {
            write!(f, ", call {}", call.0)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// How much there was to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judged {
    /// Requests to write, retries counted once.
    pub requests: usize,
    /// Rows of them that were acknowledged.
    pub acknowledged_rows: usize,
    /// Rows of them that may have happened.
    pub open_rows: usize,
    /// Lookups that were answered with values.
    pub lookups: usize,
    /// Of these, with a token that they had to honour.
    pub token_lookups: usize,
    /// Of these, with a known claim of staleness.
    pub claims: usize,
    /// Lookups answered with `STALE`.
    pub stale: usize,
    /// Lookups that failed.
    pub failed_lookups: usize,
    /// Values judged against the writes.
    pub values: usize,
    /// Values that were `UNAVAILABLE`.
    pub unavailable: usize,
    /// Values that had to contain some write.
    pub bounded_values: usize,
    /// Final reads of single replicas.
    pub final_reads: usize,
    /// Rows with an acknowledged write that no final read looked at.
    pub rows_without_final_read: usize,
    /// Records of primaries and entries.
    pub records: usize,
}

/// The judge's findings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What is broken, in the order in which it was found.
    pub violations: Vec<Violation>,
    /// How much there was to judge.
    pub judged: Judged,
}

impl Report {
    /// Whether nothing is broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The first thing that is broken.
    #[must_use]
    pub fn harm(&self) -> Option<String> {
        self.violations.first().map(ToString::to_string)
    }

    /// Whether `invariant` is among what is broken.
    #[must_use]
    pub fn breaks(&self, invariant: Invariant) -> bool {
        self.violations
            .iter()
            .any(|violation| violation.broken.contains(&invariant))
    }

    pub(super) fn add(
        &mut self,
        broken: &[Invariant],
        at: u64,
        call: Option<CallId>,
        message: String,
    ) {
        let broken = broken.to_vec();
        self.violations.push(Violation {
            broken,
            at: Micros(at),
            call,
            message,
        });
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = self;
        write!(
            f,
            "judged {} requests ({} rows acknowledged, {} open), {} lookups ({} by token, {} with a claim, \
             {} stale, {} failed), {} values ({} bounded, {} unavailable), {} final reads ({} rows without), \
             {} records",
            judged.requests,
            judged.acknowledged_rows,
            judged.open_rows,
            judged.lookups,
            judged.token_lookups,
            judged.claims,
            judged.stale,
            judged.failed_lookups,
            judged.values,
            judged.bounded_values,
            judged.unavailable,
            judged.final_reads,
            judged.rows_without_final_read,
            judged.records,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.judged)?;
        writeln!(f, "{} violations", self.violations.len())?;
        self.violations
            .iter()
            .try_for_each(|violation| writeln!(f, "{violation}"))
    }
}
