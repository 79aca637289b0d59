//! ```text
//! asked:    version 1 | shard 2
//! answered: version 1 | kind 1 | digest: revision 8, rows 8, hash 8, streams 4, each: origin 2,
//!           placement 2, incarnation 4, sequence 8 · not here · refused: text
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::{Incarnation, PlacementId, RegionId, Revision, Sequence, ShardId},
    token::Reached,
};

const VERSION: u8 = 1;

/// What a replica has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Under which definitions.
    pub revision: Revision,
    /// Through where, stream by stream.
    pub streams: Vec<(RegionId, PlacementId, Reached)>,
    /// How many rows, deleted ones that are remembered among them.
    pub rows: u64,
    /// The sum of their hashes.
    pub hash: u64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It.
    Digest(Digest),
    /// The node holds no readable replica.
    NotHere,
    /// It cannot be told, and why.
    Refused(String),
}

/// Encodes a question.
pub fn encode_asked(shard: ShardId) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    out.put_u16_le(shard.0);
    out.freeze()
}

/// Decodes a question.
pub fn decode_asked(bytes: &[u8]) -> Result<ShardId, Malformed> {
    let mut reader = opened(bytes, "question for a digest")?;
    let shard = ShardId(reader.u16()?);
    reader.finish()?;
    Ok(shard)
}

/// Encodes an answer.
pub fn encode_answer(answer: &Answer) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    match answer {
        Answer::Digest(digest) => {
            out.put_u8(1);
            out.put_u64_le(digest.revision.0);
            out.put_u64_le(digest.rows);
            out.put_u64_le(digest.hash);
            out.put_u32_le(digest.streams.len() as u32);
            for (origin, placement, reached) in &digest.streams {
                out.put_u16_le(origin.0);
                out.put_u16_le(placement.0);
                out.put_u32_le(reached.incarnation.0);
                out.put_u64_le(reached.sequence.0);
            }
        }
        Answer::NotHere => out.put_u8(2),
        Answer::Refused(why) => {
            out.put_u8(3);
            out.extend_from_slice(why.as_bytes());
        }
    }
    out.freeze()
}

/// Decodes an answer.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, Malformed> {
    let mut reader = opened(bytes, "digest")?;
    let answer = match reader.u8()? {
        1 => Answer::Digest(digest(&mut reader)?),
        2 => Answer::NotHere,
        3 => {
            return Ok(Answer::Refused(
                String::from_utf8_lossy(reader.rest()).into_owned(),
            ));
        }
        _ => return Err(reader.malformed("its kind is not known here")),
    };
    reader.finish()?;
    Ok(answer)
}

fn digest(reader: &mut Reader<'_>) -> Result<Digest, Malformed> {
    let (revision, rows, hash) = (Revision(reader.u64()?), reader.u64()?, reader.u64()?);
    let count = reader.u32()?;
    let mut streams = Vec::new();
    for _ in 0..count {
        let (origin, placement) = (RegionId(reader.u16()?), PlacementId(reader.u16()?));
        let reached = Reached {
            incarnation: Incarnation(reader.u32()?),
            sequence: Sequence(reader.u64()?),
        };
        streams.push((origin, placement, reached));
    }
    Ok(Digest {
        revision,
        streams,
        rows,
        hash,
    })
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
    fn what_is_asked_and_answered_reads_back_and_damage_does_not_panic() {
        let asked = encode_asked(ShardId(900));
        assert_eq!(decode_asked(&asked), Ok(ShardId(900)));
        let reached = Reached {
            incarnation: Incarnation(2),
            sequence: Sequence(u64::MAX),
        };
        let digest = Answer::Digest(Digest {
            revision: Revision(4),
            streams: vec![(RegionId(1), PlacementId(0), reached); 2],
            rows: 12,
            hash: u64::MAX,
        });
        let answers = [digest, Answer::NotHere, Answer::Refused("why".into())];
        let kept: Vec<Bytes> = answers.iter().map(encode_answer).collect();
        for (answer, bytes) in answers.iter().zip(&kept) {
            assert_eq!(decode_answer(bytes).as_ref(), Ok(answer));
        }
        let kept: Vec<&[u8]> = kept
            .iter()
            .chain([&asked])
            .map(|bytes| &bytes[..])
            .collect();
        mutations::check(10_000, &kept, |damaged| {
            let _ = decode_asked(damaged);
            drop(decode_answer(damaged));
        });
    }
}
