//! Nodes of other regions that may vote in the global group, and whether they answer.

use super::Growth;
use crate::{
    peer::Class,
    server::{methods::Call, states::StateRequest},
};
use proto::id::{NodeId, Revision};
use raft::{group::Peer, placement::Member, registry::region::Region};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Of each other region, no more nodes than these are asked in one look.
const ASKED_PER_REGION: usize = 5;
/// A node of another region that does not answer for this long is not reachable now.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

impl Growth {
    /// Who may vote of other regions: who votes already, then those that were reached. Of a region that is
    /// gone nobody does.
    pub(super) fn candidates_elsewhere(&self, silent: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Peer> {
        let registry = self.global.newest();
        let mut voters = self.global.voters();
        voters.retain(|_, peer| peer.place != self.region);
        let regions = registry.regions.values();
        let others = regions.filter(|region| region.settings.name.as_str() != self.region);
        let of = |region: &Arc<Region>| self.candidates_of(region, &voters, silent);
        others.flat_map(of).collect()
    }

    fn candidates_of(
        &self,
        region: &Region,
        voters: &BTreeMap<NodeId, Peer>,
        silent: &BTreeSet<NodeId>,
    ) -> Vec<(NodeId, Peer)> {
        let place = region.settings.name.to_string();
        if region.state.is_out() {
            return Vec::new();
        }
        let Some(roster) = self.rosters.of(region.id) else {
            // They are where they were.
            let known = voters.iter().filter(|(_, peer)| peer.place == place);
            return known.map(|(node, peer)| (*node, peer.clone())).collect();
        };
        // A roster may be older than a vote.
        let unlisted = voters
            .iter()
            .filter(|(node, peer)| peer.place == place && !roster.members.contains_key(node));
        let unlisted = unlisted.map(|(node, peer)| (*node, peer.clone()));
        let mut listed: Vec<&Arc<Member>> = roster.voters().collect();
        listed.sort_by_key(|member| {
            let node = member.node;
            (!voters.contains_key(&node), silent.contains(&node), node)
        });
        let peer = |member: &Arc<Member>| {
            let address = member.addresses.peer.clone();
            let place = place.clone();
            (member.node, Peer { address, place })
        };
        let listed = listed.into_iter().take(ASKED_PER_REGION).map(peer);
        listed.chain(unlisted).collect()
    }

    /// Whether a voter of another region is no node of it any more, or the region is gone.
    pub(super) fn is_removed_elsewhere(
        &self,
        (node, peer): (NodeId, &Peer),
        silent: &BTreeSet<NodeId>,
    ) -> bool {
        let registry = self.global.newest();
        let Some(region) = registry.region(&peer.place) else {
            return false;
        };
        let roster = self.rosters.of(region.id);
        let is_unlisted = roster.is_some_and(|roster| !roster.members.contains_key(&node));
        region.state.is_out() || (is_unlisted && silent.contains(&node))
    }

    /// Whether a node of another region answers.
    pub(super) async fn answers(&self, node: NodeId, peer: &Peer) -> bool {
        let question = StateRequest {
            group: self.global.id(),
            known: Revision(u64::MAX),
            held_for: Duration::ZERO,
        };
        self.mesh.hear(node, &peer.address);
        let call = Call::State as u8;
        let question = question.encode();
        let asked = self
            .mesh
            .call(node, Class::Metadata, call, question, PROBE_WITHIN);
        asked.await.is_ok()
    }
}
