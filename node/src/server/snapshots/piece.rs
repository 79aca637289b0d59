//! A piece of a snapshot, as one call carries it.
//!
//! ```text
//! kind 1 | shard 2 | incarnation 4 | epoch 4 | session 4 | number 4 | content
//! begin: boot 8 · base: bytes of the shard's state · rows: a chunk of the store · end: nothing
//! ```

use crate::server::shards::Arrival;
use bytes::{BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::{BootId, Epoch, Incarnation, ShardId},
};
use replication::Fence;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which snapshot it is of.
    pub arrival: Arrival,
    /// Its number in it, from 0 without a hole.
    pub number: u32,
    /// What it is.
    pub content: Content,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The first: the run of the receiver that it is meant for.
    Begin(BootId),
    /// A part of what replication says of the shard.
    Base(Bytes),
    /// A chunk, for the store.
    Rows(Bytes),
    /// The last.
    End,
}

impl Piece {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (kind, content): (u8, &[u8]) = match &self.content {
            Content::Begin(boot) => (1, &boot.0.to_le_bytes()),
            Content::Base(bytes) => (2, bytes),
            Content::Rows(bytes) => (3, bytes),
            Content::End => (4, &[]),
        };
        let mut out = BytesMut::with_capacity(32 + content.len());
        out.put_u8(kind);
        out.put_u16_le(self.arrival.shard.0);
        out.put_u32_le(self.arrival.fence.incarnation.0);
        out.put_u32_le(self.arrival.fence.epoch.0);
        out.put_u32_le(self.arrival.session);
        out.put_u32_le(self.number);
        out.put_slice(content);
        out.freeze()
    }

    /// Reads one.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "snapshot piece");
        let kind = reader.u8()?;
        let shard = ShardId(reader.u16()?);
        let fence = Fence {
            incarnation: Incarnation(reader.u32()?),
            epoch: Epoch(reader.u32()?),
        };
        let arrival = Arrival {
            shard,
            fence,
            session: reader.u32()?,
        };
        let number = reader.u32()?;
        let content = match kind {
            1 => Content::Begin(BootId(reader.u64()?)),
            2 => Content::Base(bytes.slice_ref(reader.rest())),
            3 => Content::Rows(bytes.slice_ref(reader.rest())),
            4 => Content::End,
            _ => return Err(reader.malformed("its kind is unknown")),
        };
        Ok(Self {
            arrival,
            number,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutations;

    #[test]
    fn pieces_read_back_and_torn_ones_do_not() {
        let arrival = Arrival {
            shard: ShardId(900),
            fence: Fence {
                incarnation: Incarnation(2),
                epoch: Epoch(7),
            },
            session: 5,
        };
        let contents = [
            Content::Begin(BootId(77)),
            Content::Base(Bytes::from_static(b"base")),
            Content::Rows(Bytes::from_static(b"rows")),
            Content::End,
        ];
        for (number, content) in contents.into_iter().enumerate() {
            let piece = Piece {
                arrival,
                number: number as u32,
                content,
            };
            let bytes = piece.encode();
            assert_eq!(Piece::decode(&bytes).unwrap(), piece);
            assert!(Piece::decode(&bytes.slice(..18)).is_err());
            mutations::check(5_000, &[&bytes], |damaged| {
                drop(Piece::decode(&Bytes::copy_from_slice(damaged)));
            });
        }
    }
}
