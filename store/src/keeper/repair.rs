//! Putting a replica's copy in the place of a record that cannot be read.

use super::Output;
use crate::{body::Body, damage::DamagedRow, hint::HintRow, place::IndexEntry, store::Store};
use proto::{
    codec::Malformed,
    id::{Position, ShardId},
    record::RecordView,
};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

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

impl Store {
    /// Replaces a damaged row by the copy that a replica sent. The bytes of a record are the same on
    /// all replicas of a region, so the copy is known by its position.
    pub fn repair(&self, shard: ShardId, hash: u64, copy: &[u8]) -> Result<(), RepairError> {
        let _alone = self.keeper.lock();
        if self.progress.settles.load(Ordering::Acquire) > self.synced_through() {
            return Err(RepairError::NotSettled);
        }
        let record = RecordView::parse(copy)?;
        record.verify()?;
        let Some(entry) = self.damaged_entry(shard, hash, &record) else {
            // A read failed once and does so no more, or the row was overwritten.
            self.note_repaired(DamagedRow { shard, hash });
            return Err(RepairError::NotDamaged);
        };
        let body = self.bodies.get(entry.place.slot());
        let row = self
            .stored_row(&body, shard, &entry)?
            .ok_or(RepairError::NotDamaged)?;
        if row.position != record.position() || record.bytes().len() != entry.place.length() {
            return Err(RepairError::OtherPosition {
                wanted: row.position,
                found: record.position(),
            });
        }
        let mut output = Output::create(self, self.progress.appended.load(Ordering::Acquire))?;
        output.push(row, record.bytes().to_vec())?;
        self.publish(output)?;
        self.note_repaired(DamagedRow { shard, hash });
        Ok(())
    }

    /// The index entry of that hash whose record cannot be read.
    fn damaged_entry(
        &self,
        shard: ShardId,
        hash: u64,
        copy: &RecordView<'_>,
    ) -> Option<IndexEntry> {
        let view = self.view_number(copy.view());
        let entries = self.shard(shard)?.rows.read().index.find(hash);
        entries
            .into_iter()
            .filter(|entry| entry.order.view() == view)
            .find(|entry| {
                let body = self.bodies.get(entry.place.slot());
                let mut bytes = vec![0; entry.place.length()];
                let read = body
                    .segment
                    .file()
                    .and_then(|file| file.read_at(entry.place.offset(), &mut bytes));
                read.is_err()
                    || self
                        .sound_record(shard, hash, &body, entry.place, &bytes)
                        .is_none()
            })
    }

    /// What was noted of a row when it was written.
    fn stored_row(
        &self,
        body: &Arc<Body>,
        shard: ShardId,
        entry: &IndexEntry,
    ) -> io::Result<Option<HintRow>> {
        let (hint, content) = {
            let facts = body.facts.lock();
            (
                facts.hint.clone(),
                facts
                    .content
                    .rows
                    .iter()
                    .find(|row| row.place == entry.place)
                    .copied(),
            )
        };
        if content.is_some() {
            return Ok(content);
        }
        let Some(hint) = hint else { return Ok(None) };
        let Some(part) = hint.part(shard) else {
            return Ok(None);
        };
        let rows = hint.rows(part, body.slot, &mut self.views.write())?;
        Ok(rows.into_iter().find(|row| row.place == entry.place))
    }
}
