//! A group's log and vote: in memory for readers, on the store's segments for ever after.
//!
//! `record` is the stored form, `file` writes and reads it and cuts old segments, `storage` is
//! what openraft asks for.

mod file;
mod record;
mod storage;

pub use file::{LogFileError, SnapshotFloor};
pub use record::{LogRecord, LogState, RecordError};
pub use storage::{LogReader, RaftLog};
