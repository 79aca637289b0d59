//! A log in segment files: groups of opaque payloads, appended by one writer, synced, scanned again.
//!
//! Knows nothing of rows and shards. Two logs are built on it: the store's own, and Raft's.
//!
//! # Use
//! ```
//! use std::sync::Arc;
//! use store::{disk::{Disk, FaultDisk}, segment::{LogSettings, LogWriter, Scanned}};
//!
//! let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
//! let settings = LogSettings { segment_bytes: 1 << 20, payload_crc: true, ..LogSettings::new("raft") };
//! // Opening reads what is there, oldest group first. The first closure judges payloads that have
//! // no checksum of their own; with `payload_crc` it has nothing to add.
//! let mut found = Vec::new();
//! let opened = LogWriter::open(Arc::clone(&disk), settings, &|_| true, &mut |scanned| {
//!     if let Scanned::Group(_segment, group) = scanned {
//!         found.push(group.payload().to_vec());
//!     }
//! })?;
//! assert!(opened.damage.is_empty());
//! let mut log = opened.writer;
//! log.append(b"", &[b"a payload"], 1)?; // in memory now
//! log.write_and_sync()?;                // durable now; or, on another thread:
//! log.append(b"", &[b"another"], 1)?;
//! let mut batch = log.take_batch();
//! batch.write()?;
//! let synced = batch.sync()?;
//! log.note_synced(synced);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//! - A group that was synced is found again, whole and in order. One that was not is found whole or
//!   not at all, and none after it.
//! - A failed write or sync is final: the log is poisoned and every later call says so. Failing to
//!   make a new file (no space) is not: nothing was written, the append may be tried again.
//! - Opening appends to no old file: what lies behind a torn tail could otherwise pass as new. The
//!   next segment's header says where the one before it ends.
//! - Each group says up to which group the log was known to be synced when it was made. So a bad
//!   group that a later one calls synced is rot, and one that none does is a torn tail, which is cut.
//! - Files are zero-filled before use or recycled; group headers carry the segment's id, which seeds
//!   their checksum, so a recycled file's old groups never pass as new.
//!
//! # Files
//! `<id>.log` segments, `<n>.spare` prepared files, ids in 16 hex digits and never used twice.

mod directory;
mod error;
mod file;
mod group;
mod open;
mod scan;
mod sealed;
mod writer;

pub use directory::Directory;
pub use error::{AppendError, OpenError, WriteError};
pub use file::{FILE_HEADER_BYTES, FileHeader, FileKind, Segment, SegmentId};
pub use group::{GROUP_HEADER_BYTES, Group, GroupHeader};
pub(crate) use open::parse_name;
pub use open::{Damage, Known, Opened};
pub use scan::{Scanned, read_group, scan_all};
pub use sealed::SealedWriter;
pub use writer::{Batch, GroupPlace, LogWriter, Synced};

/// Numbers of a log that a user may tune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The directory of the files.
    pub directory: String,
    /// The size of a segment file.
    pub segment_bytes: u64,
    /// How many unused files to keep for new segments.
    pub spares: usize,
    /// Whether group headers carry a checksum of the payload, for payloads without one.
    pub payload_crc: bool,
}

impl LogSettings {
    /// Segments of 64 MiB, two spares, payloads that guard themselves.
    #[must_use]
    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: 64 << 20,
            spares: 2,
            payload_crc: false,
        }
    }
}
