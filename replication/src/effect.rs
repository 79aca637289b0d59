//! What a core asks its driver to do, in the order given.

use crate::{
    closes::Round,
    configuration::{Fence, Member, Proposal},
    context::Micros,
    entry::{Entry, Mark},
    log::Ticket,
    message::Message,
    write::{Answer, ReplyTo},
};
use proto::{
    hlc::Hlc,
    id::{BootId, NodeId, Position},
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append to the store's log; into no index yet.
    Append {
        /// Named when it is durable.
        ticket: Ticket,
        /// What to append.
        entry: Entry,
    },
    /// Write a cut record: the shard's entries after a position are void.
    Cut {
        /// Named when it is durable.
        ticket: Ticket,
        /// The last position kept.
        after: Position,
    },
    /// Drop the shard's rows and log: a snapshot replaces them.
    StartEmpty {
        /// Named when it is durable.
        ticket: Ticket,
    },
    /// Apply entries to the index, and log the commit point with the next group.
    Commit {
        /// The last committed entry.
        through: Mark,
    },
    /// Send to a node, over the one stream of the pair.
    Send {
        /// The node.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Answer a write.
    Reply {
        /// Whom.
        to: ReplyTo,
        /// What became of it.
        answer: Answer,
    },
    /// Propose to the regional group. Its outcome comes as a configuration, or not at all.
    Propose(Proposal),
    /// Make the clock's bound durable above a stamp, tell the clock, then the core.
    RaiseClockBound {
        /// The bound must be larger.
        above: Hlc,
    },
    /// Read committed entries from the log, from memory or by hint files.
    ReadLog {
        /// For whom.
        peer: Member,
        /// The first position.
        from: Position,
        /// About as many bytes, one entry at least.
        bytes: usize,
    },
    /// Stream a snapshot to a joiner; report its end, good or bad.
    StartSnapshot {
        /// To whom.
        to: Member,
        /// To which of its runs: another one must not take it.
        boot: BootId,
        /// Under which fence.
        fence: Fence,
        /// The joiner takes each session once.
        session: u32,
    },
    /// The closes of a round became facts that any holder may repeat.
    Closed {
        /// The round. Of a stream that it does not name nothing was acknowledged when it was sent.
        round: Round,
        /// When it was sent: what was acknowledged since is not covered by it.
        sent_at: Micros,
    },
    /// An entry of a stream is committed: one of this region may be shipped, one of another region
    /// counts as here. Said by the primary, in the order of its log.
    Settled(Entry),
    /// An invariant is broken: stop the process before it answers anything.
    Stop(Broken),
}

/// What can only happen by a bug or by damage that went unnoticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A committed entry was to be cut.
    #[error(
        "a cut after {after} lies below the commit point {committed}; keep the data and report it"
    )]
    CutBelowCommit {
        /// The last position that was to be kept.
        after: Position,
        /// The commit point.
        committed: Position,
    },
    /// An entry does not follow the log's end.
    #[error("entry {entry:?} does not follow the log's end {end:?}; keep the data and report it")]
    Gap {
        /// The log's end.
        end: Mark,
        /// The entry's place.
        entry: Mark,
    },
    /// The primary sent two entries for one position of its epoch.
    #[error(
        "position {position} was acknowledged with another content; keep the data and report it"
    )]
    Rewritten {
        /// Where.
        position: Position,
    },
}
