//! This node's lanes to all others.

use super::{
    frame::{Class, Failure, Hello},
    lane::Lane,
};
use crate::components::Network;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::{BootId, ClusterId, NodeId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What a node does with what others say.
#[async_trait]
pub trait Handler: Send + Sync {
    /// A message came. Waiting here slows that sender down and nobody else.
    async fn message(&self, from: NodeId, method: u8, payload: Bytes);

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
#[derive(Debug, Clone, Copy)]
pub struct Me {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Its run.
    pub boot: BootId,
}

pub(super) struct Shared {
    pub(super) me: Me,
    pub(super) network: Arc<dyn Network>,
    pub(super) handler: Arc<dyn Handler>,
}

/// See the module.
pub struct Mesh {
    shared: Arc<Shared>,
    addresses: Mutex<BTreeMap<NodeId, String>>,
    lanes: Mutex<BTreeMap<(NodeId, Class), Lane>>,
    calls: AtomicU64,
}

impl Mesh {
    /// A mesh without lanes; they open when they are first used.
    #[must_use]
    pub fn new(me: Me, network: Arc<dyn Network>, handler: Arc<dyn Handler>) -> Self {
        let shared = Arc::new(Shared {
            me,
            network,
            handler,
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
    pub fn me(&self) -> Me {
        self.shared.me
    }

    /// Tells where nodes are. Lanes to addresses that changed, and to nodes that are gone, close.
    pub fn know(&self, addresses: BTreeMap<NodeId, String>) {
        // Lanes first, as everywhere: whoever opens one looks the address up under that lock.
        let mut lanes = self.lanes.lock();
        let mut known = self.addresses.lock();
        lanes.retain(|(node, _), _| known.get(node) == addresses.get(node));
        *known = addresses;
    }

    /// Tells where one node is.
    pub fn learn(&self, node: NodeId, address: &str) {
        let mut lanes = self.lanes.lock();
        let mut known = self.addresses.lock();
        if known.get(&node).is_none_or(|known| known != address) {
            known.insert(node, address.to_owned());
            lanes.retain(|(to, _), _| *to != node);
        }
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
        let address = self.addresses.lock().get(&to)?.clone();
        let Me {
            cluster,
            node,
            boot,
        } = self.shared.me;
        let hello = Hello {
            cluster,
            node,
            boot,
            to,
            class,
        };
        let lane = Lane::open(Arc::clone(&self.shared), address, hello);
        let result = act(&lane);
        lanes.insert((to, class), lane);
        Some(result)
    }
}
