//! An entry of a shard's log: one atomic step, the same bytes on every replica.
//!
//! ```text
//! header, 80 bytes
//!    0 crc-32c 4 | length 4 | shard 2 | origin 2 | kind 1 | flags 1 | records 2
//!   16 epoch 4 | previous epoch 4 | position 8
//!   32 incarnation 4 | placement 2 | part 2 | sequence 8
//!   48 HLC 8 | request id 16 | link position 8
//! extras: length 4, bytes, zeros up to a multiple of 16 (flag)
//! records, each a multiple of 16
//! ```
//!
//! The CRC covers the header after itself, the extras and the checksums of the records; each record
//! guards its own bytes. So a record's checksum is computed once in a region, and an entry cannot
//! pair with the wrong records. An entry names its predecessor by previous epoch and position - 1:
//! a backup takes it only after that one.

use crate::{
    codec::{Malformed, align16, array_at},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId},
    limits::{ENTRY_BYTES, ROWS_PER_ENTRY},
    record::RecordView,
    request::{RequestId, RequestPart},
};
use bytes::Bytes;

/// Bytes of an entry's header.
pub const HEADER_BYTES: usize = 80;
const FLAG_EXTRAS: u8 = 1;

/// What an entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Rows written here. Extras: the outcome of the request's rows.
    Rows = 1,
    /// Rows of another region, with their stream's incarnation and sequence. Extras: of a *start* there,
    /// its lineage; none otherwise.
    Remote = 2,
    /// Rows merged from a snapshot or by repair; of no stream.
    Merged = 3,
    /// Own rows found elsewhere after a loss: own sequence, their old versions.
    Reissued = 4,
    /// A log record of one store alone: the shard's tail after a position is void. Of no position.
    Cut = 5,
    /// The first entry of an epoch.
    Epoch = 6,
    /// The first entry of an incarnation. Extras: its lineage.
    Start = 7,
    /// Nothing of the stream follows until a resume.
    End = 8,
    /// The stream goes on.
    Resume = 9,
    /// The outbox gave up entries: links go on by snapshot.
    Skip = 10,
    /// A position without rows: of another region's stream, where reading the transport goes on; of an
    /// own one, the position of the log through which all of it was shipped.
    LinkPosition = 11,
    /// A shard's state at the head of a segment; of one store alone, of no position.
    State = 12,
}

impl EntryKind {
    /// The kind of a stored number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Rows,
            2 => Self::Remote,
            3 => Self::Merged,
            4 => Self::Reissued,
            5 => Self::Cut,
            6 => Self::Epoch,
            7 => Self::Start,
            8 => Self::End,
            9 => Self::Resume,
            10 => Self::Skip,
            11 => Self::LinkPosition,
            12 => Self::State,
            _ => return None,
        })
    }

    /// Whether the entry has a position in its shard's log and is the same on all replicas.
    #[must_use]
    pub const fn is_replicated(self) -> bool {
        !matches!(self, Self::Cut | Self::State)
    }
}

/// An entry's header without checksum, length and counts, which the builder sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHeader {
    /// The shard whose log holds the entry.
    pub shard: ShardId,
    /// Where it was accepted.
    pub origin: RegionId,
    /// What it does.
    pub kind: EntryKind,
    /// The epoch of the primary that appended it.
    pub epoch: Epoch,
    /// The epoch of the entry one position before.
    pub previous_epoch: Epoch,
    /// Its number in the shard's log in this region.
    pub position: Position,
    /// The stream's incarnation.
    pub incarnation: Incarnation,
    /// The stream's placement.
    pub placement: PlacementId,
    /// Which part of the request.
    pub part: RequestPart,
    /// Its number in the stream; 0 where it is of none.
    pub sequence: Sequence,
    /// The largest stamp of its rows.
    pub hlc: Hlc,
    /// The request it carries out, or none.
    pub request: RequestId,
    /// The position in the transport, of remote entries.
    pub link_position: u64,
}

