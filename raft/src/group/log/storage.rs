//! The log as openraft asks for it.
//!
//! Entries that are not purged stay in memory: a snapshot is made every few thousand, and members
//! that lag further behind get that. Writes are durable before openraft is told so.

use super::{
    file::{LogFile, LogFileError, SharedFile, SnapshotFloor},
    record::{LogRecord, LogState},
};
use crate::group::{
    runtime::Blocking,
    types::{Entry, LogId, StorageError, StorageFault, Types, Vote},
};
use openraft::{
    LogState as LogEnds, OptionalSend, RaftLogReader,
    storage::{LogFlushed, RaftLogStorage},
};
use parking_lot::{Mutex, RwLock};
use std::{collections::BTreeMap, fmt::Debug, io, ops::RangeBounds, sync::Arc};
use store::{disk::Disk, segment::LogSettings};

/// The log of one group on one node.
#[derive(Clone)]
pub struct RaftLog {
    view: Arc<RwLock<View>>,
    file: SharedFile,
    blocking: Blocking,
}

/// Reads the log's entries.
#[derive(Clone)]
pub struct LogReader {
    view: Arc<RwLock<View>>,
}

#[derive(Default)]
struct View {
    entries: BTreeMap<u64, Entry>,
    state: LogState,
}

impl View {
    fn last(&self) -> Option<LogId> {
        self.entries
            .last_key_value()
            .map(|(_, entry)| entry.log_id)
            .or(self.state.purged)
    }
}

impl RaftLog {
    /// Opens the log in a directory of a disk and replays it.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        floor: SnapshotFloor,
        blocking: Blocking,
    ) -> Result<Self, LogFileError> {
        let (file, replayed) = LogFile::open(disk, settings, floor)?;
        let view = View {
            entries: replayed.entries,
            state: replayed.state,
        };
        Ok(Self {
            view: Arc::new(RwLock::new(view)),
            file: Arc::new(Mutex::new(file)),
            blocking,
        })
    }

    /// The last entry, purged ones included.
    #[must_use]
    pub fn last(&self) -> Option<LogId> {
        self.view.read().last()
    }

    /// Files that stand.
    #[cfg(test)]
    pub(crate) fn segment_count(&self) -> usize {
        self.file.lock().segment_count()
    }

    async fn write(&self, records: Vec<LogRecord>) -> Result<(), LogFileError> {
        let file = Arc::clone(&self.file);
        self.blocking.run(move || file.lock().write(&records)).await
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self
            .view
            .read()
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }
}

impl RaftLogReader<Types> for RaftLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self
            .view
            .read()
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }
}

impl RaftLogStorage<Types> for RaftLog {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogEnds<Types>, StorageError> {
        let view = self.view.read();
        Ok(LogEnds {
            last_purged_log_id: view.state.purged,
            last_log_id: view.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        LogReader {
            view: Arc::clone(&self.view),
        }
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.write(vec![LogRecord::Vote(*vote)])
            .await
            .map_err(|error| StorageFault::write_vote(&error))?;
        self.view.write().state.vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.view.read().state.vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(committed) = committed else {
            return Ok(());
        };
        // So that a region that starts without a quorum serves what it knew to be committed.
        self.write(vec![LogRecord::Committed(committed)])
            .await
            .map_err(|error| StorageFault::write_logs(&error))?;
        self.view.write().state.committed = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let view = self.view.read();
        Ok(view.state.committed.min(view.last()))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records = entries.iter().cloned().map(LogRecord::Entry).collect();
        self.view
            .write()
            .entries
            .extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        match self.write(records).await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(io::Error::other(error.to_string())));
                Err(StorageFault::write_logs(&error).into())
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.write(vec![LogRecord::Truncate(log_id.index)])
            .await
            .map_err(|error| StorageFault::write_logs(&error))?;
        self.view.write().entries.split_off(&log_id.index);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.write(vec![LogRecord::Purge(log_id)])
            .await
            .map_err(|error| StorageFault::write_logs(&error))?;
        let state = {
            let mut view = self.view.write();
            view.state.purged = Some(log_id);
            view.entries = view.entries.split_off(&(log_id.index + 1));
            view.state
        };
        let file = Arc::clone(&self.file);
        let cut = self.blocking.run(move || file.lock().cut(state)).await;
        cut.map_err(|error| StorageFault::write_logs(&error).into())
    }
}
