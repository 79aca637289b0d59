//! Streams between regions without a broker: each region's primaries are read by the others' over links,
//! from a position of the shard's own log. The log is what a topic would be, so nothing is stored twice,
//! and a reader that was away goes on where it stopped.
//!
//! A shard is a partition here, and a position that of the last entry read. One stream of bytes for each
//! node that is read and each placement; what a reader does not take waits in the log.

mod following;
mod frames;
mod serving;

pub use following::DirectLogs;
pub use serving::LinkServer;
