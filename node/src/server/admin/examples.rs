//! Members, replicas and shards as the tests of administration need them.

use proto::id::{BootId, Epoch, Incarnation, NodeId, RegionId, ShardId, StoreId};
use raft::placement::{
    Member, Placement, Replica, ShardConfig,
    state::{Addresses, Policy},
};
use std::{collections::BTreeSet, sync::Arc};

/// A node that does everything, in a zone of its own, in the boot of its number.
pub fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        name: format!("eu-{node}"),
        boot: BootId(node),
        store: Some(StoreId(node)),
        zone: format!("z{node}"),
        voter: true,
        gateway: true,
        addresses: Addresses::default(),
        draining: false,
        fewer_copies: false,
    }
}

/// What it holds on its disk.
pub fn replica(node: u64) -> Replica {
    Replica {
        node: NodeId(node),
        store: StoreId(node),
        boot: None,
    }
}

/// A shard that these nodes hold, the first one as its primary.
pub fn shard_of(holders: &[u64]) -> ShardConfig {
    ShardConfig {
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        primary: replica(holders[0]),
        boot: BootId(holders[0]),
        in_sync: holders.iter().map(|node| replica(*node)).collect(),
        joining: BTreeSet::new(),
    }
}

/// A region of so many nodes that wants two copies of each shard; for each shard who holds it.
pub fn region(members: u64, shards: &[&[u64]]) -> Placement {
    let policy = Policy {
        region: RegionId(1),
        group: 1,
        shards: u16::try_from(shards.len()).unwrap(),
        copies: 2,
        min_in_sync: 1,
        named_by_boot: false,
    };
    let held = shards.iter().map(|holders| Arc::new(shard_of(holders)));
    Placement {
        policy: Some(policy),
        members: (1..=members)
            .map(|node| (NodeId(node), Arc::new(member(node))))
            .collect(),
        shards: (0..).map(ShardId).zip(held).collect(),
        ..Placement::default()
    }
}
