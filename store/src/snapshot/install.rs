//! Installing a snapshot: the shard starts empty, its rows come as base segments, and it is whole
//! when a state says so in the log. Before that a restart finds it empty.
//!
//! The writer begins and ends it. What lies between, reading chunks and writing rows, needs the
//! writer no more than compaction does and belongs on a thread with time.

use super::chunk::{self, SnapshotChunk, Trailer};
use crate::{
    hint::HintRow,
    keeper::{Moved, Output, Published},
    place::{Order, Place, Slot, key_check},
    segment,
    settings::ROWS_PER_LOCK,
    shard::{Rows, Shard},
    state::{Carried, Condition, LogEnd, ShardState, StateRecord},
    store::Store,
    writer::Writer,
};
use proto::{
    codec::Malformed,
    id::{Position, ShardId},
    record::RecordView,
};
use std::{io, sync::Arc};

/// A snapshot being installed. Dropped before its end, the shard stays empty and unusable until it
/// is begun anew.
pub struct Install {
    store: Arc<Store>,
    shard: ShardId,
    /// The group that emptied the shard. Until it is durable, rows on disk would belong to what the
    /// shard was before.
    begun_in_group: u64,
    /// What the shard had carried before.
    replaced: Option<Carried>,
    state: Option<ShardState>,
    output: Option<Output>,
    rows: u64,
    checksum: u32,
    trailer: Option<Trailer>,
    carried: Option<Carried>,
}

/// An installed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The shard's state: its log goes on behind it.
    pub state: ShardState,
    /// Serve nothing before this position is applied: rows may already show entries up to it.
    pub scan_end: Position,
    /// It is durable once the log is synced through this group.
    pub group: u64,
}

