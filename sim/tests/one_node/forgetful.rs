//! A disk with a cache that it denies: from some sync on, what the store writes goes into the cache and
//! counts as synced, and with the node's first life it is gone. From the second life on it is honest.

use sim::world::Between;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use store::disk::{Capacity, Disk, File};

/// How many syncs are true: by then the cluster is founded and the first writes are taken.
const TRUE_SYNCS: u64 = 60;

/// Files as the cache has them, by path.
type Files = BTreeMap<String, Vec<u8>>;

/// One life's cache.
#[derive(Clone)]
struct Cache {
    files: Arc<Mutex<Files>>,
    syncs: Arc<AtomicU64>,
    is_honest: bool,
}

struct Forgetful {
    inner: Arc<dyn Disk>,
    cache: Cache,
}

struct CachedFile {
    inner: Arc<dyn File>,
    path: String,
    cache: Cache,
}

/// The disk for one run.
pub fn forgets_its_first_life() -> Between {
    let lives = AtomicU64::new(0);
    Arc::new(move |inner| {
        let cache = Cache {
            files: Arc::default(),
            syncs: Arc::default(),
            is_honest: lives.fetch_add(1, Ordering::Relaxed) > 0,
        };
        Arc::new(Forgetful { inner, cache })
    })
}

impl Cache {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn takes_writes_to(&self, path: &str) -> bool {
        let lies = !self.is_honest && self.syncs.load(Ordering::Relaxed) >= TRUE_SYNCS;
        lies && path.starts_with("store/")
    }
}

impl Forgetful {
    fn file(&self, path: &str, inner: Arc<dyn File>) -> Arc<dyn File> {
        let (path, cache) = (path.to_owned(), self.cache.clone());
        Arc::new(CachedFile { inner, path, cache })
    }
}

impl Disk for Forgetful {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn create(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>> {
        Ok(self.file(path, self.inner.create(path, size_bytes)?))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(path, self.inner.open(path)?))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.inner.list(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let mut files = self.cache.files();
        if let Some(file) = files.remove(from) {
            files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        self.cache.files().remove(path);
        self.inner.delete(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn capacity(&self) -> io::Result<Capacity> {
        self.inner.capacity()
    }
}

impl File for CachedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        match self.cache.files().get(&self.path) {
            Some(file) => Ok(file.len() as u64),
            None => self.inner.size_bytes(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.cache.files().get(&self.path) {
            Some(file) => {
                let start = offset as usize;
                let bytes = file.get(start..start + buffer.len());
                buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            None => self.inner.read_at(offset, buffer),
        }
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.cache.files();
        if !files.contains_key(&self.path) {
            if !self.cache.takes_writes_to(&self.path) {
                return self.inner.write_at(offset, bytes);
            }
            let mut content = vec![0; self.inner.size_bytes()? as usize];
            self.inner.read_at(0, &mut content)?;
            files.insert(self.path.clone(), content);
        }
        let file = files.get_mut(&self.path).expect("it was just made");
        let end = offset as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.cache.syncs.fetch_add(1, Ordering::Relaxed);
        if self.cache.files().contains_key(&self.path) {
            Ok(())
        } else {
            self.inner.sync()
        }
    }
}
