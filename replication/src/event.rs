//! What a core is told.

use crate::{
    base::Base,
    configuration::{Configuration, Fence, Member},
    entry::Entry,
    log::Ticket,
    message::Message,
    remote::Remote,
    write::Write,
};
use proto::id::{BootId, NodeId, PlacementId, Position};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A committed configuration was seen, from Raft or from a peer; older ones are ignored.
    Configuration(Configuration),
    /// A gateway sent a write, and its rows are prepared.
    Write(Write),
    /// Something of other regions, whose rows are prepared. Who gives it has seen that this replica
    /// [appends](crate::Replica::appends).
    Remote(Remote),
    /// What was not shipped of an own stream is gone from the log: its next entry is to say so.
    Skip(PlacementId),
    /// A peer sent a message; its entries' checksums were compared.
    Message {
        /// Who.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// The log is durable through a ticket.
    Durable {
        /// The last one.
        through: Ticket,
    },
    /// The log is written through a ticket: it can be read, and a loss of power may still take it.
    /// Said where members are named by boot, and counts while there are several.
    Written {
        /// The last one.
        through: Ticket,
    },
    /// The clock's bound was made durable and the clock was told.
    ClockRaised,
    /// The answer to [`Effect::ReadLog`](crate::Effect::ReadLog).
    LogRead {
        /// For whom.
        peer: Member,
        /// The position asked for.
        from: Position,
        /// What was found.
        read: Read,
    },
    /// A snapshot to `peer` ended, well or not.
    SnapshotEnded {
        /// Its receiver.
        peer: Member,
    },
    /// A snapshot for this replica begins to arrive.
    SnapshotBegun {
        /// The sender's fence.
        fence: Fence,
        /// The run it was meant for.
        boot: BootId,
        /// Its session.
        session: u32,
    },
    /// The snapshot is installed, and durable.
    SnapshotInstalled {
        /// Its fence.
        fence: Fence,
        /// Its session.
        session: u32,
        /// The state it carried.
        base: Base,
    },
    /// The snapshot broke off; the store dropped what had arrived.
    SnapshotAborted,
    /// The stream to a node is open: what was on its way before may be lost.
    PeerUp(NodeId),
    /// The stream to a node broke.
    PeerDown(NodeId),
    /// The store cut, quarantined or failed to sync something of this shard.
    StoreDamaged,
    /// Single rows of this shard cannot be read as they were written. Where another member has them it
    /// counts as [`Event::StoreDamaged`]; the last one goes on with what it has.
    RowsDamaged,
    /// Time passed; due at least every 50 ms.
    Tick,
}

/// What a read of the log gave.
#[derive(Debug, Clone)]
pub enum Read {
    /// Entries from the position asked for, in order, at least one.
    Entries(Vec<Entry>),
    /// The log does not reach back so far.
    Gone,
}
