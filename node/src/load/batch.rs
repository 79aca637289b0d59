//! Rows gathered into one request, with what is needed to tell each row's fate afterwards.

use super::{
    row::{self, Raw, RowFault, SourceRow},
    source::{Source, SourceError},
};
use crate::client::rows::{TypedRow, view_rows};
use wire::v1;

/// Where one batch ends and the next begins.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Rows of a batch.
    pub rows: usize,
    /// Bytes of a batch, about; a single row may have more.
    pub bytes: usize,
}

/// Some rows of a file, one after the other.
#[derive(Debug)]
pub struct Batch {
    /// The number of the row before the first.
    pub after: u64,
    /// The number of the last row.
    pub last: u64,
    /// What is sent; `None` where no row could be read.
    pub rows: Option<v1::ViewRows>,
    /// The row of the file behind each row that is sent.
    pub sent: Vec<(u64, Raw)>,
    /// Rows that could not be read.
    pub faults: Vec<(u64, Raw, RowFault)>,
}

/// Reads batches from a source.
#[derive(Debug)]
pub struct Batcher {
    source: Source,
    view: String,
    limits: BatchLimits,
    /// For rows that do not say when they were true.
    event_time_micros: i64,
    after: u64,
}

impl Batcher {
    /// Begins after the rows that `source` passed over.
    #[must_use]
    pub fn new(
        source: Source,
        view: String,
        limits: BatchLimits,
        event_time_micros: i64,
        after: u64,
    ) -> Self {
        Self {
            source,
            view,
            limits,
            event_time_micros,
            after,
        }
    }

    /// The next rows, within the limits, or all up to the row `until` where a batch was cut before;
    /// `None` at the file's end.
    pub fn next(&mut self, until: Option<u64>) -> Result<Option<Batch>, SourceError> {
        let mut gathered = Gathered::default();
        let mut last = self.after;
        while !gathered.is_full(self.limits, until, last) {
            let Some(row) = self.source.next_row()? else {
                break;
            };
            last = row.number;
            gathered.add(row, self.event_time_micros);
        }
        if last == self.after {
            return Ok(None);
        }
        let after = std::mem::replace(&mut self.after, last);
        Ok(Some(self.batch(gathered, after, last)))
    }

    fn batch(&self, gathered: Gathered, after: u64, last: u64) -> Batch {
        let Gathered {
            typed,
            sent,
            faults,
            ..
        } = gathered;
        let binding = self.source.binding();
        let rows = (!typed.is_empty()).then(|| {
            view_rows(&self.view, &binding.keys, &binding.features, &typed)
                .expect("a source gives each value its type")
        });
        Batch {
            after,
            last,
            rows,
            sent,
            faults,
        }
    }
}

#[derive(Debug, Default)]
struct Gathered {
    typed: Vec<TypedRow>,
    sent: Vec<(u64, Raw)>,
    faults: Vec<(u64, Raw, RowFault)>,
    bytes: usize,
}

impl Gathered {
    fn is_full(&self, limits: BatchLimits, until: Option<u64>, last: u64) -> bool {
        match until {
            Some(until) => last >= until,
            None => {
                self.typed.len() + self.faults.len() >= limits.rows || self.bytes >= limits.bytes
            }
        }
    }

    fn add(&mut self, row: SourceRow, event_time_micros: i64) {
        match row.read {
            Ok(mut typed) => {
                typed.event_time.get_or_insert(event_time_micros);
                self.bytes += row::size_bytes(&typed);
                self.typed.push(typed);
                self.sent.push((row.number, row.raw));
            }
            Err(fault) => self.faults.push((row.number, row.raw, fault)),
        }
    }
}
