//! The region as this process sees it: the newest committed shard map, and who is primary where.

use proto::id::{NodeId, RegionId, ShardId};
use raft::placement::{Placement, Replica as Placed, ShardConfig};
use replication::{Configuration, Fence, Member, Primary};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Where a shard's writes go, and the fence they go under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The run of a node that is primary.
    pub primary: Primary,
    /// What the write is sent under.
    pub fence: Fence,
}

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

    /// The other nodes that are in sync with a shard.
    #[must_use]
    pub fn others_in_sync(&self, shard: ShardId) -> Vec<NodeId> {
        let placement = self.placement.borrow();
        let Some(config) = placement.shards.get(&shard) else {
            return Vec::new();
        };
        let nodes = configuration(config, &placement).in_sync;
        let nodes = nodes.into_iter().map(|member| member.node);
        nodes.filter(|node| *node != self.me).collect()
    }

    /// Where a shard's writes go.
    #[must_use]
    pub fn target(&self, shard: ShardId) -> Option<Target> {
        target(&self.placement.borrow(), shard)
    }

    /// Waits until a shard's writes go elsewhere, or under another fence, than was `seen`; at most for
    /// `pause`. A change that came meanwhile counts.
    pub async fn wait_for_change(&self, shard: ShardId, seen: Option<Target>, pause: Duration) {
        let mut changes = self.placement.clone();
        let differs = async {
            let changed = changes.wait_for(|placement| target(placement, shard) != seen);
            if changed.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // Either is fine: the caller looks again.
        let _ = timeout(pause, differs).await;
    }

    /// Waits until another node, or another run of it, than `seen` is a shard's primary.
    pub async fn wait_for_other_primary(&self, shard: ShardId, seen: Primary) {
        let mut changes = self.placement.clone();
        let other = |target: Target| target.primary != seen;
        let changed = changes.wait_for(|placement| target(placement, shard).is_some_and(other));
        if changed.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn target(placement: &Placement, shard: ShardId) -> Option<Target> {
    let config = placement.shards.get(&shard)?;
    Some(Target {
        primary: Primary {
            node: config.primary.node,
            boot: config.boot,
        },
        fence: fence(config),
    })
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