/// Why a snapshot was not installed. The shard must be begun anew.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A chunk is not as it was made.
    #[error("{0}; ask for the snapshot again")]
    Malformed(#[from] Malformed),
    /// Chunks are missing, doubled, of another shard or out of order.
    #[error("the snapshot's chunks do not belong together: {0}; ask for the snapshot again")]
    Sequence(&'static str),
    /// Rows came before the log says that the shard was emptied.
    #[error("the emptied shard is not durable yet; sync the log before rows are installed")]
    NotDurable,
    /// The shard began anew meanwhile.
    #[error("the shard began anew while its snapshot came; ask for the snapshot again")]
    Superseded,
    /// The disk failed.
    #[error("writing rows failed: {0}; retry")]
    Disk(#[from] io::Error),
    /// The log refused.
    #[error(transparent)]
    Log(#[from] segment::AppendError),
}

impl Writer {
    /// Empties `shard` for a snapshot. Its rows may come once the log is synced through
    /// [`Install::begun_in_group`].
    pub fn begin_install(&mut self, shard: ShardId) -> Result<Install, InstallError> {
        let replaced = self.store.state(shard).and_then(|state| state.carried);
        self.begin_anew(shard, Condition::Installing)?;
        let state = self.store.state(shard).unwrap_or_default();
        Ok(Install {
            store: Arc::clone(&self.store),
            shard,
            begun_in_group: state.begun_in_group,
            replaced,
            state: None,
            output: None,
            rows: 0,
            checksum: 0,
            trailer: None,
            carried: None,
        })
    }

    /// Makes the installed rows visible.
    pub fn finish_install(&mut self, mut install: Install) -> Result<Installed, InstallError> {
        let (Some(state), Some(trailer)) = (install.state.take(), install.trailer) else {
            return Err(InstallError::Sequence("the trailer did not come"));
        };
        if install.carried.is_none() {
            return Err(InstallError::Sequence("it was not sealed"));
        }
        let shard = install.shard;
        let shared = self.store.shard_or_new(shard);
        install.must_be_current(&shared.rows.read())?;
        let state = ShardState {
            last: state.commit,
            collected: state.collected.max(trailer.collected),
            condition: Condition::Whole,
            carried: install.carried,
            begun_in_group: install.begun_in_group,
            ..state
        };
        let (_, place) =
            self.append_internal(&[StateRecord::Shard(shard, state.clone()).entry()])?;
        self.shards.entry(shard).or_default().last = state.commit;
        shared.rows.write().state = state.clone();
        self.store.note_largest_hlc(state.largest_hlc);
        Ok(Installed {
            state,
            scan_end: trailer.scan_end,
            group: place.number,
        })
    }
}

impl Install {
    /// The group that must be durable before the first rows come.
    #[must_use]
    pub fn begun_in_group(&self) -> u64 {
        self.begun_in_group
    }

    /// The last entry that the snapshot holds, once its header came.
    #[must_use]
    pub fn log_end(&self) -> Option<LogEnd> {
        self.state.as_ref().map(|state| state.commit)
    }

    /// Up to where its rows may have been seen, once its trailer came.
    #[must_use]
    pub fn scan_end(&self) -> Option<Position> {
        self.trailer.map(|trailer| trailer.scan_end)
    }

    /// Takes the next chunk.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), InstallError> {
        let chunk = SnapshotChunk::parse(bytes)?;
        if self.trailer.is_some() {
            return Err(InstallError::Sequence("one came after the trailer"));
        }
        match chunk {
            SnapshotChunk::Header { shard, state } => {
                if shard != self.shard || self.state.is_some() {
                    return Err(InstallError::Sequence(
                        "a header of another shard, or a second one",
                    ));
                }
                self.state = Some(*state);
            }
            SnapshotChunk::Rows(rows) => {
                if self.state.is_none() {
                    return Err(InstallError::Sequence("rows came before the header"));
                }
                for row in rows.iter() {
                    let (hash, record) = row?;
                    self.take_row(hash, &record)?;
                }
            }
            SnapshotChunk::Trailer(trailer) => {
                if trailer.rows != self.rows || trailer.checksum != self.checksum {
                    return Err(InstallError::Sequence(
                        "the trailer counts others than those that came",
                    ));
                }
                self.trailer = Some(trailer);
                return Ok(());
            }
        }
        self.checksum = crc32c::crc32c_append(self.checksum, &chunk::crc_in(bytes).to_le_bytes());
        Ok(())
    }

    fn take_row(&mut self, hash: u64, record: &RecordView<'_>) -> Result<(), InstallError> {
        let row = HintRow {
            shard: self.shard,
            hash,
            place: Place::of(record, Slot(0), 0),
            order: Order::new(
                record.version().event_time,
                self.store.view_number(record.view()),
            ),
            position: record.position(),
            check: key_check(record.key()),
        };
        let is_full =
            |output: &mut Output| output.size_bytes() >= self.store.settings.segment_bytes;
        if let Some(full) = self.output.take_if(|output| is_full(output)) {
            self.publish(full)?;
        }
        let output = match &mut self.output {
            Some(output) => output,
            none => none.insert(Output::create(&self.store, self.begun_in_group)?),
        };
        self.rows += 1;
        output.push(row, record.bytes().to_vec())?;
        Ok(())
    }

    /// Makes all rows durable, and `carried` with them: each start of the store gives it back.
    pub fn seal(&mut self, carried: &[u8]) -> Result<(), InstallError> {
        if self.trailer.is_none() {
            return Err(InstallError::Sequence("the trailer did not come"));
        }
        if let Some(output) = self.output.take() {
            self.publish(output)?;
        }
        if let Some(replaced) = self.replaced.take() {
            replaced.delete(&self.store.directory)?;
        }
        self.carried = Some(Carried::write(&self.store.directory, carried)?);
        Ok(())
    }

    /// The rows of one base segment: durable, and in the index of a shard that nobody may read yet.
    fn publish(&self, output: Output) -> Result<(), InstallError> {
        if self.store.synced_through() < self.begun_in_group {
            output.abandon();
            return Err(InstallError::NotDurable);
        }
        let sealed = self.store.seal(output)?;
        // The shard must not begin anew in between, nor compaction take the segment for a dead one.
        let _alone = self.store.keeper.lock();
        let published = self.store.add_sealed(sealed);
        let shared = self.store.shard_or_new(self.shard);
        self.must_be_current(&shared.rows.read())?;
        self.fill_index(&shared, &published);
        Ok(())
    }

    fn must_be_current(&self, rows: &Rows) -> Result<(), InstallError> {
        let state = &rows.state;
        let is_current =
            state.condition == Condition::Installing && state.begun_in_group == self.begun_in_group;
        is_current.then_some(()).ok_or(InstallError::Superseded)
    }

    fn fill_index(&self, shared: &Shard, Published { body, rows }: &Published) {
        let before = shared.rows.read().index.bytes() as u64;
        for few in rows.chunks(ROWS_PER_LOCK) {
            let mut guard = shared.rows.write();
            for Moved { row, .. } in few {
                let row = HintRow {
                    place: row.place.in_slot(body.slot),
                    ..*row
                };
                let others = guard.index.find(row.hash);
                if others
                    .iter()
                    .any(|other| other.order.view() == row.order.view())
                {
                    guard.shared_hashes.insert(row.hash);
                }
                self.store.bodies.account(None, Some(row.place));
                guard.index.insert(row.entry());
            }
        }
        self.store
            .note_index_bytes(before, shared.rows.read().index.bytes() as u64);
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            output.abandon();
        }
    }
}
