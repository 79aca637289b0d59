//! Whether the replicas that must hold a write have room for it. Pure; what is known of the others is hearsay, at
//! most seconds old: what comes in the meantime goes into the room that each store keeps back.

use proto::{
    id::NodeId,
    reason::{Reason, Refusal},
};
use replication::Configuration;
use std::collections::BTreeSet;

/// What is known of other nodes' disks.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The nodes whose disks are nearly full.
    pub(super) nearly_full: BTreeSet<NodeId>,
}

impl Room {
    /// Refuses where one of the others in sync is nearly full: each of them must hold what is acknowledged. Who
    /// observes or joins holds nobody up.
    pub(super) fn check(&self, me: NodeId, configuration: &Configuration) -> Result<(), Refusal> {
        let is_full = |node: &NodeId| *node != me && self.nearly_full.contains(node);
        let mut in_sync = configuration.in_sync.iter().map(|member| member.node);
        match in_sync.find(is_full) {
            Some(node) => Err(Refusal::new(
                Reason::NearlyFull,
                format!(
                    "the disk of node {node}, which holds a copy, is nearly full; add space or nodes"
                ),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{BootId, Epoch, Incarnation, Revision, StoreId};
    use replication::{Fence, Member, Primary};

    fn members(nodes: &[u64]) -> Vec<Member> {
        let member = |node: &u64| Member {
            node: NodeId(*node),
            store: StoreId(*node),
            boot: None,
        };
        nodes.iter().map(member).collect()
    }

    /// Whether node 1 takes writes while `nodes` are nearly full; 2 is in sync with it, 3 joins and 4 observes.
    fn takes(nodes: &[u64]) -> bool {
        let room = Room {
            nearly_full: nodes.iter().copied().map(NodeId).collect(),
        };
        let configuration = Configuration {
            fence: Fence {
                incarnation: Incarnation(1),
                epoch: Epoch(1),
            },
            revision: Revision(1),
            primary: Primary {
                node: NodeId(1),
                boot: BootId(1),
            },
            in_sync: members(&[1, 2]),
            min_in_sync: 1,
            copies: 2,
            joining: members(&[3]),
            observing: members(&[4]),
        };
        let checked = room.check(NodeId(1), &configuration);
        assert!(
            checked
                .as_ref()
                .map_or_else(|refusal| refusal.reason == Reason::NearlyFull, |()| true)
        );
        checked.is_ok()
    }

    #[test]
    fn only_the_disks_of_those_in_sync_stop_writes() {
        assert!(takes(&[]));
        assert!(!takes(&[2]));
        assert!(takes(&[3, 4, 5]), "nobody waits for them");
        assert!(takes(&[1]), "the own store is asked itself");
    }
}
