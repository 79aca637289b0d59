//! What a group is started with: numbers a person may tune, and the parts it is put together from.

use super::{applied::AppliedState, runtime::Blocking};
use openraft::{Config, SnapshotPolicy};
use std::{sync::Arc, time::Duration};
use store::disk::Disk;

/// Timing by the distance between members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTiming {
    /// How often a leader is heard.
    pub heartbeat: Duration,
    /// How long a silent leader is waited for, at least; at most twice as long.
    pub election: Duration,
}

/// Numbers of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// See [`GroupTiming`].
    pub timing: GroupTiming,
    /// Entries between snapshots.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, for members that lag a little.
    pub keep_behind_snapshot: u64,
    /// Bytes of a snapshot in one message.
    pub snapshot_piece_bytes: u64,
    /// The size of a log file. A command must fit one.
    pub segment_bytes: u64,
}

/// Where a group keeps what it must not forget.
pub struct GroupFiles {
    /// The disk of log and snapshots.
    pub disk: Arc<dyn Disk>,
    /// The group's own directory on it.
    pub directory: String,
    /// The applied state.
    pub applied: Box<dyn AppliedState>,
    /// Where disk work runs.
    pub blocking: Blocking,
}

impl GroupTiming {
    /// For members in one region: what a busy machine can keep.
    #[must_use]
    pub const fn within_a_region() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election: Duration::from_secs(1),
        }
    }

    /// For members in several regions, which may be 200 ms apart: elections after ten round trips. A
    /// heartbeat is two of them, since openraft gives up each message that brings no answer within one.
    #[must_use]
    pub const fn between_regions() -> Self {
        Self {
            heartbeat: Duration::from_millis(400),
            election: Duration::from_secs(2),
        }
    }
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            timing: GroupTiming::within_a_region(),
            snapshot_every: 2_000,
            keep_behind_snapshot: 500,
            snapshot_piece_bytes: 1 << 20,
            segment_bytes: 16 << 20,
        }
    }
}

impl GroupSettings {
    pub(super) fn config(&self, name: String) -> Config {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let election = millis(self.timing.election);
        Config {
            cluster_name: name,
            heartbeat_interval: millis(self.timing.heartbeat),
            election_timeout_min: election,
            election_timeout_max: election * 2,
            install_snapshot_timeout: election.max(1_000),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep_behind_snapshot,
            snapshot_max_chunk_size: self.snapshot_piece_bytes,
            replication_lag_threshold: self.snapshot_every + self.keep_behind_snapshot,
            purge_batch_size: 64,
            ..Config::default()
        }
    }

    /// The largest command that is taken: what a log file holds, less what surrounds it there. In
    /// a record the command is text within JSON, which doubles its quotes.
    #[must_use]
    pub fn command_bytes(&self) -> usize {
        usize::try_from(self.segment_bytes / 3).unwrap_or(usize::MAX)
    }
}
