//! What carries a region's streams to other regions over a broker: the seam between the cores of
//! `replication::link` and a log that many can read.
//!
//! A record goes to the partition of its shard, stays in order there, and is read by all other holders
//! at positions of their own. Nothing here knows what a record says. Both traits are synchronous: whoever
//! drives them gives them threads.

pub mod kafka;
mod reading;

pub use reading::{OrderBook, Orders, ReadOrder, Reading, Turn, Turns, read_on_a_thread};

use bytes::Bytes;
use proto::id::{PlacementId, RegionId, ShardId};
use replication::link::From;
use std::time::Duration;

/// A part of a log that keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

impl Partition {
    /// Where the streams of a shard go.
    #[must_use]
    pub const fn of(shard: ShardId, partitions: u16) -> Self {
        Self(shard.0 % partitions)
    }
}

/// What the caller knows a record by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub usize);

/// A record was not taken, and nothing of it is under way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// As much as may be is under way: try again after the next reports.
    #[error("as many records are under way as may be; send again after the next reports")]
    Full,
    /// The writer can be used no more.
    #[error("the writer cannot go on ({0}); make another one")]
    Broken(String),
}

/// What became of a record that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It is in the log for good.
    Delivered(Tag),
    /// Nobody knows whether it is; those sent after it may be. Nothing more of this writer counts.
    Unknown(Tag, String),
}

/// Writes to the log of the own region. One writer is one session of an outbox.
pub trait LogWriter: Send {
    /// Gives a record to a partition.
    fn send(&mut self, partition: Partition, tag: Tag, record: &Bytes) -> Result<(), WriteError>;
    /// What became of records since the last call; in order within a partition.
    fn reports(&mut self) -> Vec<Report>;
}

/// Something that came of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A record.
    Record {
        /// Where.
        partition: Partition,
        /// The position after it.
        position: u64,
        /// What.
        record: Bytes,
    },
    /// What was to be read next is not in the log: reading stopped. Say where to go on.
    PositionLost(Partition),
    /// For people. It goes on by itself.
    Trouble(String),
}

impl Arrival {
    /// What it takes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let own = match self {
            Self::Record { record, .. } => record.len(),
            Self::PositionLost(_) => 0,
            Self::Trouble(fault) => fault.len(),
        };
        own + size_of::<Self>()
    }
}

/// Reading could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read partition {partition} ({fault}); try again", partition = partition.0)]
pub struct ReadError {
    /// Where.
    pub partition: Partition,
    /// What the log says.
    pub fault: String,
}

/// Reads the log of another region.
pub trait LogReader: Send {
    /// Reads a partition from there, whether or not it was read before.
    fn read(&mut self, partition: Partition, from: From) -> Result<(), ReadError>;
    /// Lets nothing more arrive of a partition, or more again.
    fn set_flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError>;
    /// What arrived, after waiting for the first of it no longer than `wait`.
    fn poll(&mut self, wait: Duration) -> Vec<Arrival>;
}

/// What carries the streams of a cluster's regions, as the log's thread has it: none of its methods waits.
pub trait RegionLogs: Send + Sync {
    /// Whether what is written is one copy that all others read; else each reads this node's own log.
    fn is_shared(&self) -> bool {
        true
    }
    /// Where a region's log has the streams of a shard.
    fn partition(&self, region: RegionId, shard: ShardId) -> Partition;
    /// Begins to read another region's log of a placement; it ends when what is given is dropped. What
    /// comes goes to the shards.
    fn read(&self, origin: RegionId, placement: PlacementId) -> Reading;
    /// Has a session of writing to the own region's log of a placement begun. The shards hear of it when it
    /// is; what is in the way is tried again.
    fn write(&self, placement: PlacementId);
    /// Ends a session. What it has under way may still arrive.
    fn end(&self, writer: Option<Box<dyn LogWriter>>);
}

/// Whether records of a partition arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    Open,
    /// They wait in the log.
    Paused,
}
