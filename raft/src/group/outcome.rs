//! What a group answers its node: outcomes, faults, status.

use super::{log::LogFileError, machine::OpenStateError};
use proto::id::{NodeId, Revision};
use std::{collections::BTreeSet, sync::Arc};

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<O> {
    /// The entry that holds it.
    pub index: u64,
    /// What came of it.
    pub outcome: O,
}

/// The newest committed state that this node has.
#[derive(Debug, Clone)]
pub struct Committed<S> {
    /// The state.
    pub state: Arc<S>,
    /// Its revision.
    pub revision: Revision,
    /// The last entry in it.
    pub index: u64,
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The command is larger than a log file takes. Nothing happened.
    #[error("the command has {bytes} bytes and {limit} are possible; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most there can be.
        limit: usize,
    },
    /// Nobody leads, or the leader cannot be reached. Nothing happened: retry.
    #[error("no leader of the group can be reached; it has no quorum now, or none from here")]
    NoLeader,
    /// It was handed in and no answer came in time: it may be carried out. Look, then retry.
    #[error("no quorum answered in time; the command may still be carried out")]
    Unknown,
    /// The group stopped on this node.
    #[error("the group stopped: {0}")]
    Stopped(String),
    /// The leader runs another version.
    #[error("the leader's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Why a group could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Its log cannot be used.
    #[error(transparent)]
    Log(#[from] LogFileError),
    /// Its state cannot be opened.
    #[error(transparent)]
    State(#[from] OpenStateError),
    /// The disk failed.
    #[error("open the group's directory: {0}")]
    Disk(#[from] std::io::Error),
    /// openraft refused.
    #[error("{doing}: {fault}")]
    Raft {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        fault: String,
    },
}

/// How a group is, as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// The member.
    pub node: NodeId,
    /// Its term.
    pub term: u64,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// Whether this member does.
    pub leads: bool,
    /// Whether a majority answers, as far as is known: of one that leads by what it hears itself, else by
    /// there being a leader.
    pub has_quorum: bool,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who follows without a vote.
    pub learners: BTreeSet<NodeId>,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry applied.
    pub applied_index: u64,
    /// The last entry in its snapshot.
    pub snapshot_index: u64,
    /// The last entry cut from its log.
    pub purged_index: u64,
    /// Why it stopped, if it did. A node whose group stopped must stop.
    pub stopped: Option<String>,
}
