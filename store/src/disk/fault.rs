//! A disk that fails as disks fail, the same way for the same seed.
//!
//! Every operation that changes something has a number; so has every read. Faults are set for such
//! numbers, so a test runs its work once, counts, and then fails or crashes at each number in turn.
//! A crash loses any part of what was not synced: single sectors of a write, names, lengths.

use super::{Capacity, Disk, File, memory::Tree};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Weak},
};

/// What goes wrong with one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power is lost in the middle of it: it and all later ones fail until [`FaultDisk::crash`].
    PowerLoss,
    /// It fails, nothing is done.
    InputOutput,
    /// No space is left; nothing is done.
    NoSpace,
    /// A write stops halfway and says so.
    ShortWrite,
}

/// The disk. Clones are one disk.
#[derive(Clone)]
pub struct FaultDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    tree: Tree,
    random: u64,
    /// Handles of an earlier life of the machine are void.
    boot: u64,
    powered: bool,
    changes: u64,
    reads: u64,
    change_faults: BTreeMap<u64, Fault>,
    read_faults: BTreeMap<u64, Fault>,
    capacity_bytes: u64,
    cached: bool,
    micros_per_operation: u64,
    micros: u64,
}

struct FaultFile {
    state: Weak<Mutex<State>>,
    inode: u64,
    boot: u64,
}

impl FaultDisk {
    /// An empty disk of 1 TiB whose crashes are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            tree: Tree::default(),
            random: seed ^ 0x9e37_79b9_7f4a_7c15,
            boot: 0,
            powered: true,
            changes: 0,
            reads: 0,
            change_faults: BTreeMap::new(),
            read_faults: BTreeMap::new(),
            capacity_bytes: 1 << 40,
            cached: true,
            micros_per_operation: 0,
            micros: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// How many changing operations were tried so far; the next one has this number.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// How many reads were tried so far; the next one has this number.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    /// Lets the changing operation of that number fail.
    pub fn fail_change(&self, number: u64, fault: Fault) {
        self.state.lock().change_faults.insert(number, fault);
    }

    /// Lets the read of that number fail.
    pub fn fail_read(&self, number: u64, fault: Fault) {
        self.state.lock().read_faults.insert(number, fault);
    }

    /// Takes back all faults that have not happened yet.
    pub fn clear_faults(&self) {
        let mut state = self.state.lock();
        state.change_faults.clear();
        state.read_faults.clear();
    }

    /// Power is lost and comes back: what was not synced is gone in part, open files are void.
    pub fn crash(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let random = &mut state.random;
        // Half of all crashes lose evenly; the others nearly all or nearly nothing.
        let keep_of_16 = [8, 8, 1, 15, 0, 16][(next(random) % 6) as usize];
        state.tree.lose(|| next(random) % 16 < keep_of_16);
        state.start_again();
    }

    /// The process dies and the machine lives on: nothing is lost, open files are void.
    pub fn kill(&self) {
        self.state.lock().start_again();
    }

    /// Flips one bit of a file, on the device and in its cache.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn flip_bit(&self, path: &str, byte: u64, bit: u32) {
        let mut state = self.state.lock();
        let inode = state.tree.names[path];
        let inode = state
            .tree
            .inodes
            .get_mut(&inode)
            .expect("names lead to files");
        let byte = usize::try_from(byte).expect("files lie in memory");
        *inode.now.get_mut(byte).expect("the file has that byte") ^= 1 << bit;
        if let Some(durable) = inode.durable.get_mut(byte) {
            *durable ^= 1 << bit;
        }
    }

    /// Writes beyond this many bytes in all files together find no space.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Whether [`File::read_cached`] finds everything in memory or nothing.
    pub fn set_cached(&self, cached: bool) {
        self.state.lock().cached = cached;
    }

    /// How long each operation takes, for [`Self::take_micros`].
    pub fn set_slowness(&self, micros_per_operation: u64) {
        self.state.lock().micros_per_operation = micros_per_operation;
    }

    /// The time that operations took since this was last asked; the driver lets it pass.
    #[must_use]
    pub fn take_micros(&self) -> u64 {
        std::mem::take(&mut self.state.lock().micros)
    }

    /// All files with their lengths.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state.lock();
        let length = |inode| state.tree.inodes[inode].now.len() as u64;
        state
            .tree
            .names
            .iter()
            .map(|(name, inode)| (name.clone(), length(inode)))
            .collect()
    }

    fn handle(&self, inode: u64, boot: u64) -> Arc<dyn File> {
        Arc::new(FaultFile {
            state: Arc::downgrade(&self.state),
            inode,
            boot,
        })
    }
}

