//! Growth of the global group: on its leader, voters are chosen from the nodes that may vote, spread
//! over regions. The region's own group grows by its controller.
//!
//! Nodes of this region are those of its placement, heard by gossip; those of other regions are in their
//! rosters, and some of each are asked whether they answer.

mod elsewhere;

use super::{
    consensus::Consensus, gossip::liveness::Liveness, regional::change_voters, rosters::Rosters,
};
use crate::peer::Mesh;
use futures::future::join_all;
use proto::id::NodeId;
use raft::{
    group::Peer,
    placement::{
        Placement,
        voters::{Candidate, Spread, choose, has_successor},
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
    /// The nodes of other regions.
    pub rosters: Rosters,
}

/// What the leader has seen since it leads.
struct Seen {
    since: Instant,
    /// When each candidate was last reached.
    heard: BTreeMap<NodeId, Instant>,
    /// Candidates that were not reached in the last look.
    silent: BTreeSet<NodeId>,
}

impl Growth {
    /// Looks for as long as the node runs.
    pub async fn keep(self) {
        let mut seen: Option<Seen> = None;
        loop {
            sleep(LOOK_EVERY).await;
            let status = self.global.status();
            if !status.leads {
                seen = None;
                continue;
            }
            let seen = seen.get_or_insert_with(|| Seen {
                since: Instant::now(),
                heard: BTreeMap::new(),
                silent: BTreeSet::new(),
            });
            let candidates = self.candidates(&seen.silent);
            let reached = self.reach(&candidates).await;
            let now = Instant::now();
            // Those that are no candidates any more are forgotten.
            let is_watched =
                |node: &NodeId| candidates.contains_key(node) || status.voters.contains(node);
            seen.heard.retain(|node, _| is_watched(node));
            seen.heard.extend(reached.iter().map(|node| (*node, now)));
            let unheard = candidates.keys().filter(|node| !reached.contains(node));
            seen.silent = unheard.copied().collect();
            let given_up = |node: &&NodeId| {
                let last = seen.heard.get(node).copied().unwrap_or(seen.since);
                let silent_for = now - last.max(seen.since);
                silent_for >= GIVEN_UP_AFTER
                    || (silent_for >= SUCCEEDED_AFTER && self.is_succeeded(**node, &reached))
            };
            let silent = status.voters.iter().filter(given_up).copied().collect();
            self.grow(&candidates, &reached, &status.voters, &silent)
                .await;
        }
    }

    /// Who may vote: the nodes of this region that have the role, some of each other region, and who votes
    /// from regions of which nothing is known.
    fn candidates(&self, silent: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Peer> {
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
        own.chain(self.candidates_elsewhere(silent)).collect()
    }

    /// Whether another node stands in for one, under its name.
    fn is_succeeded(&self, node: NodeId, reached: &BTreeSet<NodeId>) -> bool {
        let answers = |other| reached.contains(&other);
        let placement = self.regional.newest();
        let elsewhere = self.rosters.others();
        let elsewhere = elsewhere.iter().map(|roster| &roster.members);
        let mut regions = elsewhere.chain([&placement.members]);
        regions.any(|members| has_successor(members, node, answers))
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
        let is_removed = |node: &&NodeId| match voters.get(*node) {
            Some(peer) if peer.place == self.region => !placement.members.contains_key(*node),
            Some(peer) => self.is_removed_elsewhere((**node, peer), silent),
            None => false,
        };
        let removed: BTreeSet<NodeId> = present.iter().filter(is_removed).copied().collect();
        let staying: BTreeSet<NodeId> = present.difference(&removed).copied().collect();
        if staying.is_empty() {
            // The first node of the cluster has not registered yet.
            return;
        }
        let wanted = choose(&able, &staying, silent, Spread::Regions);
        if wanted == *present {
            return;
        }
        let known = self.global.voters();
        let peer = |node: &NodeId| Some((*node, candidates.get(node).or(known.get(node))?.clone()));
        change_voters(&self.global, wanted.iter().filter_map(peer).collect()).await;
    }
}
