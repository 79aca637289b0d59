//! The store's upkeep: hint files, compaction at a pace that follows what is appended, sweeping.

use store::{StepError, Store};

/// Bytes that one step of compaction copies at most, so that steps stay short.
const COMPACT_STEP_BYTES: u64 = 4 << 20;
/// Rows that one step of sweeping looks at.
const SWEEP_STEP_ROWS: u64 = 4_096;

/// Steps between two complaints of the same thing: about a minute, since a step that fails is no work.
const COMPLAIN_EVERY: u32 = 300;

/// How far upkeep is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upkeep {
    /// Bytes that were appended when it last looked.
    appended: u64,
    /// Bytes that compaction may still copy.
    allowance: u64,
    preparing: Failing,
    hinting: Failing,
    compacting: Failing,
    sweeping: Failing,
}

impl Upkeep {
    /// Takes one step, with `appended` bytes appended so far; tells whether there was work.
    #[must_use]
    pub fn step(mut self, store: &Store, appended: u64) -> (Self, bool) {
        let worked = self.prepare(store)
            | self.hint(store)
            | self.compact(store, appended)
            | self.sweep(store);
        (self, worked)
    }

    /// Fills the next segment's file with zeros, so that the writer need not.
    fn prepare(&mut self, store: &Store) -> bool {
        let prepared = store.prepare_step();
        let prepared = self.preparing.done("prepare a segment", prepared);
        prepared.unwrap_or(false)
    }

    fn hint(&mut self, store: &Store) -> bool {
        let hinted = self.hinting.done("write a hint file", store.hint_step());
        hinted.unwrap_or(false)
    }

    fn compact(&mut self, store: &Store, appended: u64) -> bool {
        self.allowance += store.compaction_budget(appended.saturating_sub(self.appended));
        self.appended = appended;
        let budget = self.allowance.min(COMPACT_STEP_BYTES);
        let compacted = store.compact_step(budget);
        let Some(compacted) = self.compacting.done("compact", compacted) else {
            return false;
        };
        self.allowance = self.allowance.saturating_sub(compacted.copied_bytes);
        compacted.copied_bytes > 0 || compacted.freed_bytes > 0
    }

    fn sweep(&mut self, store: &Store) -> bool {
        let swept = self
            .sweeping
            .done("sweep", store.sweep_step(SWEEP_STEP_ROWS));
        swept.is_some_and(|swept| swept.removed > 0)
    }
}

/// How often in a row a step failed.
#[derive(Debug, Clone, Copy, Default)]
struct Failing(u32);

impl Failing {
    /// A failed step is tried again; only people can do something about why it failed, and they are told
    /// at once, then now and then, and when it works again.
    fn done<T>(&mut self, doing: &str, result: Result<T, StepError>) -> Option<T> {
        match result {
            Ok(done) => {
                if self.0 > 0 {
                    tracing::info!("the store's upkeep can {doing} again");
                }
                self.0 = 0;
                Some(done)
            }
            Err(error) => {
                if self.0.is_multiple_of(COMPLAIN_EVERY) {
                    tracing::error!(%error, "the store's upkeep could not {doing}");
                }
                self.0 = self.0.saturating_add(1);
                None
            }
        }
    }
}