impl EntryHeader {
    fn write(&self, flags: u8, records: u16, length: u32) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut at = 4;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&length.to_le_bytes());
        put(&self.shard.0.to_le_bytes());
        put(&self.origin.0.to_le_bytes());
        put(&[self.kind as u8, flags]);
        put(&records.to_le_bytes());
        put(&self.epoch.0.to_le_bytes());
        put(&self.previous_epoch.0.to_le_bytes());
        put(&self.position.0.to_le_bytes());
        put(&self.incarnation.0.to_le_bytes());
        put(&self.placement.0.to_le_bytes());
        put(&self.part.0.to_le_bytes());
        put(&self.sequence.0.to_le_bytes());
        put(&self.hlc.0.to_le_bytes());
        put(self.request.as_bytes());
        put(&self.link_position.to_le_bytes());
        out
    }

    fn read(bytes: &[u8], kind: EntryKind) -> Self {
        Self {
            shard: ShardId(u16::from_le_bytes(array_at(bytes, 8))),
            origin: RegionId(u16::from_le_bytes(array_at(bytes, 10))),
            kind,
            epoch: Epoch(u32::from_le_bytes(array_at(bytes, 16))),
            previous_epoch: Epoch(u32::from_le_bytes(array_at(bytes, 20))),
            position: Position(u64::from_le_bytes(array_at(bytes, 24))),
            incarnation: Incarnation(u32::from_le_bytes(array_at(bytes, 32))),
            placement: PlacementId(u16::from_le_bytes(array_at(bytes, 36))),
            part: RequestPart(u16::from_le_bytes(array_at(bytes, 38))),
            sequence: Sequence(u64::from_le_bytes(array_at(bytes, 40))),
            hlc: Hlc(u64::from_le_bytes(array_at(bytes, 48))),
            request: RequestId::from_stored(array_at(bytes, 56)),
            link_position: u64::from_le_bytes(array_at(bytes, 72)),
        }
    }
}

/// Collects an entry's parts.
#[derive(Debug)]
pub struct EntryBuilder {
    bytes: Vec<u8>,
    flags: u8,
    records: u16,
    header: EntryHeader,
}

impl EntryBuilder {
    /// An entry without extras.
    #[must_use]
    pub fn new(header: EntryHeader) -> Self {
        Self {
            bytes: vec![0; HEADER_BYTES],
            flags: 0,
            records: 0,
            header,
        }
    }

    /// An entry with extras; what they mean depends on the kind.
    ///
    /// # Panics
    /// If they exceed an entry's limit; writers of extras bound them.
    #[must_use]
    pub fn with_extras(header: EntryHeader, extras: &[u8]) -> Self {
        let mut builder = Self::new(header);
        let length = u32::try_from(extras.len()).expect("extras are bounded");
        builder.flags |= FLAG_EXTRAS;
        builder.bytes.extend(length.to_le_bytes());
        builder.bytes.extend_from_slice(extras);
        builder.bytes.resize(align16(builder.bytes.len()), 0);
        builder
    }

    /// Whether a record of `length` bytes still fits.
    #[must_use]
    pub fn has_room_for(&self, length: usize) -> bool {
        self.bytes.len() + length <= ENTRY_BYTES && usize::from(self.records) < ROWS_PER_ENTRY
    }

    /// Adds a sealed record.
    pub fn push(&mut self, record: &[u8]) {
        debug_assert!(
            RecordView::parse(record).is_ok_and(|view| view.bytes().len() == record.len())
        );
        self.bytes.extend_from_slice(record);
        self.records += 1;
    }

    /// The entry's bytes.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length = u32::try_from(self.bytes.len()).expect("entries are bounded");
        let header = self.header.write(self.flags, self.records, length);
        self.bytes[..HEADER_BYTES].copy_from_slice(&header);
        let crc = EntryView::parse(&self.bytes)
            .expect("the builder lays entries out")
            .computed_crc();
        self.bytes[..4].copy_from_slice(&crc.to_le_bytes());
        self.bytes.into()
    }
}

