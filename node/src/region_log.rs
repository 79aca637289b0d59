//! What carries a region's streams to other regions over a broker: the seam between the cores of
//! `replication::link` and a log that many can read.
//!
//! A record goes to the partition of its shard, stays in order there, and is read by all other holders
//! at positions of their own. Nothing here knows what a record says. Both traits are synchronous: whoever
//! drives them gives them threads.

pub mod kafka;

use bytes::Bytes;
use proto::id::ShardId;
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

/// Whether records of a partition arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    Open,
    /// They wait in the log.
    Paused,
}
