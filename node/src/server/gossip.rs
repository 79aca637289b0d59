//! Gossip: nodes tell each other that they live, where they are and how much they hold.
//!
//! It informs, Raft decides. chitchat reconciles what nodes say of themselves and notes who falls
//! silent; here its nodes get their names, it learns of others from the placement's members, and what
//! it knows becomes a [`Liveness`].

pub mod facts;
pub mod liveness;

use super::{region::RegionView, running::Background};
use crate::{
    components::{Clock, Datagrams, Socket},
    security::Seal,
};
use async_trait::async_trait;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion,
    spawn_chitchat, transport::Transport,
};
use facts::{Facts, Load};
use liveness::{Heard, Liveness};
use parking_lot::Mutex;
use proto::id::{ClusterId, NodeId};
use raft::placement::Member;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{interval, sleep, timeout},
};

/// How often a node speaks up.
const SPEAK_EVERY: Duration = Duration::from_millis(500);
/// Silence of so many usual pauses between signs of life means dead: 2 to 4 s, since signs of life
/// come by way of others too. Less would take a busy machine for a dead one.
const SILENT_PAUSES: f64 = 16.0;
/// Pauses that the judgement of "usual" rests on.
const PAUSES_KEPT: usize = 100;
/// A pause longer than this says nothing about what is usual.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A node that was silent for this long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);
/// How often members that were not heard are spoken to.
const INTRODUCE_EVERY: Duration = Duration::from_secs(1);
/// A name that is not found within this is tried again later.
const RESOLVE_WITHIN: Duration = Duration::from_millis(500);
/// After a fault of the socket.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What gossip works with.
pub struct Parts {
    /// This node, as it registered.
    pub me: Member,
    /// The cluster; others are not listened to.
    pub cluster: ClusterId,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The members of the region.
    pub region: RegionView,
    /// The way to them.
    pub datagrams: Arc<dyn Datagrams>,
    /// How it is authenticated.
    pub seal: Seal,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How much this node holds at present.
    pub load: Box<dyn Fn() -> Load + Send + Sync>,
}

type Told = watch::Sender<Arc<BTreeMap<NodeId, Heard>>>;

/// Gossips over `socket` until the node stops.
#[must_use]
pub fn start(parts: Parts, socket: Box<dyn Socket>, background: &mut Background) -> Liveness {
    let (told, heard) = watch::channel(Arc::default());
    background.spawn(parts.keep(socket, told));
    Liveness::follow(heard)
}

impl Parts {
    async fn keep(self, mut socket: Box<dyn Socket>, told: Told) {
        loop {
            let fault = self.gossip(socket, &told).await;
            tracing::warn!(%fault, "gossip broke off and begins again");
            socket = loop {
                sleep(RETRY_AFTER).await;
                match self.datagrams.open(self.listen, &self.seal).await {
                    Ok(socket) => break socket,
                    Err(error) => tracing::warn!(%error, "listen for gossip"),
                }
            };
        }
    }

    /// Gossips until the socket breaks; gives the fault.
    async fn gossip(&self, socket: Box<dyn Socket>, told: &Told) -> String {
        let own = self.own_address().await;
        let opened = Opened(Mutex::new(Some(socket)));
        let spawned = spawn_chitchat(self.config(own), self.facts().pairs(), &opened).await;
        let handle = match spawned {
            Ok(handle) => handle,
            Err(error) => return format!("{error:#}"),
        };
        tokio::select! {
            ended = handle.termination_watcher() => match ended {
                Ok(()) => "it ended".into(),
                Err(error) => format!("{error:#}"),
            },
            never = self.speak(&handle, told) => match never {},
            never = self.introduce(&handle, own) => match never {},
        }
    }

    /// Where others answer this node. It may take a while until its name is known.
    async fn own_address(&self) -> SocketAddr {
        let address = &self.me.addresses.gossip;
        loop {
            if let Some(found) = self.resolve(address, self.listen).await {
                return found;
            }
            tracing::warn!(%address, "advertise.gossip is not found; others will not hear this node until it is");
            sleep(INTRODUCE_EVERY).await;
        }
    }

