//! Numbers of the store that a user may tune.

use crate::segment::LogSettings;
use proto::limits::REQUEST_ID_WINDOW;
use std::time::Duration;

/// Bytes of a group at most: what came during a sync; larger ones would make all wait.
pub(crate) const GROUP_BYTES: usize = 1 << 20;
/// Rows that are applied to a shard's index in one go, while its readers wait; one entry's at least.
pub(crate) const ROWS_PER_LOCK: usize = 64;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the store lies on its disk.
    pub directory: String,
    /// The size of a segment file; at least 2 MiB, since the largest entry must fit.
    pub segment_bytes: u64,
    /// How many unused segment files to keep.
    pub spares: usize,
    /// What all files together may take; the file system's own limit holds besides.
    pub max_bytes: u64,
    /// What the index may take; above three quarters of it new keys are refused.
    pub index_memory_bytes: u64,
    /// The newest entries kept in memory for backups and links.
    pub tail_bytes: u64,
    /// Log segments kept only because a holder needs them, past which holders are dropped.
    pub held_bytes: u64,
    /// How far back, by the log's own clock, requests are remembered and their entries kept. A request that
    /// is sent again later than this, and past a restart, is carried out twice.
    pub remembered: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: "store".to_owned(),
            segment_bytes: 64 << 20,
            spares: 2,
            max_bytes: u64::MAX,
            index_memory_bytes: 4 << 30,
            tail_bytes: 64 << 20,
            held_bytes: 16 << 30,
            remembered: REQUEST_ID_WINDOW,
        }
    }
}

impl Settings {
    pub(crate) fn log(&self) -> LogSettings {
        LogSettings {
            segment_bytes: self.segment_bytes,
            spares: self.spares,
            ..LogSettings::new(self.directory.clone())
        }
    }
}
