//! The disk of a real machine: `pread`, `pwrite`, `fdatasync`, and `RWF_NOWAIT` for what is cached.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the one place that touches files"
)]

use super::{Capacity, Disk, File, IoBytes};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// New files are filled in pieces of this size.
const ZEROS: &[u8; 1 << 20] = &[0; 1 << 20];

/// A directory of the machine's file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    moved: Arc<Moved>,
}

/// Bytes read and written.
#[derive(Debug, Default)]
struct Moved {
    read: AtomicU64,
    written: AtomicU64,
}

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    moved: Arc<Moved>,
}

impl RealDisk {
    /// The tree below `root`, which is made when it is not there.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        let moved = Arc::default();
        Ok(Self { root, moved })
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    fn counted(&self, file: fs::File) -> Arc<dyn File> {
        let moved = Arc::clone(&self.moved);
        Arc::new(RealFile { file, moved })
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path))
    }

    fn create(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>> {
        let path = self.path(path);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = fill_with_zeros(&file, size_bytes) {
            // Half a file would count against the space that was just found missing.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.moved.written.fetch_add(size_bytes, Ordering::Relaxed);
        Ok(self.counted(file))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(path))?;
        Ok(self.counted(file))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        fs::File::open(self.path(path))?.sync_all()
    }

    fn capacity(&self) -> io::Result<Capacity> {
        capacity_of(&self.root)
    }

    fn io_bytes(&self) -> IoBytes {
        IoBytes {
            read: self.moved.read.load(Ordering::Relaxed),
            written: self.moved.written.load(Ordering::Relaxed),
        }
    }
}

impl File for RealFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)?;
        let bytes = buffer.len() as u64;
        self.moved.read.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        read_without_waiting(&self.file, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        let written = bytes.len() as u64;
        self.moved.written.fetch_add(written, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Zeros that are written make later overwrites cheaper to sync than reserved blocks, whose
/// metadata changes with the first write.
fn fill_with_zeros(mut file: &fs::File, size_bytes: u64) -> io::Result<()> {
    let mut left = size_bytes;
    while left > 0 {
        let piece = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..usize::try_from(piece).expect("at most 1 MiB")])?;
        left -= piece;
    }
    file.sync_all()
}

#[cfg(target_os = "linux")]
fn read_without_waiting(file: &fs::File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut done = 0;
    while done < buffer.len() {
        let slice = io::IoSliceMut::new(&mut buffer[done..]);
        match preadv2(
            file,
            &mut [slice],
            offset + done as u64,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            // Some file systems know no NOWAIT: their reads go to the read threads.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn read_without_waiting(_: &fs::File, _: u64, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

fn capacity_of(root: &Path) -> io::Result<Capacity> {
    let stat = rustix::fs::statvfs(root)?;
    Ok(Capacity {
        total_bytes: stat.f_blocks * stat.f_frsize,
        free_bytes: stat.f_bavail * stat.f_frsize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        (dir, disk)
    }

    #[test]
    fn a_new_file_reads_as_zeros_and_then_as_what_was_written() {
        let (_dir, disk) = disk();
        let file = disk.create("a", 3 << 19).unwrap();
        let mut bytes = [1; 4];
        file.read_at((3 << 19) - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4]);
        file.write_at(1, b"abc").unwrap();
        file.sync().unwrap();
        disk.open("a").unwrap().read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"\0abc");
        assert!(file.read_at((3 << 19) - 3, &mut bytes).is_err());
    }

    #[test]
    fn cached_bytes_are_read_without_waiting_or_refused() {
        let (_dir, disk) = disk();
        let file = disk.create("a", 0).unwrap();
        file.write_at(0, b"abcd").unwrap();
        let mut bytes = [0; 4];
        match file.read_cached(0, &mut bytes) {
            Ok(()) => assert_eq!(&bytes, b"abcd"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }

    #[test]
    fn names_are_listed_sorted_renamed_and_deleted() {
        let (_dir, disk) = disk();
        disk.create_dir("x/y").unwrap();
        for name in ["x/y/b", "x/y/a", "x/y/c"] {
            disk.create(name, 0).unwrap();
        }
        disk.rename("x/y/a", "x/y/d").unwrap();
        disk.delete("x/y/b").unwrap();
        disk.sync_dir("x/y").unwrap();
        assert_eq!(disk.list("x/y").unwrap(), ["c", "d"]);
        assert_eq!(disk.list("none").unwrap(), Vec::<String>::new());
        assert!(
            disk.create("x/y/c", 0).is_err(),
            "a file that is there is never overwritten"
        );
        assert!(disk.capacity().unwrap().total_bytes > 0);
    }

    #[test]
    fn a_batch_reads_neighbours_and_strangers_alike() {
        let (_dir, disk) = disk();
        let file = disk.create("a", 1 << 20).unwrap();
        let other = disk.create("b", 0).unwrap();
        file.write_at(100, b"near").unwrap();
        file.write_at(900_000, b"afar").unwrap();
        other.write_at(0, b"else").unwrap();
        let read = |file: &Arc<dyn File>, offset| super::super::BatchRead {
            tag: 0,
            file: Arc::clone(file),
            offset,
            buffer: vec![0; 4],
            result: Ok(()),
        };
        let mut reads = [
            read(&file, 900_000),
            read(&other, 0),
            read(&file, 100),
            read(&file, 104),
            read(&other, 9),
        ];
        disk.read_batch(&mut reads);
        let mut found: Vec<_> = reads
            .iter()
            .map(|read| {
                (
                    read.offset,
                    read.result.is_ok(),
                    String::from_utf8_lossy(&read.buffer).into_owned(),
                )
            })
            .collect();
        found.sort();
        let expected = [
            (0, true, "else"),
            (9, false, "\0\0\0\0"),
            (100, true, "near"),
            (104, true, "\0\0\0\0"),
            (900_000, true, "afar"),
        ];
        assert_eq!(
            found,
            expected.map(|(at, ok, text)| (at, ok, text.to_owned()))
        );
    }
}
