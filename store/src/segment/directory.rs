//! A directory of segment files: ids, spare files, the end of old ones. Shared by the log's writer
//! and by whoever retires segments.

use super::{LogSettings, Segment, SegmentId};
use crate::disk::Disk;
use parking_lot::Mutex;
use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The shared part of a log.
pub struct Directory {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) settings: LogSettings,
    next_id: AtomicU64,
    owner: AtomicU64,
    spares: Mutex<Vec<String>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", self.settings.directory)
    }
}

impl Directory {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        next_id: u64,
        spares: Vec<String>,
    ) -> Self {
        Self {
            disk,
            settings,
            next_id: AtomicU64::new(next_id),
            owner: AtomicU64::new(0),
            spares: Mutex::new(spares),
        }
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn settings(&self) -> &LogSettings {
        &self.settings
    }

    /// Files that are begun from now on carry this number; see [`FileHeader::owner`](super::FileHeader::owner).
    pub fn set_owner(&self, owner: u64) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Whose files are begun here; 0 where nobody said.
    #[must_use]
    pub fn owner(&self) -> u64 {
        self.owner.load(Ordering::Relaxed)
    }

    /// An id that no segment of this directory had or will have.
    pub fn next_id(&self) -> SegmentId {
        SegmentId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// The path of a file with that id.
    #[must_use]
    pub fn path(&self, id: SegmentId, extension: &str) -> String {
        format!("{}/{id}.{extension}", self.settings.directory)
    }

    /// Makes the directory's names durable.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.settings.directory)
    }

    /// Makes one spare file unless there are enough. For a thread with time: it writes a whole
    /// segment of zeros. Says whether it made one.
    pub fn prepare_spare(&self) -> io::Result<bool> {
        if self.spares.lock().len() >= self.settings.spares {
            return Ok(false);
        }
        let path = self.make_spare()?;
        self.spares.lock().push(path);
        Ok(true)
    }

    /// Spare files at hand.
    #[must_use]
    pub fn spares(&self) -> usize {
        self.spares.lock().len()
    }

    /// Takes a spare file, made on the spot if there is none.
    pub(super) fn take_spare(&self) -> io::Result<String> {
        let ready = self.spares.lock().pop();
        ready.map_or_else(|| self.make_spare(), Ok)
    }

    fn make_spare(&self) -> io::Result<String> {
        let path = self.path(self.next_id(), "spare");
        self.disk.create(&path, self.settings.segment_bytes)?;
        self.sync()?;
        Ok(path)
    }

    /// Ends a segment: its file becomes a spare if one is wanted and nobody else reads it, else it
    /// goes. Durable on return. Readers that hold the segment go on reading a deleted file.
    pub fn retire(&self, segment: Arc<Segment>) -> io::Result<()> {
        let wanted = self.spares.lock().len() < self.settings.spares;
        let fits = segment.size_bytes() == self.settings.segment_bytes;
        let path = segment.path().to_owned();
        // Who holds it could read the next segment's bytes under this one's name.
        let unread = Arc::into_inner(segment).is_some();
        if wanted && fits && unread {
            let spare = self.path(self.next_id(), "spare");
            self.disk.rename(&path, &spare)?;
            self.sync()?;
            self.spares.lock().push(spare);
            return Ok(());
        }
        self.disk.delete(&path)?;
        self.sync()
    }
}
