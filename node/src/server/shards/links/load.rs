//! How much of what was read waits for the log's thread: a reader beyond the limit waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What one reader's records may take while they wait.
const LIMIT: usize = 16 << 20;
/// How long a reader beyond it waits before it looks again.
const PAUSE: Duration = Duration::from_millis(2);

/// What of one reader's waits.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicUsize>);

/// A part of it, until it is dropped.
#[derive(Debug)]
pub struct Loaded {
    load: Load,
    bytes: usize,
}

impl Load {
    /// Whether no more may come for now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LIMIT
    }

    /// Waits until more may come.
    pub fn wait_for_room(&self) {
        while self.is_full() {
            thread::sleep(PAUSE);
        }
    }

    /// Adds what is about to wait.
    #[must_use]
    pub fn add(&self, bytes: usize) -> Loaded {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Loaded {
            load: self.clone(),
            bytes,
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.load.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
