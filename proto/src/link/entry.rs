//! An entry of a stream on its way to other regions.

use super::{ENTRY, HEAD_BYTES, Head, RecordError, Unknown, begin, finish, malformed};
use crate::{
    codec::{Malformed, align16, array_at},
    entry::{EntryKind, EntryView},
    hlc::Hlc,
    id::{ClusterId, Incarnation, Sequence, Stream},
    record::RecordView,
    token::Reached,
};
use bytes::Bytes;

/// Where the lineage, or the first row, begins.
const BODY_AT: usize = 64;

/// An entry that was read; all its lengths were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    head: Head,
    kind: EntryKind,
    reached: Reached,
    hlc: Hlc,
    rows_at: usize,
    bytes: Bytes,
}

impl LinkEntry {
    /// The cluster that wrote it.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.head.cluster
    }

    /// Its stream.
    #[must_use]
    pub const fn stream(&self) -> Stream {
        self.head.stream
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Its number in the stream.
    #[must_use]
    pub const fn reached(&self) -> Reached {
        self.reached
    }

    /// The largest stamp that its primary had given with it.
    #[must_use]
    pub const fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// The lineage of a *start*, empty in all others.
    #[must_use]
    pub fn lineage(&self) -> &[u8] {
        let length = u32::from_le_bytes(array_at(&self.bytes, 56)) as usize;
        &self.bytes[BODY_AT..BODY_AT + length]
    }

    /// How many rows it has.
    #[must_use]
    pub fn row_count(&self) -> usize {
        row_count(&self.bytes)
    }

    /// What was written, row by row.
    pub fn rows(&self) -> impl Iterator<Item = RecordView<'_>> {
        let mut rest = &self.bytes[self.rows_at..];
        (0..self.row_count()).map(move |_| {
            let row = RecordView::parse(rest).expect("the rows were checked when it was read");
            rest = &rest[row.bytes().len()..];
            row
        })
    }

    /// The record as it travelled.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Whether entries of this kind leave their region.
const fn is_shipped(kind: EntryKind) -> bool {
    match kind {
        EntryKind::Rows
        | EntryKind::Reissued
        | EntryKind::Start
        | EntryKind::End
        | EntryKind::Resume
        | EntryKind::Skip => true,
        EntryKind::Remote
        | EntryKind::Merged
        | EntryKind::Cut
        | EntryKind::Epoch
        | EntryKind::LinkPosition
        | EntryKind::State => false,
    }
}

/// The record that ships an entry of a shard's log; none of entries that stay in their region.
#[must_use]
pub fn encode_entry(cluster: ClusterId, entry: &EntryView<'_>) -> Option<Bytes> {
    let header = entry.header();
    if !is_shipped(header.kind) {
        return None;
    }
    let stream = Stream {
        origin: header.origin,
        shard: header.shard,
        placement: header.placement,
    };
    let lineage = match header.kind {
        EntryKind::Start => entry.extras(),
        _ => &[],
    };
    let shipped = || {
        let rows = entry.records().map(|(_, row)| row);
        rows.filter(|row| row.kind().is_shipped())
    };
    let rows = u16::try_from(shipped().count()).expect("an entry counts its records in 16 bits");
    let mut out = begin(&Head { cluster, stream }, ENTRY);
    out.extend(header.incarnation.0.to_le_bytes());
    out.extend([header.kind as u8, 0]);
    out.extend(rows.to_le_bytes());
    out.extend(header.sequence.0.to_le_bytes());
    out.extend(header.hlc.0.to_le_bytes());
    out.extend((lineage.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend_from_slice(lineage);
    out.resize(align16(out.len()), 0);
    shipped().for_each(|row| out.extend_from_slice(row.bytes()));
    Some(finish(out))
}

pub(super) fn decode(head: Head, bytes: &Bytes) -> Result<LinkEntry, RecordError> {
    if bytes.len() < BODY_AT {
        return Err(malformed("it ends within its header").into());
    }
    let number = bytes[36];
    let kind = EntryKind::from_number(number).filter(|kind| is_shipped(*kind));
    let kind = kind.ok_or(RecordError::Unknown {
        head,
        what: Unknown::EntryKind,
        number,
    })?;
    let reached = Reached {
        incarnation: Incarnation(u32::from_le_bytes(array_at(bytes, HEAD_BYTES))),
        sequence: Sequence(u64::from_le_bytes(array_at(bytes, 40))),
    };
    if reached.sequence == Sequence(0) || reached.incarnation == Incarnation(0) {
        return Err(malformed("it has no place in its stream").into());
    }
    let lineage = u32::from_le_bytes(array_at(bytes, 56)) as usize;
    let rows_at = align16(BODY_AT + lineage);
    if rows_at > bytes.len() || (kind != EntryKind::Start && lineage > 0) {
        return Err(malformed("its lineage does not fit it").into());
    }
    check_rows(bytes, rows_at)?;
    Ok(LinkEntry {
        head,
        kind,
        reached,
        hlc: Hlc(u64::from_le_bytes(array_at(bytes, 48))),
        rows_at,
        bytes: bytes.clone(),
    })
}

fn row_count(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes(array_at(bytes, 38)))
}

fn check_rows(bytes: &[u8], rows_at: usize) -> Result<(), Malformed> {
    let mut at = rows_at;
    for _ in 0..row_count(bytes) {
        let row = RecordView::parse(&bytes[at..])?;
        if !row.kind().is_shipped() {
            return Err(malformed(
                "it has a merged row, which never leaves a region",
            ));
        }
        at += row.bytes().len();
    }
    if at == bytes.len() {
        Ok(())
    } else {
        Err(malformed("its rows do not fill it"))
    }
}
