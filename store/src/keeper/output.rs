//! Writing a base segment: records in, a durable file with its hint file out, and the index moved to
//! it. Used by compaction, by repair and by installed snapshots.

use crate::{
    body::{Body, Facts},
    hint::{self, Content, HintFile, HintRow, HintSpan, hint_path},
    place::{Place, Slot},
    preface::BasePreface,
    segment::{SealedWriter, Segment},
    settings::{GROUP_BYTES, ROWS_PER_LOCK},
    store::Store,
};
use proto::hlc::Hlc;
use std::{io, sync::Arc};

/// A row of a new base segment.
pub(crate) struct Moved {
    /// With its place in the new file, in slot 0.
    pub(crate) row: HintRow,
    /// Where it lay before.
    from: Place,
}

/// A base segment that is durable, and in a slot.
pub(crate) struct Published {
    pub(crate) body: Arc<Body>,
    pub(crate) rows: Vec<Moved>,
}

/// A base segment that is durable, and in no slot yet.
pub(crate) struct Sealed {
    segment: Arc<Segment>,
    facts: Facts,
    rows: Vec<Moved>,
}

/// The base segment being written.
pub(crate) struct Output {
    writer: SealedWriter,
    born_after: u64,
    groups: u64,
    rows: Vec<Moved>,
    group: Vec<(HintRow, Vec<u8>)>,
    group_bytes: usize,
}

impl Store {
    /// Makes a base segment durable and known, then lets the index point at it.
    pub(crate) fn publish(&self, output: Output) -> io::Result<Arc<Body>> {
        let sealed = self.seal(output)?;
        let Published { body, rows } = self.add_sealed(sealed);
        for run in rows.chunk_by(|a, b| a.row.shard == b.row.shard) {
            let Some(shard) = self.shard(run[0].row.shard) else {
                continue;
            };
            for few in run.chunks(ROWS_PER_LOCK) {
                let mut guard = shard.rows.write();
                for Moved { row, from } in few {
                    let new = row.place.in_slot(body.slot);
                    if guard.index.move_row(row.hash, *from, new) {
                        self.bodies.account(Some(*from), Some(new));
                    }
                }
            }
        }
        Ok(body)
    }

    /// The file with its hint file, both durable.
    pub(crate) fn seal(&self, mut output: Output) -> io::Result<Sealed> {
        output.flush()?;
        let Output {
            writer,
            born_after,
            groups,
            rows,
            ..
        } = output;
        let mut content = Content {
            rows: rows.iter().map(|moved| moved.row).collect(),
            ..Content::default()
        };
        content.settle();
        let span = HintSpan {
            segment: writer.id().0,
            end: writer.size_bytes(),
            first_group: 1,
            last_group: groups,
            born_after,
            largest_hlc: Hlc::ZERO,
            row_bytes: content
                .rows
                .iter()
                .map(|row| row.place.length() as u64)
                .sum(),
        };
        let id = writer.id();
        hint::encode(&span, &content, &self.views.read().by_number()).write(&self.directory, id)?;
        let segment = writer.publish("base")?;
        self.directory.sync()?;
        let hint = HintFile::open(
            self.directory.disk().as_ref(),
            &hint_path(&self.directory, id),
        )?;
        let facts = Facts {
            end: Some(span.end),
            last_group: born_after,
            hint: hint.map(Arc::new),
            content: Content::default(),
            ..Facts::default()
        };
        Ok(Sealed {
            segment,
            facts,
            rows,
        })
    }

    /// Gives it a slot. Under the keeper's lock, until the index points at its rows: to compaction a
    /// segment without any is dead.
    pub(crate) fn add_sealed(&self, sealed: Sealed) -> Published {
        let Sealed {
            segment,
            facts,
            rows,
        } = sealed;
        let body = self
            .bodies
            .add(|slot| Body::new(slot, segment, true, facts));
        Published { body, rows }
    }
}

impl Output {
    /// `born_after`: the log's last group when the rows that come were looked up.
    pub(crate) fn create(store: &Store, born_after: u64) -> io::Result<Self> {
        let writer = SealedWriter::create(Arc::clone(&store.directory), born_after)?;
        Ok(Self {
            writer,
            born_after,
            groups: 0,
            rows: Vec::new(),
            group: Vec::new(),
            group_bytes: 0,
        })
    }

    /// Adds a record. `row.place` says where it lay before.
    pub(crate) fn push(&mut self, row: HintRow, record: Vec<u8>) -> io::Result<()> {
        let other_shard = self
            .group
            .last()
            .is_some_and(|(last, _)| last.shard != row.shard);
        if other_shard || self.group_bytes + record.len() > GROUP_BYTES {
            self.flush()?;
        }
        self.group_bytes += record.len();
        self.group.push((row, record));
        Ok(())
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.writer.size_bytes() + self.group_bytes as u64
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some((first, _)) = self.group.first() else {
            return Ok(());
        };
        let hashes = self.group.iter().map(|(row, _)| row.hash).collect();
        let preface = BasePreface {
            shard: first.shard,
            hashes,
        }
        .encode();
        let parts: Vec<&[u8]> = self
            .group
            .iter()
            .map(|(_, record)| record.as_slice())
            .collect();
        let mut offset = self.writer.append(&preface, &parts, parts.len() as u32)?;
        self.groups += 1;
        for (row, record) in self.group.drain(..) {
            let from = row.place;
            let row = HintRow {
                place: from.moved(Slot(0), offset),
                ..row
            };
            self.rows.push(Moved { row, from });
            offset += record.len() as u64;
        }
        self.group_bytes = 0;
        Ok(())
    }

    /// Gives up. The file goes now, or when the store is opened again.
    pub(crate) fn abandon(self) {
        let _ = self.writer.abandon();
    }
}
