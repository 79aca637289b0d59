//! Consistency tokens: what a client has seen, so that a later lookup is never older.
//!
//! A token names, per stream touched, the incarnation and sequence reached, and the largest stamp.
//! Clients keep it as opaque bytes, merge nothing and send it back; gateways merge by maximum.
//!
//! ```text
//! version 1 | cluster, the low 4 bytes of its id | largest stamp 8 | streams 2
//! per stream, rising: origin 2 | shard 2 | placement 2 | incarnation 4 | sequence 8
//! ```

use crate::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{ClusterId, Incarnation, PlacementId, RegionId, Sequence, ShardId, Stream},
    limits::TOKEN_BYTES,
};
use std::collections::BTreeMap;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 15;
const STREAM_BYTES: usize = 18;

/// How far a stream was seen. The later incarnation is the larger, whatever its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reached {
    /// The stream's incarnation.
    pub incarnation: Incarnation,
    /// The sequence in it.
    pub sequence: Sequence,
}

/// What a client has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    streams: BTreeMap<Stream, Reached>,
    hlc: Hlc,
}

/// A token cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The bytes are not a token.
    #[error("the token cannot be read ({0}); send back the bytes of an answer unchanged, or none")]
    Malformed(#[from] Malformed),
    /// A newer gateway made it.
    #[error(
        "the token has version {0}, which this gateway does not know; send it to a newer one, or send none"
    )]
    Newer(u8),
    /// Another cluster made it.
    #[error("the token was given by another cluster; send it there, or send none")]
    OtherCluster,
    /// It names too many streams.
    #[error("the token would exceed {TOKEN_BYTES} bytes; begin a new session, with no token")]
    TooLarge,
}

impl Token {
    /// Tells that `stream` was seen up to `reached`, with stamps up to `hlc`.
    pub fn see(&mut self, stream: Stream, reached: Reached, hlc: Hlc) {
        let known = self.streams.entry(stream).or_insert(reached);
        *known = (*known).max(reached);
        self.hlc = self.hlc.max(hlc);
    }

    /// Takes over what another token has seen.
    pub fn merge(&mut self, other: &Self) {
        for (stream, reached) in &other.streams {
            self.see(*stream, *reached, other.hlc);
        }
        self.hlc = self.hlc.max(other.hlc);
    }

    /// The streams seen, in their order.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, Reached)> + '_ {
        self.streams
            .iter()
            .map(|(stream, reached)| (*stream, *reached))
    }

    /// The largest stamp seen.
    #[must_use]
    pub const fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.hlc == Hlc::ZERO
    }

    /// The bytes that travel.
    pub fn encode(&self, cluster: ClusterId) -> Result<Vec<u8>, TokenError> {
        let length = HEAD_BYTES + self.streams.len() * STREAM_BYTES;
        if length > TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let mut out = Vec::with_capacity(length);
        out.push(VERSION);
        out.extend(mark_of(cluster).to_le_bytes());
        out.extend(self.hlc.0.to_le_bytes());
        out.extend((self.streams.len() as u16).to_le_bytes());
        for (stream, reached) in &self.streams {
            out.extend(stream.origin.0.to_le_bytes());
            out.extend(stream.shard.0.to_le_bytes());
            out.extend(stream.placement.0.to_le_bytes());
            out.extend(reached.incarnation.0.to_le_bytes());
            out.extend(reached.sequence.0.to_le_bytes());
        }
        Ok(out)
    }

    /// Reads a token that this cluster gave.
    pub fn decode(bytes: &[u8], cluster: ClusterId) -> Result<Self, TokenError> {
        if bytes.len() > TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let mut reader = Reader::new(bytes, "token");
        let version = reader.u8()?;
        if version != VERSION {
            return Err(TokenError::Newer(version));
        }
        if reader.u32()? != mark_of(cluster) {
            return Err(TokenError::OtherCluster);
        }
        let mut token = Self {
            streams: BTreeMap::new(),
            hlc: Hlc(reader.u64()?),
        };
        for _ in 0..reader.u16()? {
            let stream = Stream {
                origin: RegionId(reader.u16()?),
                shard: ShardId(reader.u16()?),
                placement: PlacementId(reader.u16()?),
            };
            let reached = Reached {
                incarnation: Incarnation(reader.u32()?),
                sequence: Sequence(reader.u64()?),
            };
            token.see(stream, reached, Hlc::ZERO);
        }
        reader.finish()?;
        Ok(token)
    }
}

fn mark_of(cluster: ClusterId) -> u32 {
    cluster.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLUSTER: ClusterId = ClusterId(0xabcd_ef01_2345);

    fn stream(shard: u16) -> Stream {
        Stream {
            origin: RegionId(1),
            shard: ShardId(shard),
            placement: PlacementId(0),
        }
    }

    fn reached(incarnation: u32, sequence: u64) -> Reached {
        Reached {
            incarnation: Incarnation(incarnation),
            sequence: Sequence(sequence),
        }
    }

    #[test]
    fn a_later_incarnation_is_further_than_any_sequence_before_it() {
        let mut token = Token::default();
        token.see(stream(1), reached(1, 900), Hlc(5));
        token.see(stream(1), reached(2, 3), Hlc(4));
        assert_eq!(
            token.streams().collect::<Vec<_>>(),
            [(stream(1), reached(2, 3))]
        );
        assert_eq!(token.hlc(), Hlc(5));
    }

    #[test]
    fn tokens_of_others_are_refused_with_what_to_do() {
        let bytes = Token::default().encode(CLUSTER).unwrap();
        assert_eq!(
            Token::decode(&bytes, ClusterId(7)),
            Err(TokenError::OtherCluster)
        );
        assert!(
            Token::decode(b"what is this", CLUSTER)
                .unwrap_err()
                .to_string()
                .contains("newer")
        );
        assert!(Token::decode(&bytes[..9], CLUSTER).is_err());
        let mut large = Token::default();
        (0..2_000).for_each(|shard| large.see(stream(shard), reached(1, 1), Hlc(1)));
        assert_eq!(large.encode(CLUSTER), Err(TokenError::TooLarge));
    }

    proptest! {
        #[test]
        fn tokens_read_back_and_merge_in_any_order(seen in prop::collection::vec((0..9_u16, 0..3_u32, 0..9_u64, 0..9_u64), 0..20)) {
            let mut forward = Token::default();
            let mut backward = Token::default();
            for (shard, incarnation, sequence, hlc) in &seen {
                forward.see(stream(*shard), reached(*incarnation, *sequence), Hlc(*hlc));
            }
            for (shard, incarnation, sequence, hlc) in seen.iter().rev() {
                let mut one = Token::default();
                one.see(stream(*shard), reached(*incarnation, *sequence), Hlc(*hlc));
                backward.merge(&one);
            }
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(Token::decode(&forward.encode(CLUSTER).unwrap(), CLUSTER).unwrap(), forward);
        }

        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Token::decode(&bytes, CLUSTER);
        }
    }
}
