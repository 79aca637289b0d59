//! What replicas of a shard say to each other. The driver batches messages of one pair of nodes.
//!
//! Nothing is assumed of the stream: messages may be lost, repeated and overtake each other.

use crate::{
    closes::Round,
    configuration::{Configuration, Fence, Member},
    context::Micros,
    entry::{Entry, Mark},
};
use proto::id::{BootId, Position};

/// A message under its sender's fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The fence. An older one is answered with the newer configuration.
    pub fence: Fence,
    /// What is said.
    pub body: Body,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// From the primary: entries, or none to say how far things are.
    Append(Append),
    /// From the primary: promise to stamp above.
    Close {
        /// For whom, by its disk.
        member: Member,
        /// The session of the receiver's log.
        session: u32,
        /// What to promise.
        round: Round,
        /// The receiver's own clock, given back.
        echo: Option<Echo>,
    },
    /// To the primary: how far this replica is.
    Ack(Ack),
    /// To the primary: the append before did not fit.
    Mismatch(Mismatch),
    /// A committed configuration.
    Configuration(Configuration),
    /// The other's fence is not known here: it may send its configuration.
    Behind,
}

/// Entries that follow a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// For whom, by its disk: sessions of an earlier disk of the node mean nothing to this one.
    pub member: Member,
    /// The session of the receiver's log; rises when it starts from a snapshot.
    pub session: u32,
    /// The entry before the first.
    pub previous: Mark,
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The primary's commit point.
    pub committed: Position,
    /// The last close round that is done.
    pub closed_through: u64,
}

/// How far a replica is; all of it is cumulative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Who, by its disk.
    pub member: Member,
    /// Which of its runs.
    pub boot: BootId,
    /// The session it speaks of.
    pub session: u32,
    /// Equal to the primary's log and durable, through here.
    pub durable: Position,
    /// Promised, through this close round.
    pub promised: u64,
    /// Its monotonic clock, to be echoed.
    pub clock: Micros,
}

/// Where a replica's log can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Who, by its disk.
    pub member: Member,
    /// Which of its runs.
    pub boot: BootId,
    /// The session it speaks of.
    pub session: u32,
    /// Send from here on; 0 asks for a snapshot.
    pub resume: Position,
}

/// A receiver's clock, given back with the time it was held: an instant on the receiver's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The run whose clock it is.
    pub boot: BootId,
    /// No later than the instant at which the close was sent.
    pub instant: Micros,
}
