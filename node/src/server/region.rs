//! The region as this process sees it: the newest committed shard map, and who is primary where.

use proto::{
    id::{NodeId, RegionId, ShardId},
    limits::REFERENCE_SHARDS,
};
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
        let nodes = configuration(shard, config, &placement).in_sync;
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

/// Who holds a shard beside its members, for lookups only: of a reference shard, every other node that
/// holds rows and is not to be emptied.
#[must_use]
pub fn observing(shard: ShardId, config: &ShardConfig, placement: &Placement) -> Vec<Member> {
    let first_reference = placement.policy.map_or(u16::MAX, |policy| {
        policy.shards.saturating_sub(REFERENCE_SHARDS)
    });
    if shard.0 < first_reference {
        return Vec::new();
    }
    let has_part = |node: NodeId| {
        let mut named = config.in_sync.iter().chain(&config.joining);
        named.any(|replica| replica.node == node)
    };
    let others = placement.members.values();
    let others = others.filter(|other| !other.draining && !has_part(other.node));
    let replicas = others.filter_map(|other| placement.replica_of(other.node));
    let present = replicas.filter(|replica| placement.is_present(*replica));
    present.map(member).collect()
}

/// A shard's committed configuration as its replicas take it.
#[must_use]
pub fn configuration(shard: ShardId, config: &ShardConfig, placement: &Placement) -> Configuration {
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
        copies: placement
            .policy
            .map_or(1, |policy| usize::from(policy.copies)),
        joining: members(&config.joining),
        observing: observing(shard, config, placement),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{BootId, Epoch, Incarnation, StoreId};
    use raft::placement::{
        Member as Registered,
        state::{Addresses, Policy},
    };
    use std::collections::BTreeSet;

    fn registered(node: u64, store: Option<u64>) -> Registered {
        Registered {
            node: NodeId(node),
            name: format!("eu-{node}"),
            boot: BootId(node),
            store: store.map(StoreId),
            zone: "a".into(),
            voter: true,
            gateway: true,
            addresses: Addresses::default(),
            draining: node == 5,
            fewer_copies: false,
        }
    }

    fn placed(node: u64) -> Placed {
        Placed {
            node: NodeId(node),
            store: StoreId(node),
            boot: None,
        }
    }

    #[test]
    fn every_node_that_holds_rows_observes_the_reference_shards_of_others() {
        let members = [
            registered(1, Some(1)),
            registered(2, Some(2)),
            registered(3, Some(3)),
            registered(4, None),
            registered(5, Some(5)),
            registered(6, Some(6)),
        ];
        let policy = Policy {
            region: RegionId(1),
            group: 1,
            shards: 8 + REFERENCE_SHARDS,
            copies: 2,
            min_in_sync: 1,
            named_by_boot: false,
        };
        let placement = Placement {
            policy: Some(policy),
            members: members
                .into_iter()
                .map(|member| (member.node, Arc::new(member)))
                .collect(),
            retired: [StoreId(6)].into(),
            ..Placement::default()
        };
        let config = ShardConfig {
            incarnation: Incarnation(1),
            epoch: Epoch(1),
            primary: placed(1),
            boot: BootId(1),
            in_sync: BTreeSet::from([placed(1)]),
            joining: BTreeSet::from([placed(2)]),
        };
        let of = |shard| observing(ShardId(shard), &config, &placement);
        assert_eq!(of(8), [member(placed(3))]);
        assert!(
            of(7).is_empty(),
            "other shards are held by their copies only"
        );
    }
}
