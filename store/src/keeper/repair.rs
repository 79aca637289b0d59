//! Putting a replica's copy in the place of a record that cannot be read, and giving such copies.
//!
//! The bytes of a record are the same on all replicas of a region, and none but a record's own entry has
//! its position: a copy is known by it.

use super::Output;
use crate::{
    body::Body,
    damage::DamagedRow,
    hint::HintRow,
    place::{IndexEntry, Order, Place, Slot, key_check},
    segment::SegmentId,
    store::Store,
};
use proto::{
    codec::Malformed,
    id::{Position, ShardId},
    record::RecordView,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    sync::{Arc, atomic::Ordering},
};

/// A damaged row that a copy is looked for.
#[derive(Debug, Clone, Copy)]
pub struct WantedRow {
    /// Which it is.
    pub row: DamagedRow,
    /// The position that its copy has.
    pub position: Position,
    /// What was noted of it when it was written.
    noted: HintRow,
    segment: SegmentId,
    /// Once this group is synced, the row's commit is.
    settles: u64,
}

/// Why a row was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// What came is no record.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The copy is not the damaged record.
    #[error(
        "the copy has position {found} and the damaged record {wanted}; ask a replica that has applied that position, and no later change of the row"
    )]
    OtherPosition {
        /// The damaged record's.
        wanted: Position,
        /// The copy's.
        found: Position,
    },
    /// The copy has the damaged record's position, and is another row or another version of it.
    #[error("the copy is not of the damaged row, though it has its position; ask another replica")]
    OtherRow,
    /// No row of that hash is damaged any more.
    #[error("no damaged row has this hash; nothing to repair")]
    NotDamaged,
    /// The row's commit is not durable, and the copy would outlive it.
    #[error("commits are not durable yet; log and sync them, then repair")]
    NotSettled,
    /// The disk failed.
    #[error("writing the copy failed: {0}; retry")]
    Disk(#[from] io::Error),
}

/// An index entry, and the segment that it points at.
type Pinned = (IndexEntry, Arc<Body>);

/// Rows of segments as their hint files note them, each part read once.
type Noted = BTreeMap<(Slot, ShardId), Vec<HintRow>>;

impl Store {
    /// Damaged rows with the positions of their copies, at most so many of those on the list. What is
    /// damaged no more, because it was overwritten or a read failed in passing, leaves the list.
    pub fn wanted_rows(&self, most: usize) -> io::Result<Vec<WantedRow>> {
        let listed = self.damage.lock().next(most);
        let (mut wanted, mut noted) = (Vec::new(), Noted::new());
        for row in listed {
            let found = self.wanted_of(row, &mut noted)?;
            if found.is_empty() {
                self.note_repaired(row);
            }
            wanted.extend(found);
        }
        Ok(wanted)
    }

    /// The sound records of that hash and position: what another replica needs to repair a row.
    pub fn copies_of(
        &self,
        shard: ShardId,
        hash: u64,
        position: Position,
    ) -> io::Result<Vec<Vec<u8>>> {
        let mut copies = Vec::new();
        for (_, bytes) in self.records_at(shard, hash) {
            let bytes = bytes?;
            let record = RecordView::parse(&bytes).ok();
            let is_it = record
                .is_some_and(|record| record.position() == position && record.verify().is_ok());
            if is_it {
                copies.push(bytes);
            }
        }
        Ok(copies)
    }

    /// Replaces damaged rows by the copies that a replica sent, in one new segment. Says of each what
    /// became of it.
    pub fn repair_rows(
        &self,
        copies: &[(WantedRow, Vec<u8>)],
    ) -> io::Result<Vec<Result<(), RepairError>>> {
        let _alone = self.keeper.lock();
        let mut output = None;
        let mut results = Vec::with_capacity(copies.len());
        for (wanted, copy) in copies {
            let fits = self.check_copy(wanted, copy);
            if fits.is_ok() {
                let born_after = self.progress.appended.load(Ordering::Acquire);
                let output = match &mut output {
                    Some(output) => output,
                    none => none.insert(Output::create(self, born_after)?),
                };
                output.push(wanted.noted, copy[..wanted.noted.place.length()].to_vec())?;
            }
            results.push(fits);
        }
        if let Some(output) = output {
            self.publish(output)?;
        }
        for ((wanted, _), result) in copies.iter().zip(&results) {
            match result {
                Ok(()) => self.damage.lock().note_replaced(),
                Err(RepairError::NotDamaged) => {}
                Err(_) => continue,
            }
            self.note_repaired(wanted.row);
        }
        Ok(results)
    }

