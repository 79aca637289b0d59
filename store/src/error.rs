//! What can go wrong, by operation. Each says what to do.

use crate::segment;
use proto::{
    codec::Malformed,
    id::{Position, ShardId, StoreId},
    reason::{Reason, Refusal},
};
use std::io;

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log did not open.
    #[error(transparent)]
    Log(#[from] segment::OpenError),
    /// The disk failed.
    #[error("{doing} failed: {error}; check the disk and start again")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What the disk said.
        error: io::Error,
    },
    /// The directory was made by a later version.
    #[error(
        "the store in {directory} has format {found}, this program reads up to {known}; start the newer version"
    )]
    NewerFormat {
        /// The directory.
        directory: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The format file is none.
    #[error(
        "{path} does not say which format the store has; restore it from a copy or start with an empty directory"
    )]
    UnknownFormat {
        /// The file.
        path: String,
    },
    /// Segments of two stores lie in one directory.
    #[error(
        "{directory} holds files of store {one} and of store {other}; move those of one of them elsewhere"
    )]
    TwoStores {
        /// The directory.
        directory: String,
        /// One of them.
        one: StoreId,
        /// The other.
        other: StoreId,
    },
    /// The log could not be begun.
    #[error(transparent)]
    Append(#[from] segment::AppendError),
    /// What the log begins with could not be written.
    #[error(transparent)]
    Write(#[from] segment::WriteError),
    /// A setting cannot work.
    #[error("{0}")]
    Setting(&'static str),
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log refused; the first so many entries were appended.
    #[error("{error}, after {appended} entries")]
    Log {
        /// Why.
        error: segment::AppendError,
        /// Entries that were appended before.
        appended: usize,
    },
    /// Bytes that are no entry. Nothing was appended.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An entry does not follow the last one. Nothing was appended.
    #[error(
        "shard {shard} ends at position {last}, so an entry at {position} cannot be appended; cut or catch up first"
    )]
    OutOfOrder {
        /// The shard.
        shard: ShardId,
        /// Its last position.
        last: Position,
        /// The entry's.
        position: Position,
    },
    /// The hashes given are not one per indexed record. Nothing was appended.
    #[error("an entry of shard {shard} has {rows} indexed records and came with {hashes} hashes")]
    Hashes {
        /// The shard.
        shard: ShardId,
        /// Its indexed records.
        rows: usize,
        /// Hashes given.
        hashes: usize,
    },
}

/// Why entries were not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// They are not appended, or not written yet.
    #[error(
        "shard {shard} is written up to position {written}, so {position} cannot be committed; write first"
    )]
    NotWritten {
        /// The shard.
        shard: ShardId,
        /// Its last written position.
        written: Position,
        /// What was to be committed.
        position: Position,
    },
}

/// Why a tail was not cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// Committed entries never go: replicas have diverged, the process must stop.
    #[error(
        "shard {shard} is committed up to {commit}, a cut after {after} would undo that; stop this process"
    )]
    BelowCommit {
        /// The shard.
        shard: ShardId,
        /// Its commit point.
        commit: Position,
        /// Where the cut was asked.
        after: Position,
    },
    /// The log refused.
    #[error(transparent)]
    Log(#[from] segment::AppendError),
}

/// The store takes no more of this now. Reads, replication of what is acknowledged, and compaction
/// go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// New keys would take the index past three quarters of its memory.
    #[error("the index takes {used} of {limit} bytes; raise store.index_memory or add nodes")]
    IndexMemory {
        /// Bytes in use.
        used: u64,
        /// The setting.
        limit: u64,
    },
    /// The disk is nearly full.
    #[error("the store's disk has {free} of {total} bytes left; add space or nodes")]
    Disk {
        /// Bytes left.
        free: u64,
        /// Bytes in all.
        total: u64,
    },
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        Self::new(Reason::NearlyFull, full.to_string())
    }
}

impl OpenError {
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Disk { doing, error }
    }
}