/// An entry's bytes, read in place; all lengths were checked.
#[derive(Debug, Clone, Copy)]
pub struct EntryView<'a> {
    bytes: &'a [u8],
    header: EntryHeader,
    records_at: usize,
}

const fn malformed(fault: &'static str) -> Malformed {
    Malformed {
        format: "entry",
        fault,
    }
}

/// The length of the entry that begins at the first of `bytes`, if that can be one.
#[must_use]
pub fn length_of(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
    (length >= HEADER_BYTES && length.is_multiple_of(16) && length <= bytes.len()).then_some(length)
}

impl<'a> EntryView<'a> {
    /// The entry that begins at the first of `bytes`; more may follow.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let length = length_of(bytes).ok_or(malformed("its length cannot be"))?;
        let bytes = &bytes[..length];
        let kind = EntryKind::from_number(bytes[12]).ok_or(malformed("its kind is unknown"))?;
        let mut records_at = HEADER_BYTES;
        if bytes[13] & FLAG_EXTRAS != 0 {
            let extras = bytes[HEADER_BYTES..]
                .first_chunk()
                .ok_or(malformed("its extras are cut off"))?;
            records_at = align16(HEADER_BYTES + 4 + u32::from_le_bytes(*extras) as usize);
        }
        if records_at > length {
            return Err(malformed("its extras are cut off"));
        }
        let view = Self {
            bytes,
            header: EntryHeader::read(bytes, kind),
            records_at,
        };
        view.check_records()?;
        Ok(view)
    }

    fn check_records(&self) -> Result<(), Malformed> {
        let mut at = self.records_at;
        for _ in 0..self.record_count() {
            at += RecordView::parse(&self.bytes[at..])?.bytes().len();
        }
        if at == self.bytes.len() {
            Ok(())
        } else {
            Err(malformed("its records do not fill it"))
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &EntryHeader {
        &self.header
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many records it has.
    #[must_use]
    pub fn record_count(&self) -> usize {
        usize::from(u16::from_le_bytes(array_at(self.bytes, 14)))
    }

    /// The extras, empty where there are none.
    #[must_use]
    pub fn extras(&self) -> &'a [u8] {
        if self.records_at == HEADER_BYTES {
            return &[];
        }
        let length = u32::from_le_bytes(array_at(self.bytes, HEADER_BYTES)) as usize;
        &self.bytes[HEADER_BYTES + 4..HEADER_BYTES + 4 + length]
    }

    /// The records with their offsets in the entry.
    pub fn records(&self) -> impl Iterator<Item = (usize, RecordView<'a>)> + use<'a> {
        let (bytes, mut at) = (self.bytes, self.records_at);
        std::iter::from_fn(move || {
            if at == bytes.len() {
                return None;
            }
            let record =
                RecordView::parse(&bytes[at..]).expect("the records were checked by parse");
            let offset = at;
            at += record.bytes().len();
            Some((offset, record))
        })
    }

    /// Compares the entry's checksum and those of all its records.
    pub fn verify(&self) -> Result<(), Malformed> {
        self.verify_head()?;
        self.records().try_for_each(|(_, record)| record.verify())
    }

    /// Compares the entry's own checksum alone: its header, its extras and what checksums its records
    /// should have are as they were written, whatever became of the records' bytes.
    pub fn verify_head(&self) -> Result<(), Malformed> {
        if self.computed_crc() == u32::from_le_bytes(array_at(self.bytes, 0)) {
            Ok(())
        } else {
            Err(malformed("its checksum differs"))
        }
    }

    fn computed_crc(&self) -> u32 {
        let head = crc32c::crc32c(&self.bytes[4..self.records_at]);
        self.records().fold(head, |crc, (_, record)| {
            crc32c::crc32c_append(crc, &record.bytes()[..4])
        })
    }
}

#[cfg(test)]
mod tests;
