//! Running a driver: on a thread of its own with a second one for the disk, or inline in a task
//! where one seed decides every order.
//!
//! While the disk works on a batch, the next one gathers: that is the group commit, and there is no
//! timer in it. Where what is in memory counts, a third thread syncs what the second has written.

use super::{driver::Driver, input::Input};
use crate::components::Clock;
use raft::group::Blocking;
use std::{
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use store::{Batch, segment::WriteError};
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

/// Work for the disk.
enum Job {
    WriteAndSync(Batch),
    Write(Batch),
    Sync(Batch),
}

impl Job {
    /// A batch as the driver's pace wants it.
    fn of(batch: Batch, driver: &Driver) -> Self {
        if driver.tells_written() {
            Self::Write(batch)
        } else {
            Self::WriteAndSync(batch)
        }
    }

    fn run(self) -> Input {
        match self {
            Self::WriteAndSync(mut batch) => {
                let written = batch.write();
                Input::Synced(text(written.and_then(|()| batch.sync())))
            }
            Self::Write(mut batch) => Input::Written(text(batch.write().map(|()| batch))),
            Self::Sync(batch) => Input::Synced(text(batch.sync())),
        }
    }
}

fn text<T>(done: Result<T, WriteError>) -> Result<T, String> {
    done.map_err(|error| error.to_string())
}

fn on_threads(
    mut driver: Driver,
    (own, mut inputs): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    clock: Arc<dyn Clock>,
    stopped: impl FnOnce(Option<String>) + Send + 'static,
) {
    let (to_disk, disk) = disk_thread("disk", own.clone());
    let (to_sync, sync) = disk_thread("sync", own);
    let log = move || {
        while let Some(first) = inputs.blocking_recv() {
            let mut turn = Turn::default();
            turn.take(&mut driver, first, &*clock);
            while turn.taken < INPUTS_PER_TURN
                && let Ok(input) = inputs.try_recv()
            {
                turn.take(&mut driver, input, &*clock);
            }
            if driver.broken().is_some() || turn.is_last {
                break;
            }
            if let Some(batch) = driver.take_batch() {
                let job = Job::of(batch, &driver);
                to_disk.send(job).expect("it ends after this thread");
            }
            if let Some(batch) = driver.take_sync() {
                to_sync
                    .send(Job::Sync(batch))
                    .expect("it ends after this thread");
            }
        }
        // A disk that hangs must not keep a node from saying why it stops; one that stops in peace
        // leaves nothing behind that it acknowledged.
        if driver.broken().is_none() {
            drop((to_disk, to_sync, inputs));
            let _ = (disk.join(), sync.join());
            end_in_peace(&mut driver);
        }
        stopped(driver.broken().map(str::to_owned));
    };
    thread("log", log);
}

/// A thread that carries out what it is sent, and tells of it.
fn disk_thread(name: &str, own: mpsc::Sender<Input>) -> (SyncSender<Job>, JoinHandle<()>) {
    let (to_disk, jobs) = sync_channel::<Job>(1);
    let work = move || {
        for job in jobs {
            // The driver ends first only when the process does.
            let _ = own.blocking_send(job.run());
        }
    };
    (to_disk, thread(name, work))
}

/// Threads that only wait for each other and the disk: they are named, so that profiles show them.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(work).expect("a process can start a thread")
}

/// Syncs what was acknowledged before it was synced.
fn end_in_peace(driver: &mut Driver) {
    if let Some(batch) = driver.take_last_sync()
        && let Err(error) = batch.sync()
    {
        tracing::error!(%error, "what was acknowledged last is not on this disk");
    }
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
            driver.take(Job::of(batch, &driver).run(), clock.now());
        }
        if let Some(batch) = driver.take_sync() {
            driver.take(Job::Sync(batch).run(), clock.now());
        }
        if turn.is_last {
            end_in_peace(&mut driver);
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
    is_last: bool,
}

impl Turn {
    fn take(&mut self, driver: &mut Driver, input: Input, clock: &dyn Clock) {
        self.taken += 1;
        self.is_last |= matches!(input, Input::Stop(_));
        driver.take(input, clock.now());
    }
}
