//! The store's upkeep: hint files, compaction at a pace that follows what is appended, sweeping.

use store::{StepError, Store};

/// Bytes that one step of compaction copies at most, so that steps stay short.
const COMPACT_STEP_BYTES: u64 = 4 << 20;
/// Rows that one step of sweeping looks at.
const SWEEP_STEP_ROWS: u64 = 4_096;

/// How far upkeep is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upkeep {
    /// Bytes that were appended when it last looked.
    appended: u64,
    /// Bytes that compaction may still copy.
    allowance: u64,
}

impl Upkeep {
    /// Takes one step, with `appended` bytes appended so far; tells whether there was work.
    #[must_use]
    pub fn step(mut self, store: &Store, appended: u64) -> (Self, bool) {
        let worked =
            prepare(store) | self.hint(store) | self.compact(store, appended) | sweep(store);
        (self, worked)
    }

    fn hint(self, store: &Store) -> bool {
        done("write a hint file", store.hint_step()).unwrap_or(false)
    }

    fn compact(&mut self, store: &Store, appended: u64) -> bool {
        self.allowance += store.compaction_budget(appended.saturating_sub(self.appended));
        self.appended = appended;
        let budget = self.allowance.min(COMPACT_STEP_BYTES);
        let Some(compacted) = done("compact", store.compact_step(budget)) else {
            return false;
        };
        self.allowance = self.allowance.saturating_sub(compacted.copied_bytes);
        compacted.copied_bytes > 0 || compacted.freed_bytes > 0
    }
}

/// Fills the next segment's file with zeros, so that the writer need not.
fn prepare(store: &Store) -> bool {
    done("prepare a segment", store.prepare_step()).unwrap_or(false)
}

fn sweep(store: &Store) -> bool {
    done("sweep", store.sweep_step(SWEEP_STEP_ROWS)).is_some_and(|swept| swept.removed > 0)
}

/// A failed step is tried again; only people can do something about why it failed.
fn done<T>(doing: &str, result: Result<T, StepError>) -> Option<T> {
    result
        .map_err(|error| tracing::error!(%error, "the store's upkeep could not {doing}"))
        .ok()
}
