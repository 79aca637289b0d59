//! The regional group, as the data path sees it: one configuration, changed by compare-and-set.

use proto::id::{BootId, Epoch, Incarnation, Revision};
use replication::{Configuration, Fence, Member, Primary, Proposal};

pub struct Service {
    pub current: Configuration,
}

impl Service {
    /// The first configuration: one replica, the others joining.
    pub fn found(members: &[Member], boot: BootId, min_in_sync: usize) -> Self {
        let current = Configuration {
            fence: Fence {
                incarnation: Incarnation(1),
                epoch: Epoch(1),
            },
            revision: Revision(1),
            primary: Primary {
                node: members[0].node,
                boot,
            },
            in_sync: vec![members[0]],
            min_in_sync,
            copies: members.len(),
            joining: members[1..].to_vec(),
            observing: Vec::new(),
        };
        Self { current }
    }

    /// Compares and sets. `placed` are the disks that stand now.
    pub fn take(&mut self, proposal: Proposal, placed: &[Member]) -> bool {
        if proposal.expected != self.current.fence {
            return false;
        }
        self.current.fence.epoch.0 += 1;
        self.current.primary = proposal.primary;
        self.current.in_sync = proposal.in_sync;
        self.place(placed);
        true
    }

    /// Replicas that stand and are not in sync are to join.
    pub fn place(&mut self, placed: &[Member]) {
        self.current.revision.0 += 1;
        let in_sync = &self.current.in_sync;
        self.current.joining = placed
            .iter()
            .filter(|member| !in_sync.contains(member))
            .copied()
            .collect();
    }
}
