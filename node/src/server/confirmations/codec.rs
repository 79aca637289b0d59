//! ```text
//! asked:    version 1 | streams 4 | each: shard 2, placement 2, incarnation 4, sequence 8
//! answered: version 1 | streams 4 | each: regions 2, region 2 each
//! ```

use super::Name;
use bytes::{BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::{Incarnation, PlacementId, RegionId, Sequence, ShardId},
    token::Reached,
};
use std::collections::BTreeSet;

const VERSION: u8 = 1;

/// Which entries are asked about.
pub type Asked = Vec<(Name, Reached)>;

/// Encodes a question.
pub fn encode_asked(asked: &Asked) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    out.put_u32_le(asked.len() as u32);
    for ((shard, placement), entry) in asked {
        out.put_u16_le(shard.0);
        out.put_u16_le(placement.0);
        out.put_u32_le(entry.incarnation.0);
        out.put_u64_le(entry.sequence.0);
    }
    out.freeze()
}

/// Decodes a question.
pub fn decode_asked(bytes: &[u8]) -> Result<Asked, Malformed> {
    let mut reader = opened(bytes, "question for confirmations")?;
    let count = reader.u32()?;
    let mut asked = Vec::new();
    for _ in 0..count {
        let stream = (ShardId(reader.u16()?), PlacementId(reader.u16()?));
        let entry = Reached {
            incarnation: Incarnation(reader.u32()?),
            sequence: Sequence(reader.u64()?),
        };
        asked.push((stream, entry));
    }
    reader.finish()?;
    Ok(asked)
}

/// Encodes who holds each of them.
pub fn encode_answer(holders: &[BTreeSet<RegionId>]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    out.put_u32_le(holders.len() as u32);
    for regions in holders {
        out.put_u16_le(regions.len() as u16);
        regions.iter().for_each(|region| out.put_u16_le(region.0));
    }
    out.freeze()
}

/// Decodes who holds each of them.
pub fn decode_answer(bytes: &[u8]) -> Result<Vec<BTreeSet<RegionId>>, Malformed> {
    let mut reader = opened(bytes, "confirmations")?;
    let count = reader.u32()?;
    let mut holders = Vec::new();
    for _ in 0..count {
        let regions = reader.u16()?;
        let region = |_| Ok(RegionId(reader.u16()?));
        holders.push((0..regions).map(region).collect::<Result<_, _>>()?);
    }
    reader.finish()?;
    Ok(holders)
}

fn opened<'a>(bytes: &'a [u8], format: &'static str) -> Result<Reader<'a>, Malformed> {
    let mut reader = Reader::new(bytes, format);
    if reader.u8()? == VERSION {
        Ok(reader)
    } else {
        Err(reader.malformed("its version is not known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutations;

    #[test]
    fn questions_and_answers_read_back_and_damaged_ones_do_not_panic() {
        let entry = Reached {
            incarnation: Incarnation(1),
            sequence: Sequence(u64::MAX),
        };
        let asked = vec![((ShardId(1), PlacementId(2)), entry); 3];
        let question = encode_asked(&asked);
        assert_eq!(decode_asked(&question), Ok(asked));
        let holders = vec![BTreeSet::from([RegionId(1), RegionId(9)]), BTreeSet::new()];
        let answer = encode_answer(&holders);
        assert_eq!(decode_answer(&answer), Ok(holders));
        for length in 0..question.len() {
            assert!(decode_asked(&question[..length]).is_err(), "{length}");
        }
        mutations::check(10_000, &[&question, &answer], |damaged| {
            drop(decode_asked(damaged));
            drop(decode_answer(damaged));
        });
    }
}
