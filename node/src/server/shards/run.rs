//! Running a driver: on a thread of its own with a second one for the disk, or inline in a task
//! where one seed decides every order.
//!
//! While the disk works on a batch, the next one gathers: that is the group commit, and there is no
//! timer in it.

use super::{driver::Driver, input::Input};
use crate::components::Clock;
use raft::group::Blocking;
use std::{sync::Arc, thread, time::Duration};
use store::Batch;
use tokio::sync::mpsc;

/// Inputs that wait for the log's thread; senders beyond wait themselves.
pub const QUEUE_INPUTS: usize = 4_096;
/// Inputs taken between two batches, so that the disk is not kept waiting by a long queue.
const INPUTS_PER_TURN: usize = 512;

/// How often shards are told that time passed.
const TICK_EVERY: Duration = Duration::from_millis(25);

/// Tells the shards that time passes, until they end.
pub async fn tick(inputs: mpsc::Sender<Input>) {
    let mut ticks = tokio::time::interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if inputs.send(Input::Tick).await.is_err() {
            return;
        }
    }
}

/// Starts a driver. `stopped` is told once it ends: why, if it had to.
pub fn start(
    driver: Driver,
    inputs: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    clock: Arc<dyn Clock>,
    place: Blocking,
    stopped: impl FnOnce(Option<String>) + Send + 'static,
) {
    match place {
        Blocking::Threads => on_threads(driver, inputs, clock, stopped),
        Blocking::Inline => {
            tokio::spawn(inline(driver, inputs.1, clock, stopped));
        }
    }
}

fn on_threads(
    mut driver: Driver,
    (own, mut inputs): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    clock: Arc<dyn Clock>,
    stopped: impl FnOnce(Option<String>) + Send + 'static,
) {
    let (to_disk, batches) = std::sync::mpsc::sync_channel::<Batch>(1);
    let disk = move || {
        for batch in batches {
            // The driver ends first only when the process does.
            let _ = own.blocking_send(Input::Synced(write_and_sync(batch)));
        }
    };
    let log = move || {
        let mut is_disk_busy = false;
        while let Some(first) = inputs.blocking_recv() {
            let mut turn = Turn::default();
            turn.take(&mut driver, first, &*clock);
            while turn.taken < INPUTS_PER_TURN
                && let Ok(input) = inputs.try_recv()
            {
                turn.take(&mut driver, input, &*clock);
            }
            is_disk_busy &= !turn.is_synced;
            if driver.broken().is_some() || turn.is_last {
                break;
            }
            if is_disk_busy {
                driver.flush();
            } else if let Some(batch) = driver.take_batch() {
                is_disk_busy = true;
                to_disk
                    .send(batch)
                    .expect("the disk's thread ends after this one");
            }
        }
        stopped(driver.broken().map(str::to_owned));
    };
    // Threads that only wait for each other and the disk: they are named, so that profiles show them.
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    named("disk")
        .spawn(disk)
        .expect("a process can start a thread");
    named("log")
        .spawn(log)
        .expect("a process can start a thread");
}

pub(super) async fn inline(
    mut driver: Driver,
    mut inputs: mpsc::Receiver<Input>,
    clock: Arc<dyn Clock>,
    stopped: impl FnOnce(Option<String>) + Send + 'static,
) {
    while let Some(first) = inputs.recv().await {
        let mut turn = Turn::default();
        turn.take(&mut driver, first, &*clock);
        while turn.taken < INPUTS_PER_TURN
            && let Ok(input) = inputs.try_recv()
        {
            turn.take(&mut driver, input, &*clock);
        }
        while let Some(batch) = driver.take_batch() {
            driver.take(Input::Synced(write_and_sync(batch)), clock.now());
        }
        if driver.broken().is_some() || turn.is_last {
            break;
        }
    }
    stopped(driver.broken().map(str::to_owned));
}

#[derive(Default)]
struct Turn {
    taken: usize,
    is_synced: bool,
    is_last: bool,
}

impl Turn {
    fn take(&mut self, driver: &mut Driver, input: Input, clock: &dyn Clock) {
        self.taken += 1;
        self.is_synced |= matches!(input, Input::Synced(_));
        self.is_last |= matches!(input, Input::Stop(_));
        driver.take(input, clock.now());
    }
}

fn write_and_sync(mut batch: Batch) -> Result<store::segment::Synced, String> {
    batch.write().map_err(|error| error.to_string())?;
    batch.sync().map_err(|error| error.to_string())
}
