//! What the store has done since it was opened, counted a batch at a time.

use crate::{disk::IoBytes, store::Store};
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Work {
    rows_from_memory: AtomicU64,
    rows_from_disk: AtomicU64,
    rows_absent: AtomicU64,
    compacted_bytes: AtomicU64,
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkDone {
    /// Rows that were read without waiting for the device.
    pub rows_from_memory: u64,
    /// Rows that the device was waited for.
    pub rows_from_disk: u64,
    /// Rows that are not there, as the index said.
    pub rows_absent: u64,
    /// Bytes of live records that were copied out of mostly dead segments.
    pub compacted_bytes: u64,
    /// Bytes of files.
    pub io: IoBytes,
}

impl Work {
    /// A batch of so many rows was read: so many are there, of which so many the device must be asked for.
    pub(crate) fn probed(&self, wanted: usize, present: usize, cold: usize) {
        for (count, by) in [
            (&self.rows_absent, wanted - present),
            (&self.rows_from_memory, present - cold),
            (&self.rows_from_disk, cold),
        ] {
            if by > 0 {
                count.fetch_add(by as u64, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn compacted(&self, bytes: u64) {
        self.compacted_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Store {
    /// What it has done since it was opened.
    #[must_use]
    pub fn work_done(&self) -> WorkDone {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WorkDone {
            rows_from_memory: count(&self.work.rows_from_memory),
            rows_from_disk: count(&self.work.rows_from_disk),
            rows_absent: count(&self.work.rows_absent),
            compacted_bytes: count(&self.work.compacted_bytes),
            io: self.directory.disk().io_bytes(),
        }
    }
}