    /// Replaces one damaged row by the copy that a replica sent.
    pub fn repair(&self, shard: ShardId, hash: u64, copy: &[u8]) -> Result<(), RepairError> {
        let row = DamagedRow { shard, hash };
        RecordView::parse(copy)?.verify()?;
        let wanted = self.wanted_of(row, &mut Noted::new())?;
        let Some(wanted) = wanted.first() else {
            self.note_repaired(row);
            return Err(RepairError::NotDamaged);
        };
        let mut results = self.repair_rows(&[(*wanted, copy.to_vec())])?;
        results.remove(0)
    }

    /// Whether a copy may take a damaged row's place.
    fn check_copy(&self, wanted: &WantedRow, copy: &[u8]) -> Result<(), RepairError> {
        let noted = &wanted.noted;
        let record = RecordView::parse(copy)?;
        record.verify()?;
        if record.position() != wanted.position {
            return Err(RepairError::OtherPosition {
                wanted: wanted.position,
                found: record.position(),
            });
        }
        let order = Order::new(record.version().event_time, self.view_number(record.view()));
        let is_it = order == noted.order
            && key_check(record.key()) == noted.check
            && record.bytes().len() == noted.place.length();
        if !is_it {
            return Err(RepairError::OtherRow);
        }
        if wanted.settles > self.synced_through() {
            return Err(RepairError::NotSettled);
        }
        let shard = self.shard(wanted.row.shard);
        let stands = shard.is_some_and(|shard| {
            let rows = shard.rows.read();
            rows.index.is_at(noted.hash, noted.place)
                && self.bodies.get(noted.place.slot()).segment.id == wanted.segment
        });
        if stands {
            Ok(())
        } else {
            Err(RepairError::NotDamaged)
        }
    }

    /// The index entries of a damaged row that cannot be read, with what was noted of them.
    fn wanted_of(&self, row: DamagedRow, noted: &mut Noted) -> io::Result<Vec<WantedRow>> {
        let mut wanted = Vec::new();
        let settles = self.progress.settles.load(Ordering::Acquire);
        for ((entry, body), bytes) in self.records_at(row.shard, row.hash) {
            let is_sound = bytes.is_ok_and(|bytes| {
                self.sound_record(row.shard, row.hash, &body, entry.place, &bytes)
                    .is_some()
            });
            if is_sound {
                continue;
            }
            if let Some(noted) = self.noted_row(&body, row.shard, entry.place, noted)? {
                wanted.push(WantedRow {
                    row,
                    position: noted.position,
                    noted,
                    segment: body.segment.id,
                    settles,
                });
            }
        }
        Ok(wanted)
    }

    /// What lies where the index points to.
    fn records_at(&self, shard: ShardId, hash: u64) -> Vec<(Pinned, io::Result<Vec<u8>>)> {
        let Some(shard) = self.shard(shard) else {
            return Vec::new();
        };
        let found = {
            let rows = shard.rows.read();
            let pinned = |entry: IndexEntry| (entry, self.bodies.get(entry.place.slot()));
            rows.index
                .find(hash)
                .into_iter()
                .map(pinned)
                .collect::<Vec<_>>()
        };
        let read = |(entry, body): Pinned| {
            let mut bytes = vec![0; entry.place.length()];
            let file = body.segment.file();
            let read = file.and_then(|file| file.read_at(entry.place.offset(), &mut bytes));
            ((entry, body), read.map(|()| bytes))
        };
        found.into_iter().map(read).collect()
    }

    /// What was noted of a row when it was written.
    fn noted_row(
        &self,
        body: &Arc<Body>,
        shard: ShardId,
        place: Place,
        noted: &mut Noted,
    ) -> io::Result<Option<HintRow>> {
        let hint = {
            let facts = body.facts.lock();
            let content = facts.content.rows.iter().find(|row| row.place == place);
            if content.is_some() {
                return Ok(content.copied());
            }
            facts.hint.clone()
        };
        let Some((hint, part)) = hint
            .as_ref()
            .and_then(|hint| hint.part(shard).map(|part| (hint, part)))
        else {
            return Ok(None);
        };
        let rows = match noted.entry((body.slot, shard)) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(none) => {
                none.insert(hint.rows(part, body.slot, &mut self.views.write())?)
            }
        };
        Ok(rows.iter().find(|row| row.place == place).copied())
    }
}
