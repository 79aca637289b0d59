//! The log's files: one writer that appends and syncs, replay at start, and cutting.
//!
//! Whole segments go once all their entries lie behind a snapshot that is durable as a file; what
//! else they held is written again first. Damage in the middle is final: a vote or an entry that
//! this node had promised to keep may be gone, so it must not take part any more.

use super::record::{LogRecord, LogState, RecordError};
use crate::group::types::Entry;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use store::{
    disk::Disk,
    segment::{
        AppendError, Group, LogSettings, LogWriter, OpenError, Scanned, Segment, WriteError,
    },
};

/// The index up to which a snapshot file is durable; 0 while there is none. The snapshot's writer
/// raises it, the log cuts behind it.
#[derive(Debug, Clone, Default)]
pub struct SnapshotFloor(Arc<AtomicU64>);

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogFileError {
    /// The files cannot be opened.
    #[error("open the raft log: {0}")]
    Open(#[from] OpenError),
    /// A record is not what was written.
    #[error("read the raft log: {0}")]
    Record(#[from] RecordError),
    /// Something that was durable is gone.
    #[error(
        "the raft log in {directory} is damaged at {count} places and may have lost what this node \
         promised; empty the node's directory, so that it joins as a new one"
    )]
    Damaged {
        /// Where.
        directory: String,
        /// How often.
        count: usize,
    },
    /// Entries do not follow each other.
    #[error(
        "the raft log has entry {found} where {expected} should follow; empty the node's directory, so that it joins as a new one"
    )]
    Hole {
        /// What should come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A record was not taken.
    #[error("append to the raft log: {0}")]
    Append(#[from] AppendError),
    /// A write or sync failed, which is final.
    #[error("write the raft log: {0}")]
    Write(#[from] WriteError),
}

/// What replay of the files gives.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) state: LogState,
    pub(super) entries: BTreeMap<u64, Entry>,
}

/// The writer and what it must know to cut.
pub(super) struct LogFile {
    writer: LogWriter,
    floor: SnapshotFloor,
    /// Oldest first; the last one is being written. Each with the highest index it holds.
    segments: VecDeque<(Arc<Segment>, u64)>,
}

impl SnapshotFloor {
    /// A snapshot file that holds everything up to `index` is durable.
    pub fn raise(&self, index: u64) {
        self.0.fetch_max(index, Ordering::AcqRel);
    }

    /// Everything up to this index is in a durable snapshot file.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl LogFile {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        floor: SnapshotFloor,
    ) -> Result<(Self, Replayed), LogFileError> {
        let directory = settings.directory.clone();
        let settings = LogSettings {
            payload_crc: true,
            ..settings
        };
        let mut found: Vec<(Arc<Segment>, Group)> = Vec::new();
        let mut damaged = 0;
        let opened = LogWriter::open(disk, settings, &|_| true, &mut |scanned| match scanned {
            Scanned::Group(segment, group) => found.push((Arc::clone(segment), group)),
            Scanned::Damaged(..) => damaged += 1,
        })?;
        let count = damaged.max(opened.damage.len());
        if count > 0 {
            return Err(LogFileError::Damaged { directory, count });
        }
        let mut replayed = Replayed::default();
        let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
        for (segment, group) in &found {
            let record = LogRecord::decode(group.payload())?;
            if let LogRecord::Entry(entry) = &record {
                let index = highest.entry(segment_id(segment)).or_default();
                *index = (*index).max(entry.log_id.index);
            }
            replayed.take(record)?;
        }
        drop(found);
        let segments = opened.segments.into_iter().map(|(segment, _)| {
            let index = highest.get(&segment_id(&segment)).copied().unwrap_or(0);
            (segment, index)
        });
        Ok((
            Self {
                segments: segments.collect(),
                writer: opened.writer,
                floor,
            },
            replayed,
        ))
    }

    /// Appends records and makes them durable.
    pub(super) fn write(&mut self, records: &[LogRecord]) -> Result<(), LogFileError> {
        for record in records {
            self.append(record)?;
        }
        self.writer.write_and_sync()?;
        Ok(())
    }

    fn append(&mut self, record: &LogRecord) -> Result<(), LogFileError> {
        let place = self.writer.append(b"", &[&record.encode()], 1)?;
        let index = if let LogRecord::Entry(entry) = record {
            entry.log_id.index
        } else {
            0
        };
        match self.segments.back_mut() {
            Some((segment, highest)) if Arc::ptr_eq(segment, &place.segment) => {
                *highest = index.max(*highest);
            }
            Some(_) | None => self.segments.push_back((place.segment, index)),
        }
        Ok(())
    }

    /// Lets the oldest segments go whose entries are purged and in a durable snapshot file.
    pub(super) fn cut(&mut self, state: LogState) -> Result<(), LogFileError> {
        let purged = state.purged.map_or(0, |log_id| log_id.index);
        let covered = purged.min(self.floor.index());
        let is_old = |(_, highest): &(Arc<Segment>, u64)| *highest <= covered;
        let last = self.segments.len().saturating_sub(1);
        let old = self
            .segments
            .iter()
            .take(last)
            .take_while(|segment| is_old(segment))
            .count();
        if old == 0 || covered == 0 {
            return Ok(());
        }
        // Votes and marks may stand in what goes.
        self.write(&[LogRecord::State(state)])?;
        for _ in 0..old {
            if let Some((segment, _)) = self.segments.pop_front() {
                let directory = Arc::clone(self.writer.directory());
                directory
                    .retire(segment)
                    .map_err(|error| WriteError::Disk {
                        doing: "cutting the raft log",
                        error,
                    })?;
            }
        }
        Ok(())
    }

    /// Segments that stand.
    #[cfg(test)]
    pub(super) fn segment_count(&self) -> usize {
        self.segments.len()
    }
}

fn segment_id(segment: &Segment) -> u64 {
    segment.id.0
}

impl Replayed {
    fn take(&mut self, record: LogRecord) -> Result<(), LogFileError> {
        match record {
            LogRecord::Vote(vote) => self.state.vote = Some(vote),
            LogRecord::Committed(log_id) => self.state.committed = Some(log_id),
            LogRecord::State(state) => {
                self.state = state;
                self.drop_purged();
            }
            LogRecord::Purge(log_id) => {
                self.state.purged = Some(log_id);
                self.drop_purged();
            }
            LogRecord::Truncate(index) => {
                self.entries.split_off(&index);
            }
            LogRecord::Entry(entry) => self.append(entry)?,
        }
        Ok(())
    }

    fn append(&mut self, entry: Entry) -> Result<(), LogFileError> {
        let found = entry.log_id.index;
        // At the beginning of what is kept the first entry may have any index; the rest must follow.
        let last = self.entries.last_key_value();
        let expected = last.map_or(found, |(last, _)| last.saturating_add(1));
        if found != expected {
            return Err(LogFileError::Hole { expected, found });
        }
        self.entries.insert(found, entry);
        Ok(())
    }

    fn drop_purged(&mut self) {
        if let Some(purged) = self.state.purged {
            let next = purged.index.checked_add(1);
            self.entries = next.map_or_else(BTreeMap::new, |next| self.entries.split_off(&next));
        }
    }
}

/// The file behind a lock: openraft writes one thing at a time, readers never come here.
pub(super) type SharedFile = Arc<Mutex<LogFile>>;
