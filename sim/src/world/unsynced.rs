//! A disk that remembers what was written and not yet synced, so that a run can tell whether a
//! crash lost anything: a crash that loses nothing tests nothing.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use store::disk::{Capacity, Disk, File};

/// A file's newest write: its place and its bytes.
type Write = (u64, Vec<u8>);

/// By file, the newest write that was not synced. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Unsynced(Arc<Mutex<BTreeMap<String, Write>>>);

impl Unsynced {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Write>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all of it; tells in how many files it no longer stands on `disk`.
    pub fn lost(&self, disk: &dyn Disk) -> usize {
        let files = std::mem::take(&mut *self.files());
        let stands = |path: &str, offset: u64, bytes: &[u8]| {
            let mut found = vec![0; bytes.len()];
            let read = disk
                .open(path)
                .and_then(|file| file.read_at(offset, &mut found));
            read.is_ok() && found == bytes
        };
        let lost = files
            .iter()
            .filter(|(path, (offset, bytes))| !stands(path, *offset, bytes));
        lost.count()
    }
}

/// See the module.
pub struct Watched {
    inner: Arc<dyn Disk>,
    unsynced: Unsynced,
}

struct WatchedFile {
    inner: Arc<dyn File>,
    path: String,
    unsynced: Unsynced,
}

impl Watched {
    /// Watches `inner`.
    #[must_use]
    pub const fn new(inner: Arc<dyn Disk>, unsynced: Unsynced) -> Self {
        Self { inner, unsynced }
    }

    fn file(&self, inner: Arc<dyn File>, path: &str) -> Arc<dyn File> {
        Arc::new(WatchedFile {
            inner,
            path: path.to_owned(),
            unsynced: self.unsynced.clone(),
        })
    }
}

impl Disk for Watched {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn create(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.create(path, size_bytes)?, path))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.open(path)?, path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let mut files = self.unsynced.files();
        if let Some(write) = files.remove(from) {
            files.insert(to.to_owned(), write);
        }
        Ok(())
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        self.inner.delete(path)?;
        self.unsynced.files().remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn capacity(&self) -> io::Result<Capacity> {
        self.inner.capacity()
    }
}

impl File for WatchedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        self.inner.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_cached(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.inner.write_at(offset, bytes);
        // A write that failed because power went may stand in part as well.
        let write = (offset, bytes.to_vec());
        self.unsynced.files().insert(self.path.clone(), write);
        written
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()?;
        self.unsynced.files().remove(&self.path);
        Ok(())
    }
}
