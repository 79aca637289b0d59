//! `AdminService`: the cluster as this node knows it, and what could still be lost, in words.

mod counts;
#[cfg(test)]
mod examples;
mod lag;
pub mod lags;
mod moves;
mod nodes;
mod operate;
mod orders;
pub mod positions;
mod quotas;
mod recover;
mod regions;
mod safety;
mod shards;
pub mod tokens;
mod warnings;

use super::{
    audits::Audits, clocks::Clocks, consensus::Consensus, definitions::Published,
    diagnosis::Diagnosis, global::Global, gossip::liveness::Liveness, region::RegionView,
    rosters::Rosters, shards::Board, trail::TrailFile,
};
use crate::components::Clock;
use counts::Counts;
use gateway::{
    access::{Caller, Note},
    cluster::Cluster,
    failure::Failure,
    grpc::to_status,
};
#[cfg(test)]
pub(super) use lag::Backlog;
pub(super) use lag::{Link, Told as LagTold};
use lags::Lags;
use positions::{Positions, Told};
use proto::{
    id::{NodeId, Revision, ShardId},
    reason::Reason,
};
use raft::{
    group::GroupStatus,
    placement::{Placement, ShardConfig},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::Store;
use tokens::Tokens;
use tonic::{Request, Response, Status};
use warnings::{GroupSeen, Seen};
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
    /// What is heard of the others.
    pub liveness: Liveness,
    /// The nodes of other regions.
    pub rosters: Rosters,
    /// How far other nodes' clocks are off.
    pub clocks: Clocks,
    /// How far replicas are.
    pub positions: Positions,
    /// Compares replicas of all regions.
    pub audits: Audits,
    /// How far they can be behind each region.
    pub lags: Lags,
    /// The cluster's tokens.
    pub tokens: Tokens,
    /// What this node's requests are answered under.
    pub published: Arc<Published>,
    /// What administrators did here.
    pub trail: Arc<TrailFile>,
    /// What is shown of the process.
    pub diagnosis: Diagnosis,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let answer = Cluster::status(self, request.into_inner()).await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn recover(
        &self,
        request: Request<v1::RecoverRequest>,
    ) -> Result<Response<v1::RecoverResponse>, Status> {
        let asked = request.get_ref();
        let way = match asked.accept_loss_of.as_str() {
            "" => "what would be done",
            _ => "with the loss accepted",
        };
        let what = format!("region {}, shards {:?}, {way}", asked.region, asked.shards);
        Note::beside(&request).write(what);
        let recovered = self.recover_shards(request.get_ref()).await?;
        Ok(Response::new(recovered))
    }

    async fn diagnose(
        &self,
        _: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        let node = name_of(self.region.me(), &self.region.placement());
        let files = self.diagnosis.files(&node);
        Ok(Response::new(v1::DiagnoseResponse { node, files }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::NodeOperation>, Status> {
        let asked = request.get_ref();
        let way = match asked.cancel {
            true => "not to be emptied any more",
            false => "to be emptied",
        };
        Note::beside(&request).write(format!(
            "node {} {way}{}",
            asked.node,
            only_said(asked.dry_run)
        ));
        Ok(Response::new(self.drain(request.into_inner()).await?))
    }

    async fn remove_node(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::NodeOperation>, Status> {
        let asked = request.get_ref();
        Note::beside(&request).write(format!("node {}{}", asked.node, only_said(asked.dry_run)));
        Ok(Response::new(self.remove(request.into_inner()).await?))
    }

    async fn shards(
        &self,
        request: Request<v1::ShardsRequest>,
    ) -> Result<Response<v1::ShardsResponse>, Status> {
        let answer = Cluster::shards(self, request.into_inner()).await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn list_regions(
        &self,
        _: Request<v1::ListRegionsRequest>,
    ) -> Result<Response<v1::ListRegionsResponse>, Status> {
        Ok(Response::new(self.all_regions()))
    }

    async fn audit(
        &self,
        _: Request<v1::AuditRequest>,
    ) -> Result<Response<v1::AuditResponse>, Status> {
        Ok(Response::new(self.audits.run().await))
    }

    async fn lag(
        &self,
        request: Request<v1::LagRequest>,
    ) -> Result<Response<v1::LagResponse>, Status> {
        let answer = Cluster::lag(self, request.into_inner()).await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let (caller, note) = (Caller::asking(&request), Note::beside(&request));
        let answer = self.tokens.create(&caller, &note, request.into_inner());
        answer.await.map(Response::new).map_err(to_status)
    }

    async fn set_quota(
        &self,
        request: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::SetQuotaResponse>, Status> {
        let (caller, note) = (Caller::asking(&request), Note::beside(&request));
        let set = quotas::set(&self.global, &caller, &note, request.into_inner()).await;
        let set = set.map_err(to_status)?;
        // Who set it sees it kept by the gateway that was asked.
        self.published.reaches(Revision(set.revision)).await;
        Ok(Response::new(set))
    }

    async fn list_quotas(
        &self,
        _: Request<v1::ListQuotasRequest>,
    ) -> Result<Response<v1::ListQuotasResponse>, Status> {
        let quotas = quotas::list(&self.global.catalog());
        Ok(Response::new(v1::ListQuotasResponse { quotas }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let (caller, note) = (Caller::asking(&request), Note::beside(&request));
        let id = request.into_inner().id;
        let answer = self.tokens.revoke(&caller, &note, &id).await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let tokens = self.tokens.list(&Caller::asking(&request));
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    async fn audit_log(
        &self,
        request: Request<v1::AuditLogRequest>,
    ) -> Result<Response<v1::AuditLogResponse>, Status> {
        let limit = request.into_inner().limit;
        let placement = self.region.placement();
        Ok(Response::new(v1::AuditLogResponse {
            node: name_of(self.region.me(), &placement),
            entries: self.trail.newest(limit),
        }))
    }
}

#[tonic::async_trait]
impl Cluster for Admin {
    async fn status(&self, _: v1::StatusRequest) -> Result<v1::StatusResponse, Failure> {
        let catalog = self.global.catalog();
        let placement = self.region.placement();
        let founding = catalog
            .founding()
            .ok_or_else(|| Failure::new(Reason::NotReady, "there is no cluster yet"))?;
        let alive = self.alive(&placement);
        let counts = Counts::of(&placement, &alive);
        Ok(v1::StatusResponse {
            safety: safety::safety(&placement, &alive),
            moves: self.moves(&placement).await,
            cluster_name: founding.name.clone(),
            cluster_id: founding.cluster.to_string(),
            region: self.region.name(),
            global_revision: catalog.revision().0,
            regional_revision: placement.revision.0,
            nodes: self.nodes(&placement),
            groups: self
                .groups()
                .into_iter()
                .map(|(name, status)| self.group(name, &status, &placement))
                .collect(),
            warnings: self.warnings(&placement),
            shards: counts.shards,
            shards_without_primary: counts.without_primary,
            shards_under_replicated: counts.under_replicated,
        })
    }

    async fn shards(&self, request: v1::ShardsRequest) -> Result<v1::ShardsResponse, Failure> {
        let wanted = request.shards;
        let placement = self.region.placement();
        let positions = self.told(&placement).await;
        let chosen = placement
            .shards
            .iter()
            .filter(|(shard, _)| wanted.is_empty() || wanted.contains(&u32::from(shard.0)));
        let status = |(shard, config): (&ShardId, &Arc<ShardConfig>)| {
            shards::status(*shard, config, &placement, &positions)
        };
        Ok(v1::ShardsResponse {
            revision: placement.revision.0,
            shards: chosen.map(status).collect(),
        })
    }

    async fn lag(&self, _: v1::LagRequest) -> Result<v1::LagResponse, Failure> {
        let (catalog, placement) = (self.global.catalog(), self.region.placement());
        let (told, waited) = self.lags.of(holders(&placement)).await;
        let seen = lag::Seen {
            registry: catalog.registry(),
            own: self.region.id(),
            placement: &placement,
            alive: &self.alive(&placement),
            told: &told,
            waited,
        };
        Ok(seen.lag())
    }

    fn gateways(&self) -> usize {
        let placement = self.region.placement();
        let alive = self.alive(&placement);
        let members = placement.members.values();
        let count = members.filter(|member| member.gateway && alive.contains(&member.node));
        count.count().max(1)
    }

    fn regions(&self) -> Result<v1::ListRegionsResponse, Failure> {
        Ok(self.all_regions())
    }
}

/// The nodes that hold rows.
fn holders(placement: &Placement) -> Vec<NodeId> {
    let members = placement.members.values();
    let holders = members.filter(|member| member.store.is_some());
    holders.map(|member| member.node).collect()
}

/// The trail keeps rehearsals too, and says that they were none.
const fn only_said(dry_run: bool) -> &'static str {
    match dry_run {
        true => ", only to be told the steps",
        false => "",
    }
}

impl Admin {
    /// What every node that holds rows says of itself.
    async fn told(&self, placement: &Placement) -> BTreeMap<NodeId, Told> {
        self.positions.of(holders(placement)).await
    }

    /// Nobody is asked while no copy is being made.
    async fn moves(&self, placement: &Placement) -> Vec<v1::Move> {
        let mut shards = placement.shards.values();
        if shards.all(|config| config.joining.is_empty()) {
            return Vec::new();
        }
        moves::moves(placement, &self.told(placement).await)
    }

    /// How many shards stand as they should.
    pub(super) fn counts(&self) -> Counts {
        let placement = self.region.placement();
        Counts::of(&placement, &self.alive(&placement))
    }

    /// The revisions of the groups, in the order of [`Self::groups`].
    pub(super) fn revisions(&self) -> [u64; 2] {
        let global = self.global.catalog().revision().0;
        [global, self.region.placement().revision.0]
    }

    /// The groups that this node knows, each by its name.
    pub(super) fn groups(&self) -> [(String, GroupStatus); 2] {
        let region = format!("region {}", self.region.name());
        [
            ("global".into(), self.global.group().status()),
            (region, self.regional.status()),
        ]
    }

    /// Members that give signs of life. This node does.
    fn alive(&self, placement: &Placement) -> BTreeSet<NodeId> {
        let is_alive = |node: &NodeId| *node == self.region.me() || self.liveness.is_alive(*node);
        placement.members.keys().copied().filter(is_alive).collect()
    }

    /// What a person should know.
    fn warnings(&self, placement: &Placement) -> Vec<String> {
        let [global, regional] = self.groups();
        let seen = |(name, status): (String, GroupStatus), stalls| GroupSeen {
            name,
            is_led: status.leader.is_some() && status.has_quorum,
            voters: status.voters.into_iter().collect(),
            stalls,
        };
        let standings = self.board.read();
        let unreadable = standings.values().filter(|own| !own.is_readable);
        warnings::warnings(&Seen {
            region: &self.region.name(),
            placement,
            groups: vec![
                seen(
                    global,
                    "definitions and regions cannot be changed; lookups and writes go on",
                ),
                seen(regional, "no primary is replaced and no copy is added"),
            ],
            alive: self.alive(placement),
            elsewhere: self.names_elsewhere(),
            unreadable: unreadable.count(),
            damaged: self.store.damaged_rows().len(),
        })
    }
}

/// A node as people call it; its id where it is no member of this region.
fn name_of(node: NodeId, placement: &Placement) -> String {
    let member = placement.members.get(&node);
    member.map_or_else(|| node.to_string(), |member| member.name.clone())
}
