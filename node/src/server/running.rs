//! A node that runs, and how it stops.

use super::{
    metadata::Metadata,
    shards::{Board, Input},
    upkeep::Upkeep,
};
use crate::components::Home;
use gateway::Readiness;
use proto::id::NodeId;
use raft::group::Blocking;
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use store::Store;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

/// How long a stop waits for calls in flight and for the disk.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a stop waits until others lead this node's shards: a few rounds of the controller and of the
/// group's log, also while that has to find a leader.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long it then waits until they know; those that are away never will.
const TOLD_WITHIN: Duration = Duration::from_millis(500);
/// How often the store's upkeep looks for work when there was none.
const UPKEEP_PAUSE: Duration = Duration::from_millis(200);

/// See the module.
pub struct Running {
    /// Where it answers gRPC.
    pub grpc: SocketAddr,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) end: watch::Receiver<Option<Option<String>>>,
    pub(super) faults: watch::Receiver<Option<String>>,
    pub(super) leaving: watch::Sender<bool>,
    pub(super) node: NodeId,
    pub(super) background: Background,
    pub(super) groups: Metadata,
    pub(super) home: Arc<dyn Home>,
}

impl Running {
    /// Why it may not take traffic yet; none once it may.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        match &*self.readiness.borrow() {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(why.clone()),
        }
    }

    /// Waits until the node must stop by itself: why.
    pub async fn failed(&mut self) -> String {
        let ended = async {
            let end = self.end.wait_for(Option::is_some).await;
            end.ok()
                .and_then(|end| end.clone().flatten())
                .unwrap_or_else(|| "the shards ended".into())
        };
        let refused = async {
            match self.faults.wait_for(Option::is_some).await {
                Ok(fault) => fault.clone().unwrap_or_default(),
                // Its sender ends with the node's tasks.
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            fault = ended => fault,
            fault = refused => fault,
            fault = self.groups.global.failed() => format!("the global group: {fault}"),
            fault = self.groups.regional.failed() => format!("the regional group: {fault}"),
        }
    }

    /// Hands this node's shards to others, so that no write waits until its silence is noticed. Calls are
    /// answered meanwhile. Gives up after a while: nobody may be there to take them.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        let me = self.node;
        let mut placements = self.groups.regional.watch();
        let handed_over =
            placements.wait_for(|placement| placement.to_hand_over(me).next().is_none());
        match timeout(LEAVE_WITHIN, handed_over).await {
            Ok(_) => tracing::info!("others lead the shards of this node; it stops"),
            Err(_) => tracing::warn!("nobody took over all shards of this node; it stops anyway"),
        }
        // What this node committed as the group's leader others learn with its next heartbeat.
        let placement = self.groups.regional.newest();
        let others = placement.members.keys().filter(|node| **node != me);
        let others = others.copied().collect();
        let seen = self
            .groups
            .regional
            .seen_by(others, placement.revision, TOLD_WITHIN);
        seen.await;
    }

    /// Stops: no new calls, what was taken is answered and synced, files are closed.
    pub async fn stop(self) {
        self.background.stop().await;
        let (done, stopped) = oneshot::channel();
        if self.inputs.send(Input::Stop(done)).await.is_ok() {
            // A disk that hangs must not keep the process: what it did not sync was not answered.
            let _ = timeout(STOP_WITHIN, stopped).await;
        }
        let mut end = self.end.clone();
        let _ = timeout(STOP_WITHIN, end.wait_for(Option::is_some)).await;
        self.groups.regional.stop().await;
        self.groups.global.stop().await;
        drop(self.home);
    }
}

/// Tasks that run beside everything else until the node stops.
pub struct Background {
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Default for Background {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            servers: Vec::new(),
            tasks: Vec::new(),
        }
    }
}

impl Background {
    /// Runs a task.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// Runs a server, which ends by itself once the node stops and its calls in flight are answered.
    pub fn serve(&mut self, server: impl Future<Output = ()> + Send + 'static) {
        self.servers.push(tokio::spawn(server));
    }

    /// Resolves when the node stops.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // A sender that is gone stops too.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Has the store do its upkeep, a step at a time.
    pub fn keep_store(&mut self, store: Arc<Store>, board: Board, place: Blocking) {
        let stopping = self.stopping();
        self.spawn(async move {
            tokio::select! {
                () = keep(store, board, place) => {}
                () = stopping => {}
            }
        });
    }

    /// Stops the servers, gives calls in flight their time, then ends all tasks.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + STOP_WITHIN;
        for mut server in self.servers {
            if timeout_at(deadline, &mut server).await.is_err() {
                server.abort();
            }
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn keep(store: Arc<Store>, board: Board, place: Blocking) {
    let mut upkeep = Upkeep::default();
    loop {
        let (own, appended) = (Arc::clone(&store), board.appended_bytes());
        let (next, worked) = place.run(move || upkeep.step(&own, appended)).await;
        upkeep = next;
        if worked {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(UPKEEP_PAUSE).await;
        }
    }
}
