//! What a regional group agrees on.

use proto::id::{BootId, Epoch, Incarnation, NodeId, RegionId, Revision, ShardId, StoreId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// The state of a regional group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Rises by one with each change.
    pub revision: Revision,
    /// What the region follows; nothing exists before.
    pub policy: Option<Policy>,
    /// The region's nodes, gateways that vote included.
    pub members: BTreeMap<NodeId, Arc<Member>>,
    /// Stores that must never count again: wiped, or given up with their data.
    pub retired: BTreeSet<StoreId>,
    /// The shard map.
    pub shards: BTreeMap<ShardId, Arc<ShardConfig>>,
}

/// What the region follows, from the cluster's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The region.
    pub region: RegionId,
    /// The number of the group: a rebuilt group has a higher one, and its shards new incarnations.
    pub group: u32,
    /// Shards of the cluster, the reference shards included.
    pub shards: u16,
    /// Replicas of a shard.
    pub copies: u8,
    /// Replicas below which no in-sync set shrinks.
    pub min_in_sync: u8,
    /// Whether being durable means memory in two zones: then members count for one boot only.
    pub named_by_boot: bool,
}

/// One node of the region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its name in the settings, for people.
    pub name: String,
    /// The run of its process that registered last.
    pub boot: BootId,
    /// Its store, when it holds rows.
    pub store: Option<StoreId>,
    /// Its failure domain.
    pub zone: String,
    /// Whether it may vote.
    pub voter: bool,
    /// Whether it is a gateway.
    pub gateway: bool,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Whether it is to be emptied. Set by an operator, kept when it registers again.
    pub draining: bool,
    /// Whether its copies may go although the other nodes cannot hold as many as there should be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fewer_copies: bool,
}

/// Where a node is reached: `host:port`, empty where it does not listen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// For SDKs and gateways.
    pub grpc: String,
    /// For people and Feast.
    pub http: String,
    /// For nodes of the region and for metadata.
    pub peer: String,
    /// For other regions.
    pub link: String,
    /// For gossip.
    pub gossip: String,
}

/// One copy of a shard: a node *and* its store, so that a wiped disk is not the copy it was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// The node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// The run of its process, where a copy in memory is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootId>,
}

/// The configuration of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardConfig {
    /// The life of its streams; a higher one begins only when acknowledged entries may be gone.
    pub incarnation: Incarnation,
    /// Rises with each change of primary, its boot, or the in-sync set.
    pub epoch: Epoch,
    /// Who stamps, orders and acknowledges.
    pub primary: Replica,
    /// The one run of the primary's process that this epoch belongs to (I8).
    pub boot: BootId,
    /// Who must hold a write before it is acknowledged; the primary included.
    pub in_sync: BTreeSet<Replica>,
    /// Who is being brought up to it, by the controller's wish.
    pub joining: BTreeSet<Replica>,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.store)?;
        self.boot.map_or(Ok(()), |boot| write!(f, "/{boot}"))
    }
}

impl Placement {
    /// The replica that a node's present store would be; none for gateways and mere voters.
    #[must_use]
    pub fn replica_of(&self, node: NodeId) -> Option<Replica> {
        let member = self.members.get(&node)?;
        let by_boot = self.policy.is_some_and(|policy| policy.named_by_boot);
        Some(Replica {
            node,
            store: member.store?,
            boot: by_boot.then_some(member.boot),
        })
    }

    /// Whether a replica is what its node has now: same store, and same run where that counts.
    #[must_use]
    pub fn is_present(&self, replica: Replica) -> bool {
        self.replica_of(replica.node) == Some(replica) && !self.retired.contains(&replica.store)
    }

    /// The shards whose configuration names a node.
    pub fn shards_of(&self, node: NodeId) -> impl Iterator<Item = ShardId> + '_ {
        let names = move |config: &ShardConfig| {
            config
                .in_sync
                .iter()
                .chain(&config.joining)
                .any(|replica| replica.node == node)
        };
        self.shards
            .iter()
            .filter(move |(_, config)| names(config))
            .map(|(shard, _)| *shard)
    }

    /// Whether a node is to be emptied and is empty: its process may be stopped.
    #[must_use]
    pub fn is_drained(&self, node: NodeId) -> bool {
        let member = self.members.get(&node);
        member.is_some_and(|member| member.draining) && self.shards_of(node).next().is_none()
    }

    /// The shards that a node can hand to others before it stops: those that another member holds in
    /// sync, and whose set can do without it or is led by it.
    pub fn to_hand_over(&self, node: NodeId) -> impl Iterator<Item = ShardId> + '_ {
        let minimum = self.policy.map_or(1, |policy| policy.min_in_sync.max(1));
        let rests = move |config: &ShardConfig| {
            let is_member = config.in_sync.iter().any(|member| member.node == node);
            let leads = config.primary.node == node && config.in_sync.len() > 1;
            is_member && (leads || config.in_sync.len() > usize::from(minimum))
        };
        let resting = self.shards.iter().filter(move |(_, config)| rests(config));
        resting.map(|(shard, _)| *shard)
    }
}