impl State {
    fn start_again(&mut self) {
        self.boot += 1;
        self.powered = true;
        self.change_faults.clear();
        self.read_faults.clear();
    }

    /// Counts a change and says what is to go wrong with it.
    fn change(&mut self) -> io::Result<Option<Fault>> {
        let number = self.changes;
        self.changes += 1;
        self.micros += self.micros_per_operation;
        if !self.powered {
            return Err(no_power());
        }
        match self.change_faults.remove(&number) {
            Some(Fault::InputOutput) => Err(input_output()),
            Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::PowerLoss) => {
                self.powered = false;
                Ok(Some(Fault::PowerLoss))
            }
            other => Ok(other),
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let number = self.reads;
        self.reads += 1;
        self.micros += self.micros_per_operation;
        if !self.powered {
            return Err(no_power());
        }
        if self.read_faults.remove(&number).is_some() {
            Err(input_output())
        } else {
            Ok(())
        }
    }

    /// A change of names or a sync: under a power loss it may or may not have happened.
    fn all_or_nothing(
        &mut self,
        apply: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.change()? {
            Some(Fault::PowerLoss) => {
                if next(&mut self.random).is_multiple_of(2) {
                    let _ = apply(self);
                }
                Err(no_power())
            }
            _ => apply(self),
        }
    }

    fn check_space(&self, more_bytes: u64) -> io::Result<()> {
        let fits = more_bytes == 0 || self.tree.used_bytes() + more_bytes <= self.capacity_bytes;
        if fits {
            Ok(())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, _: &str) -> io::Result<()> {
        self.state.lock().all_or_nothing(|_| Ok(()))
    }

    fn create(&self, path: &str, size_bytes: u64) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let mut made = None;
        state.all_or_nothing(|state| {
            if state.tree.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.check_space(size_bytes)?;
            let length = usize::try_from(size_bytes).expect("files lie in memory");
            let inode = state.tree.create(path, length);
            made = Some(inode);
            Ok(())
        })?;
        Ok(self.handle(made.expect("it was made when nothing failed"), state.boot))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        state.read()?;
        let inode = *state.tree.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(inode, state.boot))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.read()?;
        let below = |name: &String| match (path, name.rsplit_once('/')) {
            ("", None) => Some(name.clone()),
            (_, Some((parent, last))) if parent == path => Some(last.to_owned()),
            _ => None,
        };
        Ok(state.tree.names.keys().filter_map(below).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let rename = |state: &mut State| {
            state
                .tree
                .rename(from, to)
                .ok_or(io::ErrorKind::NotFound.into())
        };
        self.state.lock().all_or_nothing(rename)
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let delete = |state: &mut State| {
            state
                .tree
                .delete(path)
                .ok_or(io::ErrorKind::NotFound.into())
        };
        self.state.lock().all_or_nothing(delete)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.state.lock().all_or_nothing(|state| {
            state.tree.sync_names(path);
            Ok(())
        })
    }

    fn capacity(&self) -> io::Result<Capacity> {
        let state = self.state.lock();
        let free_bytes = state.capacity_bytes.saturating_sub(state.tree.used_bytes());
        Ok(Capacity {
            total_bytes: state.capacity_bytes,
            free_bytes,
        })
    }
}

fn no_power() -> io::Error {
    io::Error::other("the simulated machine has lost power")
}

fn input_output() -> io::Error {
    io::Error::other("simulated input/output error")
}

/// splitmix64: small, and the same everywhere.
pub(super) fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

mod file;
#[cfg(test)]
mod tests;
