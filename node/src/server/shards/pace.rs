//! What goes to the disk, and when it is synced. Pure.
//!
//! Where durable means disk, each batch is written and synced in one go: what gathers meanwhile is the
//! next one. Where it means memory, batches are written as they come, and what is written is synced in
//! the background, within a window in time and bytes: no power loss of all copies takes more.

use crate::settings::{Durability, Store};

/// When what is written is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Before it counts.
    AtOnce,
    /// In the background.
    Within {
        /// How long it may wait.
        micros: u64,
        /// How much may wait, a sync under way included; beyond it nothing more is written.
        bytes: u64,
    },
}

impl Pace {
    /// As the settings say.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        match store.durability {
            Durability::Fsync => Self::AtOnce,
            Durability::Replicated => Self::Within {
                micros: u64::try_from(store.sync_within.0.as_micros()).unwrap_or(u64::MAX),
                bytes: store.sync_bytes.0,
            },
        }
    }
}

/// What the disk is at work on, and what waits for it.
#[derive(Debug)]
pub(super) struct DiskWork {
    pace: Pace,
    writing_since: Option<u64>,
    syncing_since: Option<u64>,
    syncing_bytes: u64,
    /// Since when something is written and waits for its sync, and how much.
    waits_since: Option<u64>,
    waiting_bytes: u64,
}

impl DiskWork {
    pub(super) const fn new(pace: Pace) -> Self {
        Self {
            pace,
            writing_since: None,
            syncing_since: None,
            syncing_bytes: 0,
            waits_since: None,
            waiting_bytes: 0,
        }
    }

    /// Whether batches are reported when they are written, apart from their sync.
    pub(super) const fn tells_written(&self) -> bool {
        matches!(self.pace, Pace::Within { .. })
    }

    /// Whether the next batch may be written.
    pub(super) const fn may_write(&self) -> bool {
        let is_full = match self.pace {
            Pace::AtOnce => false,
            Pace::Within { bytes, .. } => self.syncing_bytes + self.waiting_bytes >= bytes,
        };
        self.writing_since.is_none() && !is_full
    }

    pub(super) const fn writes(&mut self, now_micros: u64) {
        self.writing_since = Some(now_micros);
    }

    /// A batch is written, and waits for its sync.
    pub(super) fn wrote(&mut self, bytes: u64, now_micros: u64) {
        self.writing_since = None;
        self.waits_since.get_or_insert(now_micros);
        self.waiting_bytes += bytes;
    }

    /// Whether what waits is to be synced now: half the room is taken, or its time has come.
    pub(super) fn is_sync_due(&self, now_micros: u64) -> bool {
        let Pace::Within { micros, bytes } = self.pace else {
            return false;
        };
        let is_time = |since| now_micros.saturating_sub(since) >= micros;
        self.syncing_since.is_none()
            && self
                .waits_since
                .is_some_and(|since| is_time(since) || self.waiting_bytes >= bytes / 2)
    }

    pub(super) fn syncs(&mut self, now_micros: u64) {
        self.syncing_since = Some(now_micros);
        self.syncing_bytes = std::mem::take(&mut self.waiting_bytes);
        self.waits_since = None;
    }

    /// A sync ended; where each batch is synced as it is written, that batch's.
    pub(super) const fn synced(&mut self) {
        match self.pace {
            Pace::AtOnce => self.writing_since = None,
            Pace::Within { .. } => {
                self.syncing_since = None;
                self.syncing_bytes = 0;
            }
        }
    }

    /// Since when the disk has been at work on what it has now.
    pub(super) fn busy_since(&self) -> Option<u64> {
        let work = [self.writing_since, self.syncing_since];
        work.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> DiskWork {
        DiskWork::new(Pace::Within {
            micros: 100,
            bytes: 1_000,
        })
    }

    #[test]
    fn what_is_written_is_synced_when_its_time_has_come() {
        let mut work = window();
        assert!(!work.is_sync_due(5_000), "nothing waits");
        work.writes(0);
        assert!(!work.may_write(), "one batch at a time");
        work.wrote(10, 20);
        work.writes(90);
        work.wrote(10, 95);
        assert!(!work.is_sync_due(119));
        assert!(work.is_sync_due(120), "the oldest counts");
        work.syncs(120);
        assert_eq!(work.busy_since(), Some(120));
        work.wrote(10, 130);
        assert!(!work.is_sync_due(500), "one sync at a time");
        work.synced();
        assert!(work.is_sync_due(500));
    }

    #[test]
    fn half_the_room_is_reason_to_sync_and_beyond_it_nothing_is_written() {
        let mut work = window();
        work.wrote(500, 0);
        assert!(work.is_sync_due(0));
        work.syncs(0);
        work.wrote(499, 1);
        assert!(work.may_write(), "999 bytes wait, a sync of 500 included");
        work.wrote(1, 2);
        assert!(!work.may_write());
        work.synced();
        assert!(work.may_write() && work.is_sync_due(2));
    }

    #[test]
    fn where_durable_means_disk_a_batch_is_one_piece_of_work() {
        let mut work = DiskWork::new(Pace::AtOnce);
        work.writes(7);
        assert!(!work.may_write() && work.busy_since() == Some(7));
        work.synced();
        assert!(work.may_write() && work.busy_since().is_none());
        assert!(!work.is_sync_due(1_000_000));
    }
}
