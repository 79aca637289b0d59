//! The clients of a run: those that load the node, and the one that defines the views before and
//! reads every row back after.

use super::{CLIENTS, NODE, node_address, random};
use crate::{
    client::Caller,
    history::Recorder,
    session::{self, PROBE, Shared},
    workload::{Generator, Settings},
    world::Machine,
};
use proto::{id::ClusterId, time::EventTime};
use std::{error::Error, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

const LOAD: Settings = Settings {
    probes: 40,
    write_percent: 50,
    delete_percent: 8,
    token_percent: 50,
    rows_per_write: 4,
    probes_per_lookup: 5,
};

/// How far apart, in microseconds, the clocks of two hosts are within a tick.
const CLOCK_ERROR: u64 = 2_000;
/// How long the node may take to answer after everything is healed.
const PATIENCE: Duration = Duration::from_secs(20);

fn caller(
    (recorder, cluster): (Recorder, ClusterId),
    seed: u64,
    client: u64,
) -> Result<Caller, tonic::transport::Error> {
    let recording = (recorder, session::clock());
    let random = random(seed, client);
    let gateway = session::gateway(&node_address())?;
    Ok(Caller::new(gateway, PROBE, recording, cluster, random))
}

/// Loads the node until `until`. What is open then stays open: it may have happened.
pub async fn load(
    seed: u64,
    client: u64,
    until: Duration,
    shared: Shared,
) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + until;
    let loading = async {
        let mut caller = caller(shared.begun().await, seed, client)?;
        let mut generator = Generator::new(PROBE, LOAD, seed, client);
        let mut pauses = random(seed, CLIENTS + client);
        loop {
            let operation = generator.next(EventTime::saturating(session::wall_micros()));
            session::carry_out(&mut caller, operation).await?;
            sleep(Duration::from_micros(pauses.within(500..20_000))).await;
        }
    };
    match timeout_at(end, loading).await {
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

/// Defines the views, waits until the last restart, and reads every row back.
pub async fn set_up_and_read_back(
    seed: u64,
    machine: Machine,
    last_restart: Duration,
    shared: Shared,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    timeout(PATIENCE, session::define(&node_address())).await??;
    let cluster = machine
        .cluster()
        .ok_or("a node without a cluster answered")?;
    let title = "one node in the simulated world";
    let header = session::header(title, seed, cluster, CLOCK_ERROR);
    let begun = shared.begin(header);
    sleep_until(start + last_restart).await;
    let every_row = Generator::every_row(&PROBE, &LOAD);
    caller(begun, seed, 2 * CLIENTS)?
        .read_at_the_end(&every_row, NODE, PATIENCE)
        .await?;
    Ok(())
}
