//! The types that openraft is run with.
//!
//! One set for both groups: commands and outcomes travel and lie in the log as text, so that log,
//! network and applied state are written once. Ids are plain numbers here and [`NodeId`] outside,
//! since openraft's own tests make ids from numbers.

use super::runtime::GroupRuntime;
use proto::id::{NodeId, RegionId};
use serde::{Deserialize, Serialize};
use std::{fmt, io::Cursor};

openraft::declare_raft_types!(
    /// See the module.
    pub Types:
        D = Payload,
        R = Payload,
        NodeId = u64,
        Node = Peer,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = GroupRuntime,
);

/// A command or an outcome in its stored form.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(pub String);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Where a member of a group is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Its peer address, `host:port`.
    pub address: String,
    /// Its region, for the global group; its zone, for a regional one.
    pub place: String,
}

/// Which group a message is for. A rebuilt regional group has another number, so that messages of
/// the old one reach nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupId {
    /// The registry's.
    Global,
    /// One region's placement.
    Regional {
        /// The region.
        region: RegionId,
        /// The group's number there.
        number: u32,
    },
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Regional { region, number } => write!(f, "region-{region}-{number}"),
        }
    }
}

/// openraft's node ids as ours.
pub(crate) fn node(id: u64) -> NodeId {
    NodeId(id)
}

/// The place of an entry in the log.
pub type LogId = openraft::LogId<u64>;
/// An entry of the log.
pub type Entry = openraft::Entry<Types>;
/// Who was voted for.
pub type Vote = openraft::Vote<u64>;
/// The members of a group, and the entry that made them so.
pub type Membership = openraft::StoredMembership<u64, Peer>;
/// What a snapshot holds.
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Peer>;
/// A storage fault, which stops the group.
pub type StorageError = openraft::StorageError<u64>;
/// The same, before it is boxed into [`StorageError`].
pub type StorageFault = openraft::StorageIOError<u64>;
