//! What all clients of a load share.

use super::{PROBE, Plan, bulk::Bulk};
use crate::{
    clock::Clock,
    judge::{Asked, Beat, Outcome},
};
use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use proto::id::ClusterId;
use sim::{
    client::{Caller, Looked},
    history::{Micros, Recorder},
    random::Random,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use tonic::transport::{Channel, Endpoint};

/// How long a client waits for an answer; the machine may do much else.
const CALL_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub struct Shared {
    /// How much load.
    pub plan: Plan,
    /// What is recorded.
    pub recorder: Recorder,
    /// When.
    pub clock: Clock,
    /// Rows that were loaded before.
    pub bulk: Bulk,
    cluster: ClusterId,
    addresses: Vec<String>,
    gateways: usize,
    stop: watch::Receiver<bool>,
    asked: Mutex<Vec<Asked>>,
    beats: Mutex<Vec<Beat>>,
}

impl Shared {
    pub(super) fn new(
        plan: Plan,
        (addresses, gateways): (Vec<String>, usize),
        (recorder, clock, cluster): (Recorder, Clock, ClusterId),
        bulk: Bulk,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            plan,
            recorder,
            clock,
            bulk,
            cluster,
            addresses,
            gateways,
            stop,
            asked: Mutex::new(Vec::new()),
            beats: Mutex::new(Vec::new()),
        }
    }

    /// How many gateways clients use: nodes that come later are read through at the end only.
    #[must_use]
    pub const fn gateways(&self) -> usize {
        self.gateways
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Whether clients are to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, not past the end.
    pub async fn pause(&self, length: Duration) {
        let mut stop = self.stop.clone();
        // Either the end comes, or the pause is over.
        let _ = timeout(length, stop.wait_for(|stop| *stop)).await;
    }

    /// Draws for one purpose.
    #[must_use]
    pub fn random(&self, purpose: &str) -> Random {
        Random::of_purpose(self.plan.seed, purpose)
    }

    /// A channel to a gateway, opened by its first call and again whenever it broke.
    pub fn channel(&self, gateway: usize) -> Result<Channel> {
        let address = &self.addresses[gateway];
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.with_context(|| format!("call {address}"))?;
        Ok(endpoint.connect_timeout(CONNECT_WITHIN).connect_lazy())
    }

    /// A client that knows one gateway only.
    pub fn caller(&self, gateway: usize, purpose: &str) -> Result<Caller> {
        let clock = self.clock;
        let recording = (
            self.recorder.clone(),
            Arc::new(move || clock.now()) as sim::client::Clock,
        );
        let random = self.random(&format!("pauses of {purpose} {gateway}"));
        let channel = self.channel(gateway)?;
        let caller = Caller::new(channel, PROBE, recording, self.cluster, random);
        Ok(caller.with_patience(CALL_WITHIN))
    }

    /// A client that knows all gateways, by their places.
    pub fn roaming_caller(&self, purpose: &str) -> Result<Caller> {
        let others = (1..self.gateways()).map(|gateway| self.channel(gateway));
        let others = others.collect::<Result<Vec<_>>>()?;
        Ok(self.caller(0, purpose)?.with_gateways(others))
    }

    /// Takes a lookup down.
    pub fn looked_up(&self, gateway: usize, issued: Micros, outcome: Outcome) {
        let answered = self.clock.now();
        self.asked.lock().push(Asked {
            gateway,
            issued,
            answered,
            outcome,
        });
    }

    /// Takes an acknowledgement of a steady writer down, of a write that left at `issued`.
    pub fn acknowledged(&self, writer: usize, issued: Micros) {
        let mut beats = self.beats.lock();
        // Within the lock, so that beats stand in the order of time.
        let at = self.clock.now();
        beats.push(Beat { writer, issued, at });
    }

    /// The acknowledgements taken down.
    #[must_use]
    pub fn beats(&self) -> Vec<Beat> {
        self.beats.lock().clone()
    }

    /// What tells the values of one generator from those of all others.
    #[must_use]
    pub const fn mark(&self, gateway: usize, number: u64) -> u64 {
        let of_gateway = self.plan.mixed + self.plan.patient;
        gateway as u64 * of_gateway + number
    }

    /// The lookups taken down.
    #[must_use]
    pub fn lookups(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

/// How a lookup ended, for the judge of answers that must come.
pub fn outcome(looked: Looked) -> Outcome {
    match looked {
        Looked::Answered { unavailable: 0 } => Outcome::Whole,
        Looked::Answered { unavailable } => Outcome::Unavailable(unavailable),
        Looked::Stale => Outcome::Stale,
        Looked::Failed(why) => Outcome::Failed(why),
    }
}
