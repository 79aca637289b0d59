//! Files in memory with two states each: what a running process reads, and what a power loss leaves.
//!
//! No faults here and no decisions: [`super::fault`] says when to fail and what survives.

use std::collections::{BTreeMap, BTreeSet};

/// The unit that a device writes whole; pages of 4 KiB are torn between such units.
pub(super) const SECTOR: usize = 512;

/// A file's content apart from its names.
#[derive(Debug, Default, Clone)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) now: Vec<u8>,
    /// What stands on the device for certain.
    pub(super) durable: Vec<u8>,
    /// Sectors of `now` that were written since the last sync.
    pub(super) dirty: BTreeSet<usize>,
}

/// A change of a directory's names, in the order in which it was made.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(String, u64),
    Remove(String),
    Move(String, String, u64),
}

/// All files, their names now and their names after a power loss.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    changes: Vec<NameChange>,
    next_inode: u64,
}

impl Inode {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            // Zeros between the old end and the write are new too.
            self.dirty
                .extend(self.now.len() / SECTOR..end.div_ceil(SECTOR));
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    /// A new file's content: as many zeros, durable as they are.
    pub(super) fn zeros(length: usize) -> Self {
        Self {
            now: vec![0; length],
            durable: vec![0; length],
            dirty: BTreeSet::new(),
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.copy_sector(sector);
        }
    }

    /// A power loss: of the sectors that were not synced those survive that `survives` picks.
    pub(super) fn lose(&mut self, mut survives: impl FnMut() -> bool) {
        if self.dirty.is_empty() && self.now.len() == self.durable.len() {
            return;
        }
        if self.now.len() != self.durable.len() && survives() {
            self.durable.resize(self.now.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if survives() {
                self.copy_sector(sector);
            }
        }
        self.now.clone_from(&self.durable);
    }

    fn copy_sector(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.now.len()).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}

impl Tree {
    pub(super) fn create(&mut self, path: &str, length: usize) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::zeros(length));
        self.names.insert(path.to_owned(), inode);
        self.changes.push(NameChange::Set(path.to_owned(), inode));
        inode
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let inode = self.names.remove(from)?;
        self.names.insert(to.to_owned(), inode);
        self.changes
            .push(NameChange::Move(from.to_owned(), to.to_owned(), inode));
        Some(())
    }

    pub(super) fn delete(&mut self, path: &str) -> Option<()> {
        self.names.remove(path)?;
        self.changes.push(NameChange::Remove(path.to_owned()));
        Some(())
    }

    /// Makes the names below `directory` durable.
    pub(super) fn sync_names(&mut self, directory: &str) {
        for change in std::mem::take(&mut self.changes) {
            if change.is_in(directory) {
                self.make_durable(change);
            } else {
                self.changes.push(change);
            }
        }
    }

    /// A power loss: of the name changes that were not synced those survive that `survives` picks.
    pub(super) fn lose(&mut self, mut survives: impl FnMut() -> bool) {
        for change in std::mem::take(&mut self.changes) {
            if survives() {
                self.make_durable(change);
            }
        }
        self.names = self.durable_names.clone();
        for inode in self.inodes.values_mut() {
            inode.lose(&mut survives);
        }
        self.forget_nameless();
    }

    /// Content that no name leads to, now or after a power loss, once nobody reads it any more.
    fn forget_nameless(&mut self) {
        let named: BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn make_durable(&mut self, change: NameChange) {
        match change {
            NameChange::Set(path, inode) => {
                self.durable_names.insert(path, inode);
            }
            NameChange::Remove(path) => {
                self.durable_names.remove(&path);
            }
            NameChange::Move(from, to, inode) => {
                self.durable_names.remove(&from);
                self.durable_names.insert(to, inode);
            }
        }
    }

    /// Bytes that count against the capacity.
    pub(super) fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .map(|inode| self.inodes[inode].now.len() as u64)
            .sum()
    }
}

impl NameChange {
    fn is_in(&self, directory: &str) -> bool {
        let (Self::Set(path, _) | Self::Remove(path) | Self::Move(path, ..)) = self;
        path.rsplit_once('/').map_or("", |(parent, _)| parent) == directory
    }
}
