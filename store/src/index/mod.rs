//! One shard's index in memory: from a row's hash to its place. Committed rows only.
//!
//! Tables of at most 8,192 buckets; a full one splits in two by the next bit of the hash, so a
//! writer never holds readers for longer than one such split. Two keys of equal hash are two
//! entries; whose they are is found out by reading their records.

use crate::place::{IndexEntry, Place};
use hashbrown::{HashTable, hash_table::OccupiedEntry};
use smallvec::SmallVec;

/// Entries of a full table: seven eighths of 8,192 buckets.
const TABLE_ENTRIES: usize = 7_168;
/// Splits end here; more rows of one hash prefix than this only make a table grow.
const DEPTH_MAX: u32 = 28;
/// The table's own tag and bucket come from the hash's ends; the directory takes bits between.
const DIRECTORY_ROTATION: u32 = 16;

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    /// One table per prefix of `depth` bits; neighbours share a table that did not split yet.
    directory: Vec<u32>,
    depth: u32,
    tables: Vec<Table>,
    entries: usize,
}

#[derive(Debug)]
struct Table {
    depth: u32,
    entries: HashTable<IndexEntry>,
}

/// Where a walk over the index stands. Rows that move to other tables are neither missed nor seen
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cursor(u64);

impl Default for Index {
    fn default() -> Self {
        Self {
            directory: vec![0],
            depth: 0,
            tables: vec![Table::new(0)],
            entries: 0,
        }
    }
}

impl Table {
    fn new(depth: u32) -> Self {
        Self {
            depth,
            entries: HashTable::new(),
        }
    }
}

/// The hash as walks and the directory order it.
pub(crate) const fn walk_order(hash: u64) -> u64 {
    hash.rotate_left(DIRECTORY_ROTATION)
}

impl Index {
    /// Rows in the index.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self
            .tables
            .iter()
            .map(|table| table.entries.allocation_size())
            .sum();
        tables + self.directory.len() * 4 + self.tables.len() * size_of::<Table>()
    }

    /// All entries of that hash; nearly always one or none.
    pub(crate) fn find(&self, hash: u64) -> SmallVec<[IndexEntry; 1]> {
        let table = &self.tables[self.table_of(hash)];
        table
            .entries
            .iter_hash(hash)
            .filter(|entry| entry.hash == hash)
            .copied()
            .collect()
    }

    /// Puts `entry` in the place of the one of its hash that `is_same` picks, or beside the others.
    pub(crate) fn upsert(
        &mut self,
        entry: IndexEntry,
        mut is_same: impl FnMut(&IndexEntry) -> bool,
    ) -> Option<IndexEntry> {
        let at = self.table_of(entry.hash);
        let table = &mut self.tables[at].entries;
        let old = table.find_mut(entry.hash, |other| {
            other.hash == entry.hash && is_same(other)
        });
        if let Some(old) = old {
            return Some(std::mem::replace(old, entry));
        }
        self.insert(entry);
        None
    }

    /// Adds `entry` beside all others.
    pub(crate) fn insert(&mut self, entry: IndexEntry) {
        let mut at = self.table_of(entry.hash);
        while self.tables[at].entries.len() >= TABLE_ENTRIES && self.tables[at].depth < DEPTH_MAX {
            self.split(at);
            at = self.table_of(entry.hash);
        }
        self.tables[at]
            .entries
            .insert_unique(entry.hash, entry, |entry| entry.hash);
        self.entries += 1;
    }

    /// Gives the row at `from` the place `to`. False if it moved or went in the meantime.
    pub(crate) fn move_row(&mut self, hash: u64, from: Place, to: Place) -> bool {
        let at = self.table_of(hash);
        let found = self.tables[at]
            .entries
            .find_mut(hash, |entry| entry.hash == hash && entry.place == from);
        found.map(|entry| entry.place = to).is_some()
    }

    /// Removes the row at `place`.
    pub(crate) fn remove(&mut self, hash: u64, place: Place) -> bool {
        let at = self.table_of(hash);
        let found = self.tables[at]
            .entries
            .find_entry(hash, |entry| entry.hash == hash && entry.place == place);
        let found = found.map(OccupiedEntry::remove).is_ok();
        self.entries -= usize::from(found);
        found
    }

    /// Whether a row lies there.
    pub(crate) fn is_at(&self, hash: u64, place: Place) -> bool {
        let table = &self.tables[self.table_of(hash)];
        table
            .entries
            .find(hash, |entry| entry.hash == hash && entry.place == place)
            .is_some()
    }

    /// The rows of the next table from `cursor` on, in no order, and where the walk goes on.
    pub(crate) fn walk(&self, cursor: Cursor) -> (Vec<IndexEntry>, Option<Cursor>) {
        let prefix = self.prefix_of(cursor.0);
        let table = &self.tables[self.directory[prefix] as usize];
        let from_cursor = |entry: &&IndexEntry| walk_order(entry.hash) >= cursor.0;
        let entries = table.entries.iter().filter(from_cursor).copied().collect();
        let span = 64 - table.depth;
        let next = if span == 64 {
            None
        } else {
            ((cursor.0 >> span) + 1).checked_shl(span)
        };
        // The last table's end wraps around to nothing.
        (entries, next.filter(|next| *next > cursor.0).map(Cursor))
    }

    fn table_of(&self, hash: u64) -> usize {
        self.directory[self.prefix_of(walk_order(hash))] as usize
    }

    fn prefix_of(&self, order: u64) -> usize {
        if self.depth == 0 {
            0
        } else {
            (order >> (64 - self.depth)) as usize
        }
    }

    fn split(&mut self, at: usize) {
        if self.tables[at].depth == self.depth {
            self.directory = self
                .directory
                .iter()
                .flat_map(|table| [*table, *table])
                .collect();
            self.depth += 1;
        }
        let depth = self.tables[at].depth + 1;
        let full = std::mem::replace(&mut self.tables[at], Table::new(depth));
        let new = u32::try_from(self.tables.len()).expect("2^28 tables at most");
        self.tables.push(Table::new(depth));
        for entry in full.entries {
            let upper = walk_order(entry.hash) >> (64 - depth) & 1 == 1;
            let half = if upper { new as usize } else { at };
            self.tables[half]
                .entries
                .insert_unique(entry.hash, entry, |entry| entry.hash);
        }
        // The table's run in the directory: its upper half now leads to the new one.
        let bit = self.depth - depth;
        for (prefix, table) in self.directory.iter_mut().enumerate() {
            if *table as usize == at && prefix >> bit & 1 == 1 {
                *table = new;
            }
        }
    }
}

#[cfg(test)]
mod tests;
