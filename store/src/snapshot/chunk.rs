//! The chunks' bytes.
//!
//! ```text
//! kind 1 | zeros 3 | payload length 4 | crc-32c 4 of all but itself | zeros 4 | payload
//! header:  magic 4 | version 2 | shard 2 | state
//! rows:    count 4 | zeros 12 | hashes 8 each, zeros to a multiple of 16 | records
//! trailer: rows 8 | scan end 8 | collected mark 8 | crc-32c 4 of the chunks' checksums before it
//! ```

use crate::state::ShardState;
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader, align16},
    hlc::Hlc,
    id::{Position, ShardId},
    record::RecordView,
};

const HEADER_BYTES: usize = 16;
const MAGIC: [u8; 4] = *b"ATSN";
/// Version 1 had the state of [`ShardState`]'s version 1 in its header.
const FORMAT_VERSION: u16 = 2;

/// A chunk that was read; its checksum holds.
#[derive(Debug)]
pub enum SnapshotChunk<'a> {
    /// The first one.
    Header {
        /// The shard.
        shard: ShardId,
        /// Its state before the scan.
        state: Box<ShardState>,
    },
    /// Some rows.
    Rows(RowsOfChunk<'a>),
    /// The last one.
    Trailer(Trailer),
}

/// The end of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// How many rows there were.
    pub rows: u64,
    /// Rows may show entries up to this one: serve none before it is applied.
    pub scan_end: Position,
    /// The collected mark after the scan.
    pub collected: Hlc,
    /// Of the checksums of all chunks before.
    pub checksum: u32,
}

/// The rows of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct RowsOfChunk<'a> {
    hashes: &'a [u8],
    records: &'a [u8],
}

impl<'a> SnapshotChunk<'a> {
    /// Reads a chunk, its checksum and its structure. Records are checked when they are taken.
    pub fn parse(chunk: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(chunk, "snapshot chunk");
        let kind = reader.u8()?;
        reader.take(3)?;
        let length = reader.u32()? as usize;
        let crc = reader.u32()?;
        reader.u32()?;
        let payload = reader.rest();
        if payload.len() != length {
            return Err(reader.malformed("it has another length than it says"));
        }
        if crc_of(chunk) != crc {
            return Err(reader.malformed("its checksum differs"));
        }
        match kind {
            1 => parse_header(payload),
            2 => parse_rows(payload).map(Self::Rows),
            3 => parse_trailer(payload).map(Self::Trailer),
            _ => Err(reader.malformed("its kind is unknown")),
        }
    }
}

