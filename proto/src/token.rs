//! Consistency tokens: what a client has seen, so that a later lookup is never older.
//!
//! A token names, per stream touched, the incarnation and sequence reached, and the largest stamp.
//! Clients keep it as opaque bytes, merge nothing and send it back; gateways merge by maximum.
//!
//! ```text
//! version 2 | cluster, the low 4 bytes of its id | largest stamp 8 | groups + 1, or 0: too many streams
//! per group, rising: origin | placement | most incarnation | streams
//! per stream, rising: shards since the one before, times 2, plus 1 where an incarnation follows
//!                     | incarnation, where it is not the group's | sequence
//! ```
//!
//! Numbers of version 2 but the first three take 7 bits a byte, low ones first; a stream takes four or
//! five bytes. A token that would still be too large says so and nothing else: its reader is told.
//! Version 1, which is read too, has 18 bytes a stream:
//!
//! ```text
//! version 1 | cluster 4 | largest stamp 8 | streams 2
//! per stream, rising: origin 2 | shard 2 | placement 2 | incarnation 4 | sequence 8
//! ```

use crate::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{ClusterId, Incarnation, PlacementId, RegionId, Sequence, ShardId, Stream},
    limits::TOKEN_BYTES,
};
use std::collections::BTreeMap;

const VERSION: u8 = 2;
/// Version, cluster and stamp.
const HEAD_BYTES: usize = 13;
/// Streams of one origin and placement, by shard.
type Group = BTreeMap<ShardId, Reached>;

/// How far a stream was seen. The later incarnation is the larger, whatever its sequence; the default
/// is before the first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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
    #[error(
        "what the token would have to name does not fit {TOKEN_BYTES} bytes; send no token, and read and write fewer shards in one session"
    )]
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

    /// The bytes that travel. Where they would be too many they say that instead: whoever gets the
    /// token back refuses it, so that nobody takes what it cannot name for seen.
    #[must_use]
    pub fn encode(&self, cluster: ClusterId) -> Vec<u8> {
        let mut out = self.encode_all(cluster);
        if out.len() > TOKEN_BYTES {
            out.truncate(HEAD_BYTES);
            put_number(&mut out, 0);
        }
        out
    }

    /// The bytes between nodes, however many.
    #[must_use]
    pub fn encode_all(&self, cluster: ClusterId) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend(mark_of(cluster).to_le_bytes());
        out.extend(self.hlc.0.to_le_bytes());
        let groups = self.groups();
        put_number(&mut out, 1 + groups.len() as u64);
        for ((origin, placement), group) in groups {
            put_group(&mut out, (origin, placement), &group);
        }
        out
    }

    fn groups(&self) -> BTreeMap<(RegionId, PlacementId), Group> {
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for (stream, reached) in &self.streams {
            let group = groups.entry((stream.origin, stream.placement)).or_default();
            group.insert(stream.shard, *reached);
        }
        groups
    }

    /// Reads a token that this cluster gave.
    pub fn decode(bytes: &[u8], cluster: ClusterId) -> Result<Self, TokenError> {
        if bytes.len() > TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        Self::decode_all(bytes, cluster)
    }

    /// Reads what another node of this cluster sent.
    pub fn decode_all(bytes: &[u8], cluster: ClusterId) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes, "token");
        let version = reader.u8()?;
        if version == 0 || version > VERSION {
            return Err(TokenError::Newer(version));
        }
        if reader.u32()? != mark_of(cluster) {
            return Err(TokenError::OtherCluster);
        }
        let mut token = Self {
            streams: BTreeMap::new(),
            hlc: Hlc(reader.u64()?),
        };
        if version == 1 {
            token.read_streams(&mut reader)?;
        } else {
            let Some(groups) = number(&mut reader)?.checked_sub(1) else {
                return Err(TokenError::TooLarge);
            };
            for _ in 0..groups {
                token.read_group(&mut reader)?;
            }
        }
        reader.finish()?;
        Ok(token)
    }

    fn read_streams(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
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
            self.see(stream, reached, Hlc::ZERO);
        }
        Ok(())
    }

    fn read_group(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let (origin, placement) = (RegionId(small(reader)?), PlacementId(small(reader)?));
        let most = Incarnation(small(reader)?);
        let mut before: u16 = 0;
        for _ in 0..number(reader)? {
            let step: u32 = small(reader)?;
            let since = u16::try_from(step / 2).ok();
            let shard = since.and_then(|since| before.checked_add(since));
            let shard = shard.ok_or_else(|| reader.malformed("a shard is beyond its range"))?;
            before = shard;
            let incarnation = if step % 2 == 1 {
                Incarnation(small(reader)?)
            } else {
                most
            };
            let stream = Stream {
                origin,
                shard: ShardId(shard),
                placement,
            };
            let reached = Reached {
                incarnation,
                sequence: Sequence(number(reader)?),
            };
            self.see(stream, reached, Hlc::ZERO);
        }
        Ok(())
    }
}

