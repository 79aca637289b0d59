//! One shard's replicas, by the shard map, and how far each says it is.

use super::{
    name_of,
    positions::{At, Told},
};
use crate::server::region;
use proto::id::{NodeId, ShardId};
use raft::placement::{Placement, ShardConfig, state::Replica};
use std::collections::BTreeMap;
use wire::v1;

pub(super) fn status(
    shard: ShardId,
    config: &ShardConfig,
    placement: &Placement,
    positions: &BTreeMap<NodeId, Told>,
) -> v1::ShardStatus {
    let at = |node: NodeId| -> Option<&At> { positions.get(&node)?.replicas.get(&shard) };
    let replica = |replica: &Replica, in_sync: bool| {
        let role = match (*replica == config.primary, in_sync) {
            (true, _) => "primary",
            (false, true) => "backup",
            (false, false) => "joining",
        };
        v1::ReplicaStatus {
            node: name_of(replica.node, placement),
            role: role.into(),
            in_sync,
            position: at(replica.node).map(|at| at.end.0),
        }
    };
    let in_sync = config.in_sync.iter().map(|own| replica(own, true));
    let joining = config.joining.iter().map(|own| replica(own, false));
    let observers = region::observing(shard, config, placement);
    let observers = observers.into_iter().map(|own| v1::ReplicaStatus {
        node: name_of(own.node, placement),
        role: "observer".into(),
        in_sync: false,
        position: at(own.node).map(|at| at.end.0),
    });
    let mut replicas: Vec<v1::ReplicaStatus> = in_sync.chain(joining).chain(observers).collect();
    // The primary first; the others stay in the order of their nodes.
    replicas.sort_by_key(|replica| replica.role != "primary");
    v1::ShardStatus {
        shard: shard.0.into(),
        incarnation: config.incarnation.0,
        epoch: config.epoch.0,
        primary: name_of(config.primary.node, placement),
        replicas,
        committed: at(config.primary.node).map(|at| at.committed.0),
    }
}
