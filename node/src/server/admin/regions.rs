//! The regions of the cluster as this node knows them: by the registry, by its own placement, and by what
//! nodes of the others say who is in them.

use super::{Admin, name_of};
use proto::id::NodeId;
use raft::{
    group::GroupStatus,
    placement::{Member, Placement},
    registry::region::Region,
};
use std::collections::BTreeMap;
use wire::v1;

impl Admin {
    pub(super) fn all_regions(&self) -> v1::ListRegionsResponse {
        let catalog = self.global.catalog();
        let regions = catalog.registry().regions.values();
        v1::ListRegionsResponse {
            revision: catalog.revision().0,
            region: self.region.name(),
            regions: regions.map(|region| self.region_status(region)).collect(),
        }
    }

    fn region_status(&self, region: &Region) -> v1::RegionStatus {
        let settings = &region.settings;
        let mut status = v1::RegionStatus {
            name: settings.name.to_string(),
            state: format!("{:?}", region.state).to_lowercase(),
            copies: settings.copies.into(),
            min_in_sync: settings.min_in_sync.into(),
            ..Default::default()
        };
        let Some(roster) = self.rosters.of(region.id) else {
            return status;
        };
        let votes = self.global.group().status().voters;
        let members = || roster.members.values();
        let mut voters: Vec<String> = members()
            .filter(|member| votes.contains(&member.node))
            .map(|member| member.name.clone())
            .collect();
        voters.sort();
        let is_own = region.id == self.region.id();
        let gateways = members().filter(|member| member.gateway);
        let gateways = gateways.map(|member| self.gateway(member, is_own));
        let mut gateways: Vec<v1::GatewayAddress> = gateways.collect();
        gateways.sort_by(|one, other| one.node.cmp(&other.node));
        status.nodes = roster.members.len() as u32;
        status.shards = roster.shards.into();
        status.placed = roster.placed.into();
        status.voters = voters;
        status.gateways = gateways;
        status
    }

    fn gateway(&self, member: &Member, is_own: bool) -> v1::GatewayAddress {
        let node = member.node;
        let is_alive = || node == self.region.me() || self.liveness.is_alive(node);
        v1::GatewayAddress {
            node: member.name.clone(),
            zone: member.zone.clone(),
            grpc_address: member.addresses.grpc.clone(),
            http_address: member.addresses.http.clone(),
            reachable: is_own.then(is_alive),
        }
    }

    /// The names of nodes of other regions, each with its region's.
    pub(super) fn names_elsewhere(&self) -> BTreeMap<NodeId, String> {
        let rosters = self.rosters.others();
        let nodes = rosters.iter().flat_map(|roster| roster.members.values());
        nodes
            .filter_map(|member| Some((member.node, self.name_elsewhere(member.node)?)))
            .collect()
    }

    fn name_elsewhere(&self, node: NodeId) -> Option<String> {
        let (region, member) = self.rosters.elsewhere(node)?;
        let catalog = self.global.catalog();
        let region = catalog.registry().regions.get(&region)?;
        Some(format!("{}/{}", region.settings.name, member.name))
    }

    pub(super) fn group(
        &self,
        name: String,
        status: &GroupStatus,
        placement: &Placement,
    ) -> v1::GroupStatus {
        let name_of = |node: NodeId| {
            let elsewhere = self.name_elsewhere(node);
            elsewhere.unwrap_or_else(|| name_of(node, placement))
        };
        let leader = status.leader.filter(|_| status.has_quorum);
        let mut voters: Vec<String> = status.voters.iter().map(|node| name_of(*node)).collect();
        voters.sort();
        v1::GroupStatus {
            group: name,
            leader: leader.map(name_of).unwrap_or_default(),
            voters,
            term: status.term,
            committed: status.applied_index,
        }
    }
}
