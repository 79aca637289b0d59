//! What the store writes before a group's payload, guarded by the group's own checksum.
//!
//! ```text
//! log:  commits 4 | hashes 4 | commits: shard 2, position 6 | hashes 8 each
//! base: shard 2 | zeros 2 | hashes 4 | hashes 8 each
//! ```
//! In the log there is a hash for each indexed record of the group, in order; in a base segment for
//! each record. So an index can be built from a segment alone, without knowing projects or entities.

use proto::{
    codec::{Malformed, Reader},
    id::{Position, ShardId},
};

/// The preface of a log group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPreface {
    /// Shards' commit points when the group was made, of those that moved since the last group.
    pub(crate) commits: Vec<(ShardId, Position)>,
    /// The index hashes of the group's indexed records.
    pub(crate) hashes: Vec<u64>,
}

/// The preface of a base segment's group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BasePreface {
    /// Whose rows these are.
    pub(crate) shard: ShardId,
    /// The index hashes of the records.
    pub(crate) hashes: Vec<u64>,
}

impl LogPreface {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 8 * (self.commits.len() + self.hashes.len()));
        out.extend((self.commits.len() as u32).to_le_bytes());
        out.extend((self.hashes.len() as u32).to_le_bytes());
        for (shard, position) in &self.commits {
            out.extend(shard.0.to_le_bytes());
            out.extend(&position.0.to_le_bytes()[..6]);
        }
        encode_hashes(&self.hashes, &mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "log preface");
        let (commits, hashes) = (reader.u32()?, reader.u32()?);
        let commits = (0..commits)
            .map(|_| decode_commit(&mut reader))
            .collect::<Result<_, _>>()?;
        let hashes = decode_hashes(hashes, &mut reader)?;
        reader.finish()?;
        Ok(Self { commits, hashes })
    }
}

impl BasePreface {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 8 * self.hashes.len());
        out.extend(self.shard.0.to_le_bytes());
        out.extend([0; 2]);
        out.extend((self.hashes.len() as u32).to_le_bytes());
        encode_hashes(&self.hashes, &mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "base preface");
        let shard = ShardId(reader.u16()?);
        reader.u16()?;
        let count = reader.u32()?;
        let hashes = decode_hashes(count, &mut reader)?;
        reader.finish()?;
        Ok(Self { shard, hashes })
    }
}

fn decode_commit(reader: &mut Reader<'_>) -> Result<(ShardId, Position), Malformed> {
    let shard = ShardId(reader.u16()?);
    let mut position = [0; 8];
    position[..6].copy_from_slice(reader.take(6)?);
    Ok((shard, Position(u64::from_le_bytes(position))))
}

fn encode_hashes(hashes: &[u64], out: &mut Vec<u8>) {
    for hash in hashes {
        out.extend(hash.to_le_bytes());
    }
}

fn decode_hashes(count: u32, reader: &mut Reader<'_>) -> Result<Vec<u64>, Malformed> {
    (0..count).map(|_| reader.u64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefaces_read_back_and_shortened_ones_are_refused() {
        let log = LogPreface {
            commits: vec![(ShardId(3), Position(1 << 40))],
            hashes: vec![u64::MAX, 0, 7],
        };
        let bytes = log.encode();
        assert_eq!(LogPreface::decode(&bytes).unwrap(), log);
        let base = BasePreface {
            shard: ShardId(9),
            hashes: vec![1, 2],
        };
        assert_eq!(BasePreface::decode(&base.encode()).unwrap(), base);
        for cut in 0..bytes.len() {
            assert!(LogPreface::decode(&bytes[..cut]).is_err());
        }
    }
}
