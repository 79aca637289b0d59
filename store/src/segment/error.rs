//! What can go wrong with a log, by operation.

use std::io;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed; nothing was changed that matters.
    #[error("{doing} failed: {error}; check the disk and start again")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What the disk said.
        error: io::Error,
    },
    /// The files were written by a later version.
    #[error(
        "{path} has format version {found}, this program reads up to {known}; start the newer version"
    )]
    NewerFormat {
        /// The file.
        path: String,
        /// Its version.
        found: u16,
        /// Ours.
        known: u16,
    },
}

/// Why a group was not appended. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An earlier write or sync failed.
    #[error("the log is closed since a write or sync failed; restart the process")]
    Poisoned,
    /// No file could be made for a new segment.
    #[error("no new segment file could be made: {0}; free some disk space and retry")]
    NoFile(io::Error),
    /// The group is larger than a segment.
    #[error("a group of {bytes} bytes exceeds a segment of {segment_bytes}; split it")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What fits.
        segment_bytes: u64,
    },
}

/// A write or sync failed, now or earlier. Final: what is on disk is not known any more.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// This one failed.
    #[error("{doing} failed: {error}; the log is closed, restart the process")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// What the disk said.
        error: io::Error,
    },
    /// An earlier one failed.
    #[error("the log is closed since a write or sync failed; restart the process")]
    Poisoned,
}

impl OpenError {
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Disk { doing, error }
    }
}
