//! `AdminService`: the cluster as this node knows it, and what could still be lost, in words.

use super::{consensus::Consensus, global::Global, region::RegionView, shards::Board};
use proto::id::{NodeId, ShardId};
use raft::{
    group::GroupStatus,
    placement::{Member, Placement, ShardConfig},
};
use std::{collections::BTreeMap, sync::Arc};
use store::Store;
use tonic::{Request, Response, Status};
use wire::v1::{self, admin_service_server::AdminService};

/// Answers questions about the cluster.
pub struct Admin {
    /// The registry.
    pub global: Arc<Global>,
    /// The regional group.
    pub regional: Consensus<Placement>,
    /// The shard map.
    pub region: RegionView,
    /// How the node's own shards stand.
    pub board: Board,
    /// The node's own store.
    pub store: Arc<Store>,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let catalog = self.global.catalog();
        let placement = self.region.placement();
        let founding = catalog
            .founding()
            .ok_or_else(|| Status::unavailable("there is no cluster yet"))?;
        let copies = placement
            .policy
            .map_or(1, |policy| usize::from(policy.copies));
        let shards = placement
            .policy
            .map_or(0, |policy| u32::from(policy.shards));
        let short = placement
            .shards
            .values()
            .filter(|config| config.in_sync.len() < copies)
            .count();
        let placed = placement.shards.len();
        Ok(Response::new(v1::StatusResponse {
            cluster_name: founding.name.clone(),
            cluster_id: founding.cluster.to_string(),
            region: self.region.name(),
            global_revision: catalog.revision().0,
            regional_revision: placement.revision.0,
            nodes: placement
                .members
                .values()
                .map(|member| self.node(member, &placement))
                .collect(),
            groups: self.groups(&placement),
            warnings: self.warnings(&placement),
            shards,
            shards_without_primary: shards.saturating_sub(placed as u32),
            shards_under_replicated: short as u32,
        }))
    }

    async fn shards(
        &self,
        request: Request<v1::ShardsRequest>,
    ) -> Result<Response<v1::ShardsResponse>, Status> {
        let wanted = request.into_inner().shards;
        let placement = self.region.placement();
        let chosen = placement
            .shards
            .iter()
            .filter(|(shard, _)| wanted.is_empty() || wanted.contains(&u32::from(shard.0)));
        Ok(Response::new(v1::ShardsResponse {
            revision: placement.revision.0,
            shards: chosen
                .map(|(shard, config)| self.shard(*shard, config, &placement))
                .collect(),
        }))
    }
}

impl Admin {
    fn node(&self, member: &Member, placement: &Placement) -> v1::NodeStatus {
        let leads = |config: &&Arc<ShardConfig>| config.primary.node == member.node;
        let holds = |config: &&Arc<ShardConfig>| {
            config
                .in_sync
                .iter()
                .any(|replica| replica.node == member.node)
        };
        let primaries = placement.shards.values().filter(leads).count();
        let held = placement.shards.values().filter(holds).count();
        let is_me = member.node == self.region.me();
        let roles = [
            (member.store.is_some(), "node"),
            (member.gateway, "gateway"),
            (member.voter, "voter"),
        ];
        v1::NodeStatus {
            name: member.name.clone(),
            id: member.node.to_string(),
            zone: member.zone.clone(),
            roles: roles
                .iter()
                .filter(|(has, _)| *has)
                .map(|(_, role)| (*role).to_owned())
                .collect(),
            reachable: is_me,
            primaries: primaries as u32,
            backups: (held - primaries) as u32,
            store_bytes: if is_me {
                self.store.used_and_live_bytes().0
            } else {
                0
            },
            index_bytes: if is_me { self.store.index_bytes() } else { 0 },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            grpc_address: member.addresses.grpc.clone(),
            http_address: member.addresses.http.clone(),
        }
    }

    fn groups(&self, placement: &Placement) -> Vec<v1::GroupStatus> {
        let names: BTreeMap<NodeId, String> = placement
            .members
            .values()
            .map(|member| (member.node, member.name.clone()))
            .collect();
        let name = |node: &NodeId| names.get(node).cloned().unwrap_or_else(|| node.to_string());
        let group = |label: String, status: GroupStatus| v1::GroupStatus {
            group: label,
            leader: status.leader.as_ref().map(name).unwrap_or_default(),
            voters: status.voters.iter().map(name).collect(),
            term: status.term,
            committed: status.applied_index,
        };
        vec![
            group("global".into(), self.global.group().status()),
            group(
                format!("region {}", self.region.name()),
                self.regional.status(),
            ),
        ]
    }

    /// What a person should know.
    fn warnings(&self, placement: &Placement) -> Vec<String> {
        let mut warnings = Vec::new();
        let voters = self.regional.status().voters.len();
        if voters < 3 {
            warnings.push(format!(
                "{voters} of 3 voters: no node of them may fail, or metadata cannot change"
            ));
        }
        let alone = placement
            .shards
            .values()
            .filter(|config| config.in_sync.len() == 1)
            .count();
        if alone > 0 {
            warnings.push(format!("{alone} shards have one copy in sync: what is on its disk alone can be lost with it"));
        }
        let unreadable = self
            .board
            .read()
            .values()
            .filter(|standing| !standing.is_readable)
            .count();
        if unreadable > 0 {
            warnings.push(format!(
                "{unreadable} shards cannot be read on this node now"
            ));
        }
        let damaged = self.store.damaged_rows().len();
        if damaged > 0 {
            warnings.push(format!(
                "{damaged} rows on this node are damaged on disk and wait for repair from a replica"
            ));
        }
        warnings
    }

    fn shard(
        &self,
        shard: ShardId,
        config: &ShardConfig,
        placement: &Placement,
    ) -> v1::ShardStatus {
        let name = |node: NodeId| {
            let member = placement.members.get(&node);
            member.map_or_else(|| node.to_string(), |member| member.name.clone())
        };
        let committed = self.store.applied(shard).0;
        let replica = |replica: &raft::placement::Replica, in_sync: bool| {
            let is_primary = *replica == config.primary;
            let role = match (is_primary, in_sync) {
                (true, _) => "primary",
                (false, true) => "backup",
                (false, false) => "joining",
            };
            let is_me = replica.node == self.region.me();
            let position = if is_me { committed } else { 0 };
            v1::ReplicaStatus {
                node: name(replica.node),
                role: role.into(),
                in_sync,
                position,
            }
        };
        let members = config.in_sync.iter().map(|own| replica(own, true));
        v1::ShardStatus {
            shard: shard.0.into(),
            incarnation: config.incarnation.0,
            epoch: config.epoch.0,
            primary: name(config.primary.node),
            replicas: members
                .chain(config.joining.iter().map(|own| replica(own, false)))
                .collect(),
            committed,
        }
    }
}
