//! Installing a snapshot: the shard starts empty, its rows come as base segments, and it is whole
//! when a state says so in the log. Before that a restart finds it empty.

use super::chunk::{self, SnapshotChunk, Trailer};
use crate::{
    hint::HintRow,
    keeper::{Moved, Output, Published},
    place::{Order, Place, Slot, key_check},
    segment,
    settings::ROWS_PER_LOCK,
    state::{Condition, ShardState, StateRecord},
    writer::Writer,
};
use proto::{
    codec::Malformed,
    id::{Position, ShardId},
    record::RecordView,
};
use std::io;

/// A snapshot being installed. Dropped before its end, the shard stays empty and unusable.
pub struct Install {
    shard: ShardId,
    state: Option<ShardState>,
    output: Option<Output>,
    published: Vec<Published>,
    rows: u64,
    checksum: u32,
    trailer: Option<Trailer>,
}

/// An installed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The shard's state: its log goes on behind it.
    pub state: ShardState,
    /// Serve nothing before this position is applied: rows may already show entries up to it.
    pub scan_end: Position,
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
    /// The disk failed.
    #[error("writing rows failed: {0}; retry")]
    Disk(#[from] io::Error),
    /// The log refused.
    #[error(transparent)]
    Log(#[from] segment::AppendError),
}

impl Writer {
    /// Empties `shard` for a snapshot.
    pub fn begin_install(&mut self, shard: ShardId) -> Result<Install, InstallError> {
        self.begin_anew(shard, Condition::Installing)?;
        Ok(Install {
            shard,
            state: None,
            output: None,
            published: Vec::new(),
            rows: 0,
            checksum: 0,
            trailer: None,
        })
    }

    /// Takes the next chunk.
    pub fn install(&self, install: &mut Install, bytes: &[u8]) -> Result<(), InstallError> {
        let chunk = SnapshotChunk::parse(bytes)?;
        if install.trailer.is_some() {
            return Err(InstallError::Sequence("one came after the trailer"));
        }
        match chunk {
            SnapshotChunk::Header { shard, state } => {
                if shard != install.shard || install.state.is_some() {
                    return Err(InstallError::Sequence(
                        "a header of another shard, or a second one",
                    ));
                }
                install.state = Some(*state);
            }
            SnapshotChunk::Rows(rows) => {
                if install.state.is_none() {
                    return Err(InstallError::Sequence("rows came before the header"));
                }
                for row in rows.iter() {
                    let (hash, record) = row?;
                    self.install_row(install, hash, &record)?;
                }
            }
            SnapshotChunk::Trailer(trailer) => {
                if trailer.rows != install.rows || trailer.checksum != install.checksum {
                    return Err(InstallError::Sequence(
                        "the trailer counts others than those that came",
                    ));
                }
                install.trailer = Some(trailer);
                return Ok(());
            }
        }
        install.checksum =
            crc32c::crc32c_append(install.checksum, &chunk::crc_in(bytes).to_le_bytes());
        Ok(())
    }

    fn install_row(
        &self,
        install: &mut Install,
        hash: u64,
        record: &RecordView<'_>,
    ) -> Result<(), InstallError> {
        let row = HintRow {
            shard: install.shard,
            hash,
            place: Place::of(record, Slot(0), 0),
            order: Order::new(
                record.version().event_time,
                self.store.view_number(record.view()),
            ),
            position: record.position(),
            check: key_check(record.key()),
        };
        if install
            .output
            .as_ref()
            .is_some_and(|output| output.size_bytes() >= self.store.settings.segment_bytes)
        {
            let full = install.output.take().expect("it was just looked at");
            install.published.push(self.store.publish_file(full)?);
        }
        let output = match &mut install.output {
            Some(output) => output,
            none => none.insert(Output::create(&self.store, self.log.last_group())?),
        };
        install.rows += 1;
        output.push(row, record.bytes().to_vec())?;
        Ok(())
    }

    /// Makes the installed rows visible. Durable with the log's next sync.
    pub fn finish_install(&mut self, mut install: Install) -> Result<Installed, InstallError> {
        let (Some(state), Some(trailer)) = (install.state.take(), install.trailer) else {
            return Err(InstallError::Sequence("the trailer did not come"));
        };
        if let Some(output) = install.output.take() {
            install.published.push(self.store.publish_file(output)?);
        }
        let shard = install.shard;
        let begun_in_group = self.store.state(shard).unwrap_or_default().begun_in_group;
        let state = ShardState {
            last: state.commit,
            collected: state.collected.max(trailer.collected),
            condition: Condition::Whole,
            begun_in_group,
            ..state
        };
        self.append_internal(&[StateRecord::Shard(shard, state.clone()).entry()])?;
        self.shards.entry(shard).or_default().last = state.commit;
        self.fill_index(shard, &install.published);
        self.store.shard_or_new(shard).rows.write().state = state.clone();
        self.store.note_largest_hlc(state.largest_hlc);
        Ok(Installed {
            state,
            scan_end: trailer.scan_end,
        })
    }

    fn fill_index(&self, shard: ShardId, published: &[Published]) {
        let shared = self.store.shard_or_new(shard);
        let before = shared.rows.read().index.bytes() as u64;
        for Published { body, rows } in published {
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
        }
        self.store
            .note_index_bytes(before, shared.rows.read().index.bytes() as u64);
    }
}
