//! The clients of a run: those that load the node, and the one that defines the views before and
//! reads every row back after.

use super::{CLIENTS, NODE, node_address, random, recorder};
use crate::{
    client::{Caller, channel},
    history::{FORMAT, Header, History, Micros, Recorder},
    run::EPOCH,
    workload::{Generator, Operation, Probe, Settings, TokenUse},
    world::{Machine, SimNetwork},
};
use proto::{
    id::{ClusterId, EntityId, ViewId},
    time::EventTime,
};
use std::{cell::RefCell, error::Error, rc::Rc, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tonic::transport::Channel;
use wire::v1::{self, registry_service_client::RegistryServiceClient};

/// The ids are the history's own: nothing compares them with the cluster's.
const PROBE: Probe = Probe {
    entity: EntityId(1),
    state: ViewId(1),
    notes: ViewId(2),
    ttl: Duration::from_mins(1),
};

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

/// The history, once the views are defined.
#[derive(Clone, Default)]
pub struct Shared(Rc<RefCell<Option<(Recorder, ClusterId)>>>);

impl Shared {
    /// What was recorded.
    ///
    /// # Panics
    /// Before the views are defined.
    pub fn history(&self) -> History {
        let shared = self.0.borrow();
        let (recorder, _) = shared.as_ref().expect("a run that ended defined its views");
        recorder.snapshot()
    }

    async fn begun(&self) -> (Recorder, ClusterId) {
        loop {
            if let Some(begun) = &*self.0.borrow() {
                return begun.clone();
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn now() -> Duration {
    turmoil::sim_elapsed().expect("clients run in the world")
}

fn now_micros() -> Micros {
    Micros(u64::try_from(now().as_micros()).unwrap_or(u64::MAX))
}

fn wall_micros() -> u64 {
    u64::try_from((EPOCH + now()).as_micros()).unwrap_or(u64::MAX)
}

fn gateway() -> Result<Channel, tonic::transport::Error> {
    channel(Arc::new(SimNetwork), &node_address())
}

fn caller(
    (recorder, cluster): (Recorder, ClusterId),
    seed: u64,
    client: u64,
) -> Result<Caller, tonic::transport::Error> {
    let recording = (recorder, Arc::new(now_micros) as crate::client::Clock);
    let random = random(seed, client);
    Ok(Caller::new(gateway()?, PROBE, recording, cluster, random))
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
            let wall = wall_micros();
            match generator.next(EventTime::saturating(wall)) {
                Operation::Write { id, rows } => caller.write(id, rows, wall / 1_000).await?,
                Operation::Lookup { wanted, token } => {
                    caller.look_up(&wanted, token == TokenUse::Own).await?;
                }
            }
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
    timeout(PATIENCE, define()).await??;
    let cluster = machine
        .cluster()
        .ok_or("a node without a cluster answered")?;
    let begun = (recorder(header(seed, cluster)), cluster);
    *shared.0.borrow_mut() = Some(begun.clone());
    sleep_until(start + last_restart).await;
    let every_row = Generator::every_row(&PROBE, &LOAD);
    caller(begun, seed, 2 * CLIENTS)?
        .read_at_the_end(&every_row, NODE, PATIENCE)
        .await?;
    Ok(())
}

async fn define() -> Result<(), tonic::transport::Error> {
    let mut registry = RegistryServiceClient::new(gateway()?);
    let file = v1::DefinitionFile {
        name: "probes.yaml".into(),
        text: PROBE.definition(),
    };
    let request = v1::ApplyRequest {
        files: vec![file],
        ..v1::ApplyRequest::default()
    };
    // The node is starting; once it stands, this holds however often it is sent.
    while registry.apply(request.clone()).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn header(seed: u64, cluster: ClusterId) -> Header {
    Header {
        format: FORMAT,
        title: "one node in the simulated world".into(),
        seed,
        cluster,
        regions: 1,
        wall_at_start: u64::try_from(EPOCH.as_micros()).unwrap_or(u64::MAX),
        clock_error: CLOCK_ERROR,
        views: PROBE.rules(),
    }
}