impl<'a> RowsOfChunk<'a> {
    /// The rows with their hashes. Ends at the first record that is none.
    pub fn iter(&self) -> impl Iterator<Item = Result<(u64, RecordView<'a>), Malformed>> + use<'a> {
        let mut records = self.records;
        let mut hashes = self.hashes.chunks_exact(8);
        std::iter::from_fn(move || {
            let hash = u64::from_le_bytes(*hashes.next()?.first_chunk()?);
            let record =
                RecordView::parse(records).and_then(|record| record.verify().map(|()| record));
            records = record
                .as_ref()
                .map_or(&[], |record| &records[record.bytes().len()..]);
            Some(record.map(|record| (hash, record)))
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len() / 8
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// The stored checksum of a chunk.
pub(super) fn crc_in(chunk: &[u8]) -> u32 {
    u32::from_le_bytes([chunk[8], chunk[9], chunk[10], chunk[11]])
}

fn crc_of(chunk: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&chunk[..8]), &chunk[12..])
}

pub(super) fn header(shard: ShardId, state: &ShardState) -> Bytes {
    let mut out = vec![0; HEADER_BYTES];
    out.extend(MAGIC);
    out.extend(FORMAT_VERSION.to_le_bytes());
    out.extend(shard.0.to_le_bytes());
    state.encode(&mut out);
    seal(1, out)
}

pub(super) fn rows(hashes: &[u64], records: &[u8]) -> Bytes {
    let mut out = vec![0; HEADER_BYTES];
    out.extend((hashes.len() as u32).to_le_bytes());
    out.extend([0; 12]);
    hashes
        .iter()
        .for_each(|hash| out.extend(hash.to_le_bytes()));
    out.resize(align16(out.len()), 0);
    out.extend_from_slice(records);
    seal(2, out)
}

pub(super) fn trailer(trailer: &Trailer) -> Bytes {
    let mut out = vec![0; HEADER_BYTES];
    let numbers = [trailer.rows, trailer.scan_end.0, trailer.collected.0];
    numbers
        .iter()
        .for_each(|number| out.extend(number.to_le_bytes()));
    out.extend(trailer.checksum.to_le_bytes());
    seal(3, out)
}

fn seal(kind: u8, mut chunk: Vec<u8>) -> Bytes {
    let length = u32::try_from(chunk.len() - HEADER_BYTES).expect("chunks are bounded");
    chunk[0] = kind;
    chunk[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = crc_of(&chunk);
    chunk[8..12].copy_from_slice(&crc.to_le_bytes());
    chunk.into()
}

fn parse_header<'a>(payload: &[u8]) -> Result<SnapshotChunk<'a>, Malformed> {
    let mut reader = Reader::new(payload, "snapshot header");
    let magic: [u8; 4] = reader.array()?;
    let version = reader.u16()?;
    if magic != MAGIC || !(1..=FORMAT_VERSION).contains(&version) {
        return Err(reader.malformed("it is of another format or version"));
    }
    let shard = ShardId(reader.u16()?);
    let state = Box::new(ShardState::decode(&mut reader, version)?);
    reader.finish()?;
    Ok(SnapshotChunk::Header { shard, state })
}

fn parse_rows(payload: &[u8]) -> Result<RowsOfChunk<'_>, Malformed> {
    let mut reader = Reader::new(payload, "snapshot rows");
    let count = reader.u32()? as usize;
    reader.take(12)?;
    let hashes = reader.take(count * 8)?;
    reader.take(align16(count * 8) - count * 8)?;
    Ok(RowsOfChunk {
        hashes,
        records: reader.rest(),
    })
}

fn parse_trailer(payload: &[u8]) -> Result<Trailer, Malformed> {
    let mut reader = Reader::new(payload, "snapshot trailer");
    let trailer = Trailer {
        rows: reader.u64()?,
        scan_end: Position(reader.u64()?),
        collected: Hlc(reader.u64()?),
        checksum: reader.u32()?,
    };
    reader.finish()?;
    Ok(trailer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutations;

    #[test]
    fn any_flipped_bit_of_a_chunk_is_seen() {
        let state = ShardState::default();
        let last = Trailer {
            rows: 1,
            scan_end: Position(2),
            collected: Hlc(3),
            checksum: 4,
        };
        for chunk in [
            header(ShardId(1), &state),
            rows(&[1, 2, 3], &[0; 48]),
            trailer(&last),
        ] {
            SnapshotChunk::parse(&chunk).unwrap();
            for bit in 0..chunk.len() * 8 {
                let mut flipped = chunk.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(SnapshotChunk::parse(&flipped).is_err(), "bit {bit}");
            }
            assert!(SnapshotChunk::parse(&chunk[..chunk.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_damaged_chunk_whose_checksum_fits_is_read_or_refused() {
        let state = header(ShardId(1), &ShardState::default());
        let last = Trailer {
            rows: 1,
            scan_end: Position(2),
            collected: Hlc(3),
            checksum: 4,
        };
        let chunks = [state, rows(&[1, 2, 3], &[0; 48]), trailer(&last)];
        for (kind, chunk) in (1..).zip(chunks) {
            mutations::check(10_000, &[&chunk[HEADER_BYTES..]], |damaged| {
                let again = seal(kind, [&chunk[..HEADER_BYTES], damaged].concat());
                if let Ok(SnapshotChunk::Rows(rows)) = SnapshotChunk::parse(&again) {
                    assert!(rows.iter().count() <= rows.len() + 1);
                }
            });
        }
    }
}