fn put_group(out: &mut Vec<u8>, (origin, placement): (RegionId, PlacementId), group: &Group) {
    let most = most_incarnation(group);
    for part in [
        u64::from(origin.0),
        u64::from(placement.0),
        u64::from(most.0),
        group.len() as u64,
    ] {
        put_number(out, part);
    }
    let mut before = 0;
    for (shard, reached) in group {
        let differs = reached.incarnation != most;
        put_number(out, u64::from(shard.0 - before) * 2 + u64::from(differs));
        if differs {
            put_number(out, reached.incarnation.0.into());
        }
        put_number(out, reached.sequence.0);
        before = shard.0;
    }
}

/// The incarnation that most streams of a group are in.
fn most_incarnation(group: &Group) -> Incarnation {
    let mut counts: BTreeMap<Incarnation, usize> = BTreeMap::new();
    for reached in group.values() {
        *counts.entry(reached.incarnation).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(Incarnation(0), |(incarnation, _)| incarnation)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = reader.u8()?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(reader.malformed("a number is beyond its range"))
}

fn small<T: TryFrom<u64>>(reader: &mut Reader<'_>) -> Result<T, Malformed> {
    T::try_from(number(reader)?).map_err(|_| reader.malformed("a number is beyond its range"))
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
        let bytes = Token::default().encode(CLUSTER);
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
    }

    /// A token of so many regions' streams in 1,028 shards and two placements.
    fn wide(regions: u16) -> Token {
        let mut token = Token::default();
        for origin in 1..=regions {
            for shard in 0..1_028 {
                for placement in 0..2 {
                    let stream = Stream {
                        origin: RegionId(origin),
                        shard: ShardId(shard),
                        placement: PlacementId(placement),
                    };
                    let sequence = 1_000_000 + u64::from(shard) * 997;
                    token.see(
                        stream,
                        reached(1 + u32::from(shard % 50 == 0), sequence),
                        Hlc(7),
                    );
                }
            }
        }
        token
    }

    #[test]
    fn all_shards_of_three_regions_and_two_placements_fit() {
        let token = wide(3);
        let bytes = token.encode(CLUSTER);
        assert!(bytes.len() <= TOKEN_BYTES, "{} bytes", bytes.len());
        assert_eq!(Token::decode(&bytes, CLUSTER), Ok(token));
    }

    #[test]
    fn a_token_that_cannot_name_all_it_saw_says_so_when_it_comes_back() {
        let bytes = wide(9).encode(CLUSTER);
        assert_eq!(bytes.len(), 14);
        let between_nodes = wide(9).encode_all(CLUSTER);
        assert_eq!(Token::decode_all(&between_nodes, CLUSTER), Ok(wide(9)));
        let refused = Token::decode(&bytes, CLUSTER).unwrap_err();
        assert_eq!(refused, TokenError::TooLarge);
        assert!(refused.to_string().contains("send no token"), "{refused}");
    }

    #[test]
    fn tokens_that_earlier_releases_gave_are_read() {
        let mut bytes = vec![1];
        bytes.extend((CLUSTER.0 as u32).to_le_bytes());
        bytes.extend(5_u64.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        for part in [1_u16, 3, 0] {
            bytes.extend(part.to_le_bytes());
        }
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(900_u64.to_le_bytes());
        let mut token = Token::default();
        token.see(stream(3), reached(2, 900), Hlc(5));
        assert_eq!(Token::decode(&bytes, CLUSTER), Ok(token));
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
            prop_assert_eq!(Token::decode(&forward.encode(CLUSTER), CLUSTER).unwrap(), forward);
        }

        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Token::decode(&bytes, CLUSTER);
        }
    }
}
