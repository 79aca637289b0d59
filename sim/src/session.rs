//! What the clients of one simulated run share: the schema they load, one clock, and the history,
//! which begins once the cluster has defined the views.

use crate::{
    client::{self, Caller, channel},
    history::{FORMAT, Header, History, Limits, Micros, RecordError, Recorder},
    run::EPOCH,
    workload::{Operation, Probe, TokenUse},
    world::SimNetwork,
};
use proto::id::{ClusterId, EntityId, ViewId};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};
use tokio::time::sleep;
use tonic::transport::{Channel, Error};
use wire::v1::{self, registry_service_client::RegistryServiceClient};

/// The schema. Its ids are the history's own: nothing compares them with the cluster's.
pub const PROBE: Probe = Probe {
    entity: EntityId(1),
    state: ViewId(1),
    notes: ViewId(2),
    ttl: Duration::from_mins(1),
};

/// The history, once the views are defined.
#[derive(Clone, Default)]
pub struct Shared(Rc<RefCell<Option<(Recorder, ClusterId)>>>);

impl Shared {
    /// Begins the history.
    pub fn begin(&self, header: Header) -> (Recorder, ClusterId) {
        let cluster = header.cluster;
        let begun = (Recorder::new(header, Limits::default()), cluster);
        *self.0.borrow_mut() = Some(begun.clone());
        begun
    }

    /// Waits for its beginning.
    pub async fn begun(&self) -> (Recorder, ClusterId) {
        loop {
            if let Some(begun) = &*self.0.borrow() {
                return begun.clone();
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// What was recorded, if it has begun: a run that ended defined its views.
    #[must_use]
    pub fn history(&self) -> Option<History> {
        let shared = self.0.borrow();
        shared.as_ref().map(|(recorder, _)| recorder.snapshot())
    }
}

fn now() -> Duration {
    turmoil::sim_elapsed().expect("clients run in the world")
}

/// The history's clock.
#[must_use]
pub fn clock() -> client::Clock {
    Arc::new(|| Micros(u64::try_from(now().as_micros()).unwrap_or(u64::MAX)))
}

/// The true wall clock.
#[must_use]
pub fn wall_micros() -> u64 {
    u64::try_from((EPOCH + now()).as_micros()).unwrap_or(u64::MAX)
}

/// A channel to the gateway at `address`.
pub fn gateway(address: &str) -> Result<Channel, Error> {
    channel(Arc::new(SimNetwork), address)
}

/// Defines the views by way of the gateway at `address`, until it has done so.
pub async fn define(address: &str) -> Result<(), Error> {
    let mut registry = RegistryServiceClient::new(gateway(address)?);
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

/// Carries one operation of the load out.
pub async fn carry_out(caller: &mut Caller, operation: Operation) -> Result<(), RecordError> {
    match operation {
        Operation::Write { id, rows } => {
            let _ = caller.write(id, rows, wall_micros() / 1_000).await?;
        }
        Operation::Lookup { wanted, token } => {
            let _ = caller.look_up(&wanted, token == TokenUse::Own).await?;
        }
    }
    Ok(())
}

/// The header of a run's history. Clocks are `clock_error` microseconds apart at most.
#[must_use]
pub fn header(title: &str, seed: u64, cluster: ClusterId, clock_error: u64) -> Header {
    Header {
        format: FORMAT,
        title: title.into(),
        seed,
        cluster,
        regions: 1,
        wall_at_start: u64::try_from(EPOCH.as_micros()).unwrap_or(u64::MAX),
        clock_error,
        views: PROBE.rules(),
    }
}
