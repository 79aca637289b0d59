//! The store's background steps, on a thread beside the writer as a node has one: without them no
//! hint file is written and no segment file is ready when the writer wants one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use store::Store;

/// How long it rests when there was nothing to do.
const REST: Duration = Duration::from_millis(5);
/// Bytes that one step of compaction copies at most.
const COMPACT_STEP_BYTES: u64 = 4 << 20;
/// Bytes appended for a group that is counted: what compaction keeps pace with.
const SEGMENT_BYTES: u64 = 64 << 20;

/// The running thread.
pub struct Keeping {
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Keeping {
    /// Starts it.
    pub fn start(store: Arc<Store>) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ending);
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Acquire) {
                if !step(&store) {
                    thread::sleep(REST);
                }
            }
        });
        Self { ending, thread }
    }

    /// Ends it after the step it is at.
    pub fn end(self) {
        self.ending.store(true, Ordering::Release);
        self.thread
            .join()
            .expect("the keeper has no reason to panic");
    }
}

/// One round; whether there was work. A step that fails is tried again.
fn step(store: &Store) -> bool {
    let prepared = store.prepare_step().unwrap_or(false);
    let hinted = store.hint_step().unwrap_or(false);
    // A hint file ends a segment: compaction may then copy what a segment of appends allows.
    let mut left = if hinted {
        store.compaction_budget(SEGMENT_BYTES)
    } else {
        0
    };
    while left > 0 {
        let budget = left.min(COMPACT_STEP_BYTES);
        match store.compact_step(budget) {
            Ok(done) if done.copied_bytes > 0 => left = left.saturating_sub(done.copied_bytes),
            Ok(_) | Err(_) => break,
        }
    }
    prepared || hinted
}
