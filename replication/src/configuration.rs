//! A shard's configuration in its region, as the regional group committed it.
//!
//! Not the group itself: a core proposes changes by compare-and-set and acts on what was committed.

use proto::id::{BootId, Epoch, Incarnation, NodeId, Revision, StoreId};

/// What fences: messages and acknowledgements count only under the fence they were sent under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fence {
    /// The life of the shard's streams.
    pub incarnation: Incarnation,
    /// The epoch in it. Epochs go on rising over incarnations.
    pub epoch: Epoch,
}

/// A replica by the disk it lives on: a wiped disk has another store id and is another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// The node's boot where durable means memory (`replicated`): a restart is then another member.
    /// None where durable means disk.
    pub boot: Option<BootId>,
}

/// The one boot of one node that may append in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Primary {
    /// The node.
    pub node: NodeId,
    /// Its run: a restarted node needs a new epoch.
    pub boot: BootId,
}

/// A committed configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Its fence; changes with the primary and the in-sync set.
    pub fence: Fence,
    /// Where the metadata stood; orders configurations of one fence, which differ in joiners alone.
    pub revision: Revision,
    /// Who may append.
    pub primary: Primary,
    /// Who must hold an entry before it is committed, the primary included.
    pub in_sync: Vec<Member>,
    /// Below this size of the in-sync set writes are refused, and the set does not shrink.
    pub min_in_sync: usize,
    /// How many members in sync there should be.
    pub copies: usize,
    /// Replicas that are to get in sync.
    pub joining: Vec<Member>,
    /// Replicas that follow for lookups only and are never proposed.
    pub observing: Vec<Member>,
}

/// What a replica is to its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Needed for every commit.
    InSync,
    /// To be proposed once it holds the log.
    Joining,
    /// Follows, and is never proposed.
    Observing,
}

impl Configuration {
    /// What decides which of two configurations is newer.
    #[must_use]
    pub const fn order(&self) -> (Fence, Revision) {
        (self.fence, self.revision)
    }

    /// What `member` is in it.
    #[must_use]
    pub fn standing(&self, member: Member) -> Option<Standing> {
        let mut members = self.members();
        let found = members.find(|(own, _)| *own == member);
        found.map(|(_, standing)| standing)
    }

    /// All replicas with their standing.
    pub fn members(&self) -> impl Iterator<Item = (Member, Standing)> + '_ {
        let in_sync = self.in_sync.iter().map(|own| (*own, Standing::InSync));
        let joining = self.joining.iter().map(|own| (*own, Standing::Joining));
        let observing = self.observing.iter().map(|own| (*own, Standing::Observing));
        in_sync.chain(joining).chain(observing)
    }

    /// Whether what its members have in memory counts: each is named by its boot, and no loss of one
    /// alone takes it. A member that is left alone counts by its disk.
    #[must_use]
    pub fn counts_memory(&self) -> bool {
        self.in_sync.len() > 1 && self.in_sync.iter().all(|own| own.boot.is_some())
    }

    /// How many of its members the in-sync set may do without.
    #[must_use]
    pub fn spare(&self) -> usize {
        self.in_sync.len().saturating_sub(self.min_in_sync.max(1))
    }

    /// Whether nobody is missing and nobody on the way in.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.joining.is_empty() && self.in_sync.len() >= self.copies
    }

    /// The proposal of the same set under `primary`.
    #[must_use]
    pub fn with_primary(&self, primary: Primary) -> Proposal {
        Proposal {
            expected: self.fence,
            primary,
            in_sync: self.in_sync.clone(),
        }
    }

    /// The proposal of a set with `joiner` in it.
    #[must_use]
    pub fn grown(&self, joiner: Member) -> Proposal {
        let mut proposal = self.with_primary(self.primary);
        proposal.in_sync.push(joiner);
        proposal
    }

    /// The proposal of a set without `lost`. With nobody lost it changes the epoch alone, which
    /// settles what became of an earlier proposal.
    #[must_use]
    pub fn shrunk(&self, lost: &[Member]) -> Proposal {
        let mut proposal = self.with_primary(self.primary);
        proposal.in_sync.retain(|member| !lost.contains(member));
        proposal
    }
}

/// A change to be committed only if the configuration still stands at `expected`; it then gets the
/// next epoch. Replicas that are not in the new set become joiners, as placement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The fence that is compared.
    pub expected: Fence,
    /// The primary from then on.
    pub primary: Primary,
    /// The in-sync set from then on.
    pub in_sync: Vec<Member>,
}
