//! Files in memory with two states each: what a running process reads, and what a power loss leaves.
//!
//! No faults here and no decisions: [`super::fault`] says when to fail and what survives.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// The unit that a device writes whole; pages of 4 KiB are torn between such units.
pub(super) const SECTOR: usize = 512;

/// Bytes of a file. Zeros at its end take no memory: segments are made long before they are full.
#[derive(Debug, Default, Clone)]
pub(super) struct Content {
    /// What comes before the zeros.
    bytes: Vec<u8>,
    length: usize,
}

/// A file's content apart from its names.
#[derive(Debug, Default, Clone)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) now: Content,
    /// What stands on the device for certain.
    pub(super) durable: Content,
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

impl Content {
    fn zeros(length: usize) -> Self {
        Self {
            bytes: Vec::new(),
            length,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Fills `buffer` from `offset` on, unless the file ends before.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> Option<()> {
        if offset + buffer.len() > self.length {
            return None;
        }
        let kept = self.bytes.get(offset..).unwrap_or_default();
        let (front, zeros) = buffer.split_at_mut(kept.len().min(buffer.len()));
        front.copy_from_slice(&kept[..front.len()]);
        zeros.fill(0);
        Some(())
    }

    /// The byte at `place`, to be changed.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut u8> {
        (place < self.length).then(|| &mut self.kept(place..place + 1)[0])
    }

    /// Writes within the length.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        debug_assert!(end <= self.length, "writes grow the file first");
        if end >= self.bytes.len() && bytes.iter().all(|byte| *byte == 0) {
            self.bytes.truncate(offset);
            return;
        }
        self.kept(offset..end).copy_from_slice(bytes);
    }

    /// The range as bytes that are kept.
    fn kept(&mut self, range: Range<usize>) -> &mut [u8] {
        if self.bytes.len() < range.end {
            self.bytes.resize(range.end, 0);
        }
        &mut self.bytes[range]
    }

    fn resize(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.length = length;
    }
}

impl Inode {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            // Zeros between the old end and the write are new too.
            self.dirty
                .extend(self.now.len() / SECTOR..end.div_ceil(SECTOR));
            self.now.resize(end);
        }
        self.now.write(offset, bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    /// A new file's content: as many zeros, durable as they are.
    pub(super) fn zeros(length: usize) -> Self {
        Self {
            now: Content::zeros(length),
            durable: Content::zeros(length),
            dirty: BTreeSet::new(),
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.now.len());
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
            self.durable.resize(self.now.len());
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
            let mut bytes = [0; SECTOR];
            let bytes = &mut bytes[..end - start];
            self.now.read(start, bytes).expect("the range lies in both");
            self.durable.write(start, bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes, cuts and reads like the plain vector that it stands for.
    #[test]
    fn content_is_what_a_vector_would_hold() {
        let mut content = Content::default();
        let mut plain: Vec<u8> = Vec::new();
        let mut random = 1;
        for step in 0..2_000 {
            random = crate::disk::fault::next(&mut random);
            let offset = (random >> 8) as usize % 300;
            let bytes = vec![(random % 3) as u8; (random >> 20) as usize % 50];
            if step % 7 == 0 {
                content.resize(offset);
                plain.resize(offset, 0);
                continue;
            }
            let length = plain.len().max(offset + bytes.len());
            content.resize(length);
            plain.resize(length, 0);
            content.write(offset, &bytes);
            plain[offset..offset + bytes.len()].copy_from_slice(&bytes);
            if let Some(byte) = content.get_mut(offset) {
                *byte ^= 4;
                plain[offset] ^= 4;
            }
            let mut read = vec![9; length];
            content.read(0, &mut read).unwrap();
            assert_eq!(read, plain, "after step {step}");
            assert_eq!(content.read(1, &mut read), None);
        }
    }

    #[test]
    fn zeros_take_no_memory() {
        let mut inode = Inode::zeros(16 << 20);
        inode.write(512, &[1; 512]);
        inode.write(4_096, &[0; 4_096]);
        inode.sync();
        assert_eq!((inode.now.len(), inode.durable.len()), (16 << 20, 16 << 20));
        assert_eq!(
            (inode.now.bytes.len(), inode.durable.bytes.len()),
            (1_024, 1_024)
        );
    }
}
