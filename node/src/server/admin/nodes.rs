//! The members of the region: what each holds by the shard map, and what it last said of itself.

use super::Admin;
use crate::server::gossip::facts::{Facts, roles};
use raft::placement::{Member, Placement, ShardConfig};
use std::sync::Arc;
use wire::v1;

impl Admin {
    pub(super) fn nodes(&self, placement: &Placement) -> Vec<v1::NodeStatus> {
        let alive = self.alive(placement);
        let node = |member: &Arc<Member>| {
            let heard = self.liveness.of(member.node);
            let facts = heard.map(|heard| heard.facts);
            node(
                member,
                placement,
                alive.contains(&member.node),
                facts.as_deref(),
            )
        };
        let mut nodes: Vec<v1::NodeStatus> = placement.members.values().map(node).collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        nodes
    }
}

fn node(
    member: &Member,
    placement: &Placement,
    reachable: bool,
    facts: Option<&Facts>,
) -> v1::NodeStatus {
    let leads = |config: &&Arc<ShardConfig>| config.primary.node == member.node;
    let follows = |config: &&Arc<ShardConfig>| {
        let mut in_sync = config.in_sync.iter();
        !leads(config) && in_sync.any(|replica| replica.node == member.node)
    };
    let shards = || placement.shards.values();
    let load = facts.map(|facts| facts.load.clone()).unwrap_or_default();
    v1::NodeStatus {
        name: member.name.clone(),
        id: member.node.to_string(),
        zone: member.zone.clone(),
        roles: roles(member).into_iter().map(str::to_owned).collect(),
        reachable,
        primaries: shards().filter(leads).count() as u32,
        backups: shards().filter(follows).count() as u32,
        store_bytes: load.store_bytes,
        index_bytes: load.index_bytes,
        version: facts.map(|facts| facts.version.clone()).unwrap_or_default(),
        grpc_address: member.addresses.grpc.clone(),
        http_address: member.addresses.http.clone(),
        age_seconds: load.age.map(|age| age.as_secs_f64()),
    }
}
