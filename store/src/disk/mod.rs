//! The disk as the store sees it: files of one directory tree, read and written at offsets.
//!
//! Two implementations: [`RealDisk`] and, for tests and the simulator, [`FaultDisk`], which keeps
//! files in memory and loses, tears and refuses what real disks lose, tear and refuse. Errors are
//! plain `io::Error`s; what they mean is decided by the callers.
//!
//! Paths are relative to the tree's root, with `/` between names. A write is durable after the
//! file's [`File::sync`]; a name (created, renamed, deleted) after its directory's
//! [`Disk::sync_dir`].

mod fault;
mod memory;
mod real;

pub use fault::{Fault, FaultDisk};
pub use real::RealDisk;

use std::{io, sync::Arc};

/// Cold reads of one file that lie this close together are made as one.
const NEIGHBOUR_BYTES: u64 = 4 << 10;

/// Bytes of the file system under a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// All of them.
    pub total_bytes: u64,
    /// Those an unprivileged process can still use.
    pub free_bytes: u64,
}

/// Bytes of files that were read and written. Reads that wait for nothing are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoBytes {
    /// Read.
    pub read: u64,
    /// Written, the zeros of new files among them.
    pub written: u64,
}

/// One read of a batch. Its bytes come into `buffer`, whose length says how many are wanted.
pub struct BatchRead {
    /// The caller's mark: the batch is reordered.
    pub tag: usize,
    /// Where to read.
    pub file: Arc<dyn File>,
    /// From which byte on.
    pub offset: u64,
    /// What was read.
    pub buffer: Vec<u8>,
    /// Whether the whole buffer was filled.
    pub result: io::Result<()>,
}

/// A tree of files.
pub trait Disk: Send + Sync {
    /// Makes a directory and those above it. One that is there already is fine.
    fn create_dir(&self, path: &str) -> io::Result<()>;
    /// Makes a new file of `size_bytes` zeros that are written, not merely reserved.
    fn create(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>>;
    /// Opens a file that is there, for reading and writing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>>;
    /// The names in a directory, sorted; none where there is no such directory.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file's name away; who has it open may go on reading.
    fn delete(&self, path: &str) -> io::Result<()>;
    /// Makes a directory's names durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// Total and free bytes.
    fn capacity(&self) -> io::Result<Capacity>;

    /// What was read and written since the disk was opened; nothing where that is not counted.
    fn io_bytes(&self) -> IoBytes {
        IoBytes::default()
    }

    /// Carries out reads that may have to wait for the device, neighbours together.
    fn read_batch(&self, reads: &mut [BatchRead]) {
        reads.sort_by_key(|read| (Arc::as_ptr(&read.file).addr(), read.offset));
        let mut start = 0;
        while start < reads.len() {
            let end = start + neighbours(&reads[start..]);
            read_together(&mut reads[start..end]);
            start = end;
        }
    }
}

/// A file of a [`Disk`].
pub trait File: Send + Sync {
    /// Its length.
    fn size_bytes(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`; an end of file before that is `UnexpectedEof`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// As [`File::read_at`], but `WouldBlock` where the device would have to be asked.
    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was written durable, and the length.
    fn sync(&self) -> io::Result<()>;
}

/// How many of the first reads lie in one file and close together. At least one.
fn neighbours(reads: &[BatchRead]) -> usize {
    let end_of = |read: &BatchRead| read.offset + read.buffer.len() as u64;
    let far = reads.windows(2).position(|pair| {
        !Arc::ptr_eq(&pair[0].file, &pair[1].file)
            || pair[1].offset > end_of(&pair[0]) + NEIGHBOUR_BYTES
    });
    far.map_or(reads.len(), |last| last + 1)
}

fn read_together(reads: &mut [BatchRead]) {
    if let [only] = reads {
        only.result = only.file.read_at(only.offset, &mut only.buffer);
        return;
    }
    let start = reads[0].offset;
    let end = reads
        .iter()
        .map(|read| read.offset + read.buffer.len() as u64)
        .max()
        .unwrap_or(start);
    let mut span = vec![0; usize::try_from(end - start).expect("a batch's reads fit memory")];
    let whole = reads[0].file.read_at(start, &mut span);
    for read in reads {
        // One bad sector must not fail its neighbours: they are then read alone.
        if whole.is_err() {
            read.result = read.file.read_at(read.offset, &mut read.buffer);
            continue;
        }
        let at = usize::try_from(read.offset - start).expect("within the span");
        let length = read.buffer.len();
        read.buffer.copy_from_slice(&span[at..at + length]);
        read.result = Ok(());
    }
}