    /// An address of `like`'s family: a socket reaches no other.
    async fn resolve(&self, address: &str, like: SocketAddr) -> Option<SocketAddr> {
        let found = timeout(RESOLVE_WITHIN, self.datagrams.resolve(address)).await;
        let found = found.ok()?.ok()?;
        found
            .into_iter()
            .find(|found| found.is_ipv4() == like.is_ipv4())
    }

    fn config(&self, own: SocketAddr) -> ChitchatConfig {
        // A later run has a later start; were the clock set back in between, the older run would be
        // believed until it is found to be silent.
        let generation = self.clock.now().wall_millis();
        ChitchatConfig {
            chitchat_id: ChitchatId::new(self.me.node.to_string(), generation, own),
            cluster_id: format!("{} {}", self.cluster, self.region.name()),
            gossip_interval: SPEAK_EVERY,
            listen_addr: self.listen,
            seed_nodes: Vec::new(),
            failure_detector_config: FailureDetectorConfig::new(
                SILENT_PAUSES,
                PAUSES_KEPT,
                LONGEST_PAUSE,
                SPEAK_EVERY,
                FORGOTTEN_AFTER,
            ),
            marked_for_deletion_grace_period: FORGOTTEN_AFTER,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        }
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::of(&self.me);
        facts.load = (self.load)();
        facts
    }

    /// Keeps telling how much this node holds, and what was heard.
    async fn speak(&self, handle: &ChitchatHandle, told: &Told) -> Infallible {
        let mut ticks = interval(SPEAK_EVERY);
        loop {
            ticks.tick().await;
            let load = (self.load)();
            let heard = handle.with_chitchat(|chitchat| {
                let own = chitchat.self_node_state();
                for (name, text) in load.pairs() {
                    own.set(name, text);
                }
                hear(chitchat)
            });
            let mut heard = heard.await;
            let now_micros = self.clock.now().monotonic_micros();
            note_times(&mut heard, &told.borrow(), now_micros);
            told.send_replace(Arc::new(heard));
        }
    }

    /// Speaks to members that give no signs of life: they may have come, or come back.
    async fn introduce(&self, handle: &ChitchatHandle, own: SocketAddr) -> Infallible {
        let mut ticks = interval(INTRODUCE_EVERY);
        loop {
            ticks.tick().await;
            let heard = handle.with_chitchat(|chitchat| hear(chitchat)).await;
            let is_silent = |node| heard.get(node).is_none_or(|heard| !heard.is_alive);
            let placement = self.region.placement();
            let silent = placement
                .members
                .values()
                .filter(|member| member.node != self.me.node && is_silent(&member.node));
            for member in silent {
                if let Some(address) = self.resolve(&member.addresses.gossip, own).await {
                    // The server ends only with the handle's task.
                    let _ = handle.gossip(address);
                }
            }
        }
    }
}

/// What is known of each node. Where two runs of one are known, the one that lives counts, else the
/// later one.
fn hear(chitchat: &Chitchat) -> BTreeMap<NodeId, Heard> {
    let living: BTreeSet<&ChitchatId> = chitchat.live_nodes().collect();
    let mut heard: BTreeMap<NodeId, Heard> = BTreeMap::new();
    // Runs of one node come in their order.
    for (id, state) in chitchat.node_states() {
        let Ok(node) = id.node_id.parse() else {
            continue;
        };
        let is_alive = living.contains(id);
        if !is_alive && heard.get(&node).is_some_and(|known| known.is_alive) {
            continue;
        }
        let facts = Arc::new(Facts::read(|name| state.get(name)));
        let heard_of = Heard {
            is_alive,
            alive_at_micros: None,
            facts,
        };
        heard.insert(node, heard_of);
    }
    heard
}

/// Notes when each was last heard to live.
fn note_times(
    heard: &mut BTreeMap<NodeId, Heard>,
    before: &BTreeMap<NodeId, Heard>,
    now_micros: u64,
) {
    for (node, heard) in heard {
        heard.alive_at_micros = match heard.is_alive {
            true => Some(now_micros),
            false => before.get(node).and_then(|known| known.alive_at_micros),
        };
    }
}

/// A transport that was opened before, so that a port in use is told when the node starts.
struct Opened(Mutex<Option<Box<dyn Socket>>>);

#[async_trait]
impl Transport for Opened {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.0.lock().take();
        socket.ok_or_else(|| anyhow::anyhow!("the socket was taken already"))
    }
}

#[cfg(test)]
mod tests;
