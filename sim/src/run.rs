//! One simulated run: on a thread of its own, under its seed, at the same task id as every other.
//!
//! What a run must not inherit from runs before it: std's hash keys, which a thread draws once, and
//! tokio's task ids, which the process counts. tokio keeps the tasks of a runtime in four lists by
//! their id and drops them list by list, so the order in which a crashed host's connections close
//! depends on the id at which the run began.
//!
//! Runs of one process are serial. Work beside a run that spawns tokio tasks would move its ids:
//! simulated tests stand in test programs where all tasks belong to runs. For seeds in parallel,
//! start several processes.

use crate::entropy::{self, Clocks};
use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// 21 September 2026: late enough for every event time that workloads use, and the same in all runs.
pub const EPOCH: Duration = Duration::from_secs(1_790_000_000);

/// tokio's number of task lists in a runtime of one thread; its version is pinned.
const TASK_LISTS: u64 = 4;

/// Simulated stacks hold a whole cluster's futures.
const STACK_BYTES: usize = 16 << 20;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `work` as the run of `seed`, alone in the process, and gives its result. Its clocks start
/// at [`EPOCH`]; `work` moves them by [`entropy::set_clocks`].
pub fn simulated<T: Send>(seed: u64, work: impl FnOnce() -> T + Send) -> T {
    // A run that panicked left nothing behind: everything it had was its thread's.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    align_task_ids();
    on_fresh_thread(seed, at(Duration::ZERO), work)
}

/// The clocks of a run, `elapsed` after its start.
#[must_use]
pub fn at(elapsed: Duration) -> Clocks {
    Clocks {
        monotonic: elapsed,
        wall: EPOCH + elapsed,
    }
}

/// Runs `work` on a new thread that is under `seed` before it does anything. A panic goes on here.
pub fn on_fresh_thread<T: Send>(seed: u64, clocks: Clocks, work: impl FnOnce() -> T + Send) -> T {
    let body = || {
        entropy::take_over(seed, clocks);
        work()
    };
    let result = thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, body)
            .expect("a machine without room for a thread runs no simulation")
            .join()
    });
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Spawns empty tasks until the next one falls into the first list. On a thread of its own: a
/// runtime draws hash keys, and the run's thread must draw its first ones under its seed.
fn align_task_ids() {
    let spawning = thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers needs nothing of the machine");
        while runtime.block_on(id_of_an_empty_task()) % TASK_LISTS != TASK_LISTS - 1 {}
    });
    spawning.join().expect("empty tasks do not panic");
}

async fn id_of_an_empty_task() -> u64 {
    let task = tokio::spawn(async {});
    let id = task
        .id()
        .to_string()
        .parse()
        .expect("tokio prints a task's id as a number");
    task.await.expect("an empty task ends");
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_begins_at_the_same_task_list_and_time() {
        let first_task = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            (
                runtime.block_on(id_of_an_empty_task()) % TASK_LISTS,
                std::time::Instant::now(),
            )
        };
        let runs: Vec<_> = (0..5).map(|seed| simulated(seed, first_task)).collect();
        assert!(
            runs.iter().all(|run| run.0 == 0 && run.1 == runs[0].1),
            "{runs:?}"
        );
    }

    #[test]
    fn a_panic_in_a_run_reaches_the_caller_and_hinders_no_later_run() {
        let panicked = std::panic::catch_unwind(|| simulated(1, || panic!("on purpose")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert_eq!(simulated(1, || 7), 7);
    }
}
