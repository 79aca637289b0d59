//! What a regional group is asked to do, and what it answers.
//!
//! Stored in the log for ever; see [`crate::machine::Command`] for how they may grow.

use super::state::{Member, Policy, Replica, ShardConfig};
use crate::machine;
use proto::id::{BootId, Epoch, Incarnation, NodeId, Revision, ShardId, StoreId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A request for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlacementCommand {
    /// Founds the group, or changes copies and minimum as the cluster's metadata did.
    Follow(Policy),
    /// A node is there: when it joins, and after every start.
    Register(Member),
    /// A node is to be emptied, or no longer.
    Drain {
        /// The node.
        node: NodeId,
        /// Whether it is to be emptied.
        draining: bool,
        /// Whether its copies may go although the other nodes cannot hold as many as there should be.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fewer_copies: bool,
    },
    /// A node is gone for good; refused while a shard needs it.
    Remove {
        /// The node.
        node: NodeId,
    },
    /// One shard changes, if it still is as the proposer saw it.
    Change {
        /// The shard.
        shard: ShardId,
        /// What the proposer saw; none for a shard that was never placed.
        expect: Option<(Incarnation, Epoch)>,
        /// What is to change.
        change: ShardChange,
    },
}

/// A change of one shard's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShardChange {
    /// Places a shard for the first time. All members begin with an empty log, so all are in sync.
    Place {
        /// The first primary.
        primary: Replica,
        /// Its present run.
        boot: BootId,
        /// All members, the primary included.
        members: BTreeSet<Replica>,
    },
    /// Makes an in-sync member the primary, and drops members that are lost.
    Promote {
        /// The new primary.
        to: Replica,
        /// Its present run.
        boot: BootId,
        /// Who leaves.
        drop: BTreeSet<Replica>,
    },
    /// The primary's node started anew and goes on as primary in a new epoch.
    Restart {
        /// Its new run.
        boot: BootId,
    },
    /// The primary goes on with the same set in a new epoch: proposed where it cannot know what
    /// became of an earlier proposal, which the new epoch then voids.
    Renew {
        /// Its present run.
        boot: BootId,
    },
    /// A joiner that holds the whole log becomes a member; proposed by the primary.
    Grow {
        /// The joiner.
        joiner: Replica,
    },
    /// A member leaves; proposed by the primary before it goes on without it.
    Shrink {
        /// Who leaves.
        leaver: Replica,
    },
    /// Several members leave at once; proposed by the primary as [`ShardChange::Shrink`] is.
    Leave {
        /// Who leaves: all of them, or nobody.
        leavers: BTreeSet<Replica>,
    },
    /// A node is to be brought up to the shard; changes no epoch.
    Invite {
        /// The joiner to be.
        joiner: Replica,
    },
    /// A joiner is given up; changes no epoch.
    Dismiss {
        /// The joiner that was to be.
        joiner: Replica,
    },
    /// No in-sync member is left and a person accepts the loss: a new incarnation from what there
    /// is. Old members' stores are retired, unless members are named by boot: then a run is what was
    /// lost, and no run comes back.
    AcceptLoss {
        /// Who begins it: the longest log that was found.
        survivor: Replica,
        /// Its present run.
        boot: BootId,
    },
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementOutcome {
    /// It stands.
    Done {
        /// The revision that holds it.
        revision: Revision,
        /// The shard's configuration, for changes of one.
        config: Option<ShardConfig>,
    },
    /// Nothing changed.
    Refused {
        /// The present revision.
        revision: Revision,
        /// Why.
        refusal: PlacementRefusal,
        /// The shard's configuration as it is, for changes of one.
        config: Option<ShardConfig>,
    },
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PlacementRefusal {
    /// Another change came first.
    #[error("the shard's configuration changed meanwhile; look at it again")]
    Moved,
    /// The group follows no policy yet.
    #[error("the group is not founded yet")]
    NotFounded,
    /// The policy is of another region, group or number of shards, or cannot hold.
    #[error("the policy does not fit this group")]
    WrongPolicy,
    /// The shard is none of this cluster's.
    #[error("there is no shard {0}")]
    NoSuchShard(ShardId),
    /// The node is not registered.
    #[error("node {0} is not registered")]
    NotAMember(NodeId),
    /// The store was retired: its data may be older than what was acknowledged.
    #[error("store {0} is retired; empty its directory, so that it joins as a new one")]
    StoreRetired(StoreId),
    /// The replica names another store or boot than its node has.
    #[error("{0:?} is not what that node has now")]
    NotPresent(Replica),
    /// Only in-sync members may lead or leave.
    #[error("{0:?} is not in sync")]
    NotInSync(Replica),
    /// Only an invited replica may become a member.
    #[error("{0:?} was not invited")]
    NotInvited(Replica),
    /// It is a member already.
    #[error("{0:?} is a member already")]
    AlreadyMember(Replica),
    /// The in-sync set would fall below its minimum.
    #[error("{left} in-sync members would be left and {min_in_sync} are needed")]
    TooFewInSync {
        /// How many would be left.
        left: usize,
        /// How many are needed.
        min_in_sync: u8,
    },
    /// The primary leaves by promoting another.
    #[error("the primary cannot leave; promote another first")]
    IsPrimary,
    /// The epoch belongs to that boot already.
    #[error("that boot has its epoch already")]
    SameBoot,
    /// A shard needs the node.
    #[error("node {node} is needed by shard {shard}; drain it first")]
    StillNeeded {
        /// The node.
        node: NodeId,
        /// One of the shards.
        shard: ShardId,
    },
}

impl machine::Command for PlacementCommand {
    const VERSION: u8 = 1;
}
