//! Appending: check that entries follow, form groups, remember the rows as pending.

use super::{Writer, group_runs};
use crate::{
    body::Body,
    error::AppendError,
    pending::{PendingEntry, PendingRow},
    preface::LogPreface,
    segment::{self, GroupPlace},
    state::LogEnd,
};
use bytes::Bytes;
use proto::{
    entry::{EntryHeader, EntryView},
    id::{Position, ShardId},
};
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

/// An entry to be appended.
#[derive(Debug, Clone)]
pub struct NewEntry<'a> {
    /// Its bytes; who took them from elsewhere has verified them.
    pub bytes: Bytes,
    /// The index hash of each indexed record, in their order.
    pub hashes: &'a [u64],
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The entries are durable once the log is synced through this group.
    pub group: u64,
}

struct Checked {
    header: EntryHeader,
    bytes: Bytes,
    rows: SmallVec<[PendingRow; 1]>,
}

impl Writer {
    /// Appends entries, of any shards, each following its shard's last one. They are in memory
    /// then; nothing is written yet.
    pub fn append(&mut self, entries: &[NewEntry<'_>]) -> Result<Appended, AppendError> {
        let checked = self.check(entries)?;
        let mut left = checked.into_iter();
        let runs = group_runs(entries.iter().map(|entry| entry.bytes.len()));
        let mut group = self.log.last_group();
        for run in runs {
            let appended = run.start;
            let batch: Vec<Checked> = left.by_ref().take(run.len()).collect();
            group = self
                .append_run(batch)
                .map_err(|error| AppendError::Log { error, appended })?;
        }
        Ok(Appended { group })
    }

    /// Appends the entries of one group and makes them pending.
    fn append_run(&mut self, run: Vec<Checked>) -> Result<u64, segment::AppendError> {
        let hashes = run
            .iter()
            .flat_map(|entry| &entry.rows)
            .map(|row| row.hash)
            .collect();
        let parts: Vec<&[u8]> = run.iter().map(|entry| entry.bytes.as_ref()).collect();
        let (body, place) = self.append_group(hashes, &parts, run.len() as u32)?;
        body.facts.lock().unsettled += run.len() as u64;
        let mut offset = place.payload_offset;
        for entry in run {
            let length = entry.bytes.len() as u64;
            self.make_pending(entry, (Arc::clone(&body), offset, place.number));
            offset += length;
        }
        Ok(place.number)
    }

    fn make_pending(&mut self, entry: Checked, (body, offset, group): (Arc<Body>, u64, u64)) {
        let Checked {
            header,
            bytes,
            rows,
        } = entry;
        self.store
            .tail
            .lock()
            .push(header.shard, header.position, bytes.clone());
        self.store.shard_or_new(header.shard);
        let shard = self.shards.entry(header.shard).or_default();
        shard.last = LogEnd {
            epoch: header.epoch,
            position: header.position,
        };
        shard.pending.push(PendingEntry {
            header,
            bytes,
            body,
            offset,
            group,
            rows,
        });
    }

    /// Checks all entries before the first is appended.
    fn check(&self, entries: &[NewEntry<'_>]) -> Result<Vec<Checked>, AppendError> {
        let mut lasts = BTreeMap::<ShardId, Position>::new();
        let mut checked = Vec::with_capacity(entries.len());
        for entry in entries {
            let view = EntryView::parse(&entry.bytes)?;
            let header = *view.header();
            let last = lasts
                .entry(header.shard)
                .or_insert_with(|| self.last(header.shard).position);
            if header.position != last.next() || !header.kind.is_replicated() {
                return Err(AppendError::OutOfOrder {
                    shard: header.shard,
                    last: *last,
                    position: header.position,
                });
            }
            *last = header.position;
            let rows =
                PendingEntry::rows_of(&view, entry.hashes).ok_or_else(|| AppendError::Hashes {
                    shard: header.shard,
                    rows: view
                        .records()
                        .filter(|(_, record)| record.kind().is_indexed())
                        .count(),
                    hashes: entry.hashes.len(),
                })?;
            checked.push(Checked {
                header,
                bytes: entry.bytes.clone(),
                rows,
            });
        }
        Ok(checked)
    }

    /// Appends entries of this store alone.
    pub(crate) fn append_internal(
        &mut self,
        entries: &[Bytes],
    ) -> Result<(Arc<Body>, GroupPlace), segment::AppendError> {
        let parts: Vec<&[u8]> = entries.iter().map(AsRef::as_ref).collect();
        self.append_group(Vec::new(), &parts, entries.len() as u32)
    }

    /// Appends one group, with the commit points that wait for one. A segment begins with the
    /// states of all shards.
    pub(crate) fn append_group(
        &mut self,
        hashes: Vec<u64>,
        parts: &[&[u8]],
        entries: u32,
    ) -> Result<(Arc<Body>, GroupPlace), segment::AppendError> {
        let commits = self
            .unlogged
            .iter()
            .map(|(shard, position)| (*shard, *position))
            .collect();
        let preface = LogPreface { commits, hashes }.encode();
        let payload_bytes = parts.iter().map(|part| part.len()).sum();
        if self.log.would_start_segment(preface.len(), payload_bytes) {
            self.log.start_segment()?;
            self.append_head()?;
        }
        let place = self.log.append(&preface, parts, entries)?;
        self.unlogged.clear();
        let body = self.current_body();
        body.facts.lock().last_group = place.number;
        let progress = &self.store.progress;
        progress.appended.store(place.number, Ordering::Release);
        progress.settles.store(place.number, Ordering::Release);
        Ok((body, place))
    }

    pub(super) fn append_head(&mut self) -> Result<(), segment::AppendError> {
        let head = self.head_of_segment();
        for run in group_runs(head.iter().map(Bytes::len)) {
            let parts: Vec<&[u8]> = head[run].iter().map(AsRef::as_ref).collect();
            let place =
                self.log
                    .append(&LogPreface::default().encode(), &parts, parts.len() as u32)?;
            self.current_body().facts.lock().last_group = place.number;
        }
        let head = self.log.last_group();
        for body in self.store.bodies.all() {
            let mut facts = body.facts.lock();
            if facts.end.is_some() && facts.unsettled == 0 {
                facts.covered_by.get_or_insert(head);
            }
        }
        Ok(())
    }
}
