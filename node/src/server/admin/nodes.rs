//! The members of the region: what each holds by the shard map, and what it last said of itself.

use super::Admin;
use crate::server::gossip::facts::{Facts, roles};
use raft::placement::{Member, Placement, Replica, ShardConfig};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use wire::v1;

impl Admin {
    pub(super) fn nodes(&self, placement: &Placement) -> Vec<v1::NodeStatus> {
        let alive = self.alive(placement);
        let voters = self.regional.status().voters;
        let now_micros = self.clock.now().monotonic_micros();
        let node = |member: &Arc<Member>| {
            let heard = self.liveness.of(member.node);
            let at = heard.as_ref().and_then(|heard| heard.alive_at_micros);
            let at = if member.node == self.region.me() {
                Some(now_micros)
            } else {
                at
            };
            let age = at.map(|at| Duration::from_micros(now_micros.saturating_sub(at)));
            let known = Known {
                is_alive: alive.contains(&member.node),
                votes: voters.contains(&member.node),
                heard_for: age,
                facts: heard.map(|heard| heard.facts),
            };
            node(member, placement, &known)
        };
        let mut nodes: Vec<v1::NodeStatus> = placement.members.values().map(node).collect();
        nodes.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        nodes
    }
}

/// What is known of a node beside the shard map.
struct Known {
    is_alive: bool,
    votes: bool,
    /// How long ago it gave its last sign of life.
    heard_for: Option<Duration>,
    facts: Option<Arc<Facts>>,
}

/// What a node is doing, in a word.
fn state(member: &Member, placement: &Placement, known: &Known) -> &'static str {
    match (member.draining, known.is_alive) {
        (_, false) => "gone",
        (true, true) if placement.is_drained(member.node) => "drained",
        (true, true) => "draining",
        (false, true) => "serving",
    }
}

fn node(member: &Member, placement: &Placement, known: &Known) -> v1::NodeStatus {
    let leads = |config: &&Arc<ShardConfig>| config.primary.node == member.node;
    let names = |set: &BTreeSet<Replica>| set.iter().any(|replica| replica.node == member.node);
    let follows = |config: &&Arc<ShardConfig>| !leads(config) && names(&config.in_sync);
    let joins = |config: &&Arc<ShardConfig>| names(&config.joining);
    let shards = || placement.shards.values();
    let facts = known.facts.as_deref();
    let load = facts.map(|facts| facts.load.clone()).unwrap_or_default();
    v1::NodeStatus {
        name: member.name.clone(),
        id: member.node.to_string(),
        zone: member.zone.clone(),
        roles: roles(member).into_iter().map(str::to_owned).collect(),
        reachable: known.is_alive,
        primaries: shards().filter(leads).count() as u32,
        backups: shards().filter(follows).count() as u32,
        store_bytes: load.store_bytes,
        index_bytes: load.index_bytes,
        version: facts.map(|facts| facts.version.clone()).unwrap_or_default(),
        grpc_address: member.addresses.grpc.clone(),
        http_address: member.addresses.http.clone(),
        age_seconds: load.age.map(|age| age.as_secs_f64()),
        state: state(member, placement, known).to_owned(),
        votes: known.votes,
        joining: shards().filter(joins).count() as u32,
        heard_seconds: known.heard_for.map(|ago| ago.as_secs_f64()),
    }
}
