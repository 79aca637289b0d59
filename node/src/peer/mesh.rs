//! This node's lanes to all others.

use super::{
    frame::{Class, Failure, Hello},
    lane::Lane,
};
use crate::{components::Network, security::Security};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::{BootId, ClusterId, NodeId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

/// One that belongs to no cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It has shown a certificate of this cluster, or this node asks for none.
    Believed,
    /// It has shown nothing.
    Unknown,
}

/// What a node does with what others say.
#[async_trait]
pub trait Handler: Send + Sync {
    /// A message came. Waiting here slows that sender down and nobody else.
    async fn message(&self, from: NodeId, method: u8, payload: Bytes);

    /// Whether one that belongs to no cluster may call this: it asks to join, or to be founded.
    fn is_open_to(&self, stranger: Stranger, method: u8) -> bool;

    /// A call came.
    async fn call(&self, from: NodeId, method: u8, payload: Bytes) -> Result<Bytes, Failure>;

    /// This node's lane to another is open.
    fn up(&self, node: NodeId, class: Class);

    /// It broke.
    fn down(&self, node: NodeId, class: Class);
}

/// A call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody knows where the node is.
    #[error("the node's address is not known")]
    Unknown,
    /// Too many frames wait for that node. Nothing was sent.
    #[error("too much waits for the node")]
    Busy,
    /// There was no connection. Nothing was sent.
    #[error("the node cannot be reached")]
    NotSent,
    /// The connection broke. The call may have been carried out.
    #[error("the connection broke")]
    Broken,
    /// No answer in time. The call may have been carried out.
    #[error("no answer in time")]
    Deadline,
    /// It was carried out and failed.
    #[error(transparent)]
    Failed(Failure),
}

/// Who this node is to the others.
#[derive(Debug, Clone)]
pub struct Me {
    /// Its cluster, once it belongs to one.
    pub cluster: Membership,
    /// Its id.
    pub node: NodeId,
    /// Its run.
    pub boot: BootId,
    /// How it and the others know who they are.
    pub security: Security,
}

/// The cluster that this node belongs to: none at first, then one for good. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Membership(Arc<OnceLock<ClusterId>>);

impl Membership {
    /// The node belongs to `cluster`. Which one it is was decided before: a second one is ignored.
    pub fn join(&self, cluster: ClusterId) {
        let _ = self.0.set(cluster);
    }

    /// The cluster, once there is one.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.0.get().copied()
    }

    /// The cluster as a hello names it: 0 for none.
    pub(super) fn named(&self) -> ClusterId {
        self.cluster().unwrap_or_default()
    }
}

impl Me {
    /// How this node begins a connection.
    pub(super) fn hello(&self, to: NodeId, class: Class) -> Hello {
        Hello {
            cluster: self.cluster.named(),
            node: self.node,
            boot: self.boot,
            to,
            class,
        }
    }
}

pub(super) struct Shared {
    pub(super) me: Me,
    pub(super) network: Arc<dyn Network>,
    pub(super) handler: Arc<dyn Handler>,
    /// Lanes are opened from threads of their own as well.
    pub(super) runtime: Handle,
}

/// Where nodes are.
#[derive(Default)]
struct Addresses {
    /// As they told the region themselves.
    known: BTreeMap<NodeId, String>,
    /// As somebody else named them, which may be out of date.
    heard: BTreeMap<NodeId, String>,
}

impl Addresses {
    fn of(&self, node: NodeId) -> Option<&String> {
        self.known.get(&node).or_else(|| self.heard.get(&node))
    }
}

/// See the module.
pub struct Mesh {
    shared: Arc<Shared>,
    addresses: Mutex<Addresses>,
    lanes: Mutex<BTreeMap<(NodeId, Class), Lane>>,
    calls: AtomicU64,
}

impl Mesh {
    /// A mesh without lanes; they open when they are first used, and run where this is called.
    #[must_use]
    pub fn new(me: Me, network: Arc<dyn Network>, handler: Arc<dyn Handler>) -> Self {
        let shared = Arc::new(Shared {
            me,
            network,
            handler,
            runtime: Handle::current(),
        });
        Self {
            shared,
            addresses: Mutex::default(),
            lanes: Mutex::default(),
            calls: AtomicU64::new(1),
        }
    }

    /// Who this node is.
    #[must_use]
    pub fn me(&self) -> &Me {
        &self.shared.me
    }

    /// Tells where nodes are, as they said themselves. Lanes to addresses that changed, and to nodes
    /// that are gone, close.
    pub fn know(&self, addresses: BTreeMap<NodeId, String>) {
        self.change(|known| known.known = addresses);
    }

    /// Tells where a node is by hearsay, which counts while it did not say so itself.
    pub fn hear(&self, node: NodeId, address: &str) {
        let is_new = {
            let addresses = self.addresses.lock();
            addresses
                .heard
                .get(&node)
                .is_none_or(|heard| heard != address)
        };
        if is_new {
            self.change(|known| drop(known.heard.insert(node, address.to_owned())));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Addresses)) {
        // Lanes first, as everywhere: whoever opens one looks the address up under that lock.
        let mut lanes = self.lanes.lock();
        let mut addresses = self.addresses.lock();
        let before: BTreeMap<NodeId, Option<String>> = lanes
            .keys()
            .map(|(node, _)| (*node, addresses.of(*node).cloned()))
            .collect();
        change(&mut addresses);
        lanes.retain(|(node, _), _| before[node].as_ref() == addresses.of(*node));
    }

    /// Sends a message; false where it was dropped at once.
    pub fn send(&self, to: NodeId, class: Class, method: u8, payload: Bytes) -> bool {
        self.with_lane(to, class, |lane| lane.send(method, payload))
            .unwrap_or(false)
    }

    /// Calls a node and waits for its answer.
    pub async fn call(
        &self,
        to: NodeId,
        class: Class,
        method: u8,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let lane = self
            .with_lane(to, class, Lane::clone)
            .ok_or(CallError::Unknown)?;
        lane.call(number, method, payload, within).await
    }

    fn with_lane<T>(&self, to: NodeId, class: Class, act: impl FnOnce(&Lane) -> T) -> Option<T> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(&(to, class)).filter(|lane| !lane.is_closed()) {
            return Some(act(lane));
        }
        let address = self.addresses.lock().of(to)?.clone();
        let lane = Lane::open(Arc::clone(&self.shared), address, to, class);
        let result = act(&lane);
        lanes.insert((to, class), lane);
        Some(result)
    }
}
