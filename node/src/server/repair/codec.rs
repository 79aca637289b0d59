//! What travels for repair. Records guard themselves, and who asked knows which they must be.
//!
//! ```text
//! request: version 1 | shard 2 | rows 2 | each: hash 8, position 8
//! answer:  version 1 | copies 2 | each: which row 2, length 4, record
//! ```

use super::ROWS_AT_ONCE;
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    id::{Position, ShardId},
    limits::ROW_BYTES,
};

const VERSION: u8 = 1;
/// Bytes of records in one answer; the first one may go beyond. What is left out is asked for again.
pub(super) const ANSWER_BYTES: usize = 4 << 20;

/// Rows of a shard, by hash and position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) shard: ShardId,
    pub(super) rows: Vec<(u64, Position)>,
}

pub(super) fn encode_request(asked: &Asked) -> Bytes {
    let mut out = vec![VERSION];
    out.extend(asked.shard.0.to_le_bytes());
    out.extend((asked.rows.len() as u16).to_le_bytes());
    for (hash, position) in &asked.rows {
        out.extend(hash.to_le_bytes());
        out.extend(position.0.to_le_bytes());
    }
    out.into()
}

pub(super) fn decode_request(bytes: &[u8]) -> Result<Asked, Malformed> {
    let mut reader = versioned(bytes)?;
    let shard = ShardId(reader.u16()?);
    let count = reader.u16()?;
    if usize::from(count) > ROWS_AT_ONCE {
        return Err(reader.malformed("it asks for too many rows"));
    }
    let row = |_| Ok((reader.u64()?, Position(reader.u64()?)));
    let rows = (0..count).map(row).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(Asked { shard, rows })
}

pub(super) fn encode_copies(copies: &[(u16, Vec<u8>)]) -> Bytes {
    let mut out = vec![VERSION];
    out.extend((copies.len() as u16).to_le_bytes());
    for (row, copy) in copies {
        out.extend(row.to_le_bytes());
        out.extend((copy.len() as u32).to_le_bytes());
        out.extend(copy);
    }
    out.into()
}

pub(super) fn decode_copies(bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Malformed> {
    let mut reader = versioned(bytes)?;
    let count = reader.u16()?;
    let mut copies = Vec::new();
    for _ in 0..count {
        let (row, length) = (reader.u16()?, reader.u32()? as usize);
        if length > ROW_BYTES {
            return Err(reader.malformed("a copy is larger than a row"));
        }
        copies.push((row, reader.take(length)?.to_vec()));
    }
    reader.finish()?;
    Ok(copies)
}

fn versioned(bytes: &[u8]) -> Result<Reader<'_>, Malformed> {
    let mut reader = Reader::new(bytes, "repair");
    if reader.u8()? == VERSION {
        Ok(reader)
    } else {
        Err(reader.malformed("its version is not known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_read_back_and_shortened_ones_are_refused() {
        let asked = Asked {
            shard: ShardId(7),
            rows: vec![(u64::MAX, Position(3)), (0, Position(1 << 40))],
        };
        let bytes = encode_request(&asked);
        assert_eq!(decode_request(&bytes), Ok(asked));
        for cut in 0..bytes.len() {
            assert!(decode_request(&bytes[..cut]).is_err(), "{cut}");
        }
        let copies = vec![(1, vec![1, 2, 3]), (0, Vec::new())];
        let bytes = encode_copies(&copies);
        assert_eq!(decode_copies(&bytes), Ok(copies));
        for cut in 0..bytes.len() {
            assert!(decode_copies(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_request_for_too_much_and_a_newer_one_are_refused() {
        let asked = Asked {
            shard: ShardId(7),
            rows: vec![(1, Position(1)); ROWS_AT_ONCE + 1],
        };
        assert!(decode_request(&encode_request(&asked)).is_err());
        assert!(decode_request(&[VERSION + 1, 0, 0, 0, 0]).is_err());
    }
}
