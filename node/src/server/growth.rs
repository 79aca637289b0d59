//! Growth of the global group: on its leader, voters are chosen from the nodes that may vote, spread
//! over regions. The region's own group grows by its controller.

use super::{
    consensus::Consensus, gossip::liveness::Liveness, methods::Call, regional::change_voters,
    states::StateRequest,
};
use crate::peer::{Class, Mesh};
use futures::future::join_all;
use proto::id::{NodeId, Revision};
use raft::{
    group::Peer,
    placement::{
        Placement,
        voters::{Candidate, choose, has_successor},
    },
    registry::Registry,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often the leader looks whether the voters are those there should be.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);
/// A node of another region that does not answer for this long is not reachable now.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// A voter that is silent for this long may be replaced.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
/// The same where another node stands in for it: two probes went unanswered.
const SUCCEEDED_AFTER: Duration = Duration::from_secs(3);

/// See the module.
pub struct Growth {
    /// The group.
    pub global: Consensus<Registry>,
    /// The nodes of this region.
    pub regional: Consensus<Placement>,
    /// The way to them.
    pub mesh: Arc<Mesh>,
    /// The name of this region: where its nodes vote from.
    pub region: String,
    /// What was heard of them.
    pub liveness: Liveness,
}

impl Growth {
    /// Looks for as long as the node runs.
    pub async fn keep(self) {
        let mut heard: BTreeMap<NodeId, Instant> = BTreeMap::new();
        let mut leading_since = None;
        loop {
            sleep(LOOK_EVERY).await;
            let status = self.global.status();
            if !status.leads {
                leading_since = None;
                continue;
            }
            let since = *leading_since.get_or_insert_with(Instant::now);
            let candidates = self.candidates();
            let reached = self.reach(&candidates).await;
            let now = Instant::now();
            heard.extend(reached.iter().map(|node| (*node, now)));
            let placement = self.regional.newest();
            let given_up = |node: &&NodeId| {
                let last = heard.get(node).copied().unwrap_or(since).max(since);
                let is_succeeded =
                    || has_successor(&placement, **node, |other| reached.contains(&other));
                now - last >= GIVEN_UP_AFTER || (now - last >= SUCCEEDED_AFTER && is_succeeded())
            };
            let silent = status.voters.iter().filter(given_up).copied().collect();
            self.grow(&candidates, &reached, &status.voters, &silent)
                .await;
        }
    }

    /// Who may vote: the nodes of this region that have the role, and who votes from other regions.
    fn candidates(&self) -> BTreeMap<NodeId, Peer> {
        let placement = self.regional.newest();
        let able = placement
            .members
            .values()
            .filter(|member| member.voter && !member.draining);
        let own = able.map(|member| {
            let address = member.addresses.peer.clone();
            let place = self.region.clone();
            (member.node, Peer { address, place })
        });
        let voters = self.global.voters().into_iter();
        let elsewhere = voters.filter(|(node, peer)| {
            peer.place != self.region && !placement.members.contains_key(node)
        });
        own.chain(elsewhere).collect()
    }

    /// Those that can be reached now: nodes of this region by what is heard of them, others by asking.
    async fn reach(&self, candidates: &BTreeMap<NodeId, Peer>) -> BTreeSet<NodeId> {
        let me = self.mesh.me().node;
        let probes = candidates.iter().map(|(node, peer)| async move {
            match peer.place == self.region {
                true => *node == me || self.liveness.is_alive(*node),
                false => self.answers(*node, peer).await,
            }
        });
        let answers = join_all(probes).await;
        let nodes = candidates.keys().zip(answers);
        nodes
            .filter(|(_, answers)| *answers)
            .map(|(node, _)| *node)
            .collect()
    }

    async fn answers(&self, node: NodeId, peer: &Peer) -> bool {
        let question = StateRequest {
            group: self.global.id(),
            known: Revision(u64::MAX),
            held_for: Duration::ZERO,
        };
        self.mesh.hear(node, &peer.address);
        let call = Call::State as u8;
        let asked = self
            .mesh
            .call(node, Class::Metadata, call, question.encode(), PROBE_WITHIN);
        asked.await.is_ok()
    }

    async fn grow(
        &self,
        candidates: &BTreeMap<NodeId, Peer>,
        reached: &BTreeSet<NodeId>,
        present: &BTreeSet<NodeId>,
        silent: &BTreeSet<NodeId>,
    ) {
        let candidate = |(node, peer): (&NodeId, &Peer)| Candidate {
            node: *node,
            place: peer.place.clone(),
            reachable: reached.contains(node),
        };
        let able: Vec<_> = candidates.iter().map(candidate).collect();
        // Those that were removed vote no more, whether or not another can take their place.
        let placement = self.regional.newest();
        let voters = self.global.voters();
        let is_removed = |node: &&NodeId| {
            let is_ours = voters
                .get(*node)
                .is_some_and(|peer| peer.place == self.region);
            is_ours && !placement.members.contains_key(*node)
        };
        let removed: BTreeSet<NodeId> = present.iter().filter(is_removed).copied().collect();
        let staying: BTreeSet<NodeId> = present.difference(&removed).copied().collect();
        if staying.is_empty() {
            // The first node of the cluster has not registered yet.
            return;
        }
        let wanted = choose(&able, &staying, silent);
        if wanted == *present {
            return;
        }
        let known = self.global.voters();
        let peer = |node: &NodeId| Some((*node, candidates.get(node).or(known.get(node))?.clone()));
        change_voters(&self.global, wanted.iter().filter_map(peer).collect()).await;
    }
}
