//! What nodes call each other for, and what they tell each other: the numbers on the wire.

use crate::peer::Stranger;

/// Calls, which have an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Call {
    /// A message of a metadata group.
    Raft = 1,
    /// Rows of shards that the callee holds.
    Fetch = 2,
    /// A part of a write, to its shard's primary.
    Write = 3,
    /// A piece of a shard's snapshot, to a joiner.
    Snapshot = 4,
    /// The newest committed state of a metadata group.
    State = 5,
    /// What an empty node needs to join; also of a caller without a cluster.
    Join = 6,
    /// Founds the cluster at an empty node; also of a caller without a cluster.
    Init = 7,
    /// Where the logs of the callee's shards end.
    Positions = 8,
    /// Copies of rows that the caller cannot read.
    Repair = 9,
    /// Rows of a whole view in a shard that the callee holds, page by page.
    Scan = 10,
    /// What the callee's clock shows.
    Clock = 11,
    /// Who is in the cluster's regions.
    Rosters = 15,
    /// How old the callee's shards can be, and how their streams between regions stand.
    Lag = 16,
    /// Which regions hold entries of streams that the callee leads.
    Confirmations = 17,
    /// One number for the rows of a shard that the callee holds.
    Digest = 18,
    /// Papers for a node that joins with a token; also of a caller without a cluster.
    Enrol = 20,
    /// New papers for the node that calls.
    Renew = 21,
    /// The authority's key, for a voter of the global group.
    Authority = 22,
}

/// Messages, which have none and may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Message {
    /// What replicas of shards say to each other.
    Replication = 1,
    /// How a node is, to those that may lead its region.
    Report = 2,
}

impl Call {
    /// The call of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Raft,
            Self::Fetch,
            Self::Write,
            Self::Snapshot,
            Self::State,
            Self::Join,
            Self::Init,
            Self::Positions,
            Self::Repair,
            Self::Scan,
            Self::Clock,
            Self::Rosters,
            Self::Lag,
            Self::Confirmations,
            Self::Digest,
            Self::Enrol,
            Self::Renew,
            Self::Authority,
        ];
        all.into_iter().find(|call| *call as u8 == number)
    }
}

impl Call {
    /// Whether somebody who is no member may call it.
    #[must_use]
    pub const fn is_open_to(self, stranger: Stranger) -> bool {
        match self {
            Self::Enrol => true,
            Self::Join | Self::Init => matches!(stranger, Stranger::Believed),
            Self::Raft
            | Self::Fetch
            | Self::Write
            | Self::Snapshot
            | Self::State
            | Self::Positions
            | Self::Repair
            | Self::Scan
            | Self::Clock
            | Self::Rosters
            | Self::Lag
            | Self::Confirmations
            | Self::Digest
            | Self::Renew
            | Self::Authority => false,
        }
    }
}

impl Message {
    /// The message of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Replication, Self::Report]
            .into_iter()
            .find(|message| *message as u8 == number)
    }
}
