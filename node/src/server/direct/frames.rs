//! Frames on a link between regions.
//!
//! ```text
//! length 4 (of what follows) | kind 1 | body
//! reader:  HELLO    version 2 | cluster 16 | region 2 | placement 2
//!          READ     shard 2 | from: 0 start, 1 position, 2 milliseconds, 1 | value 8
//!          STOP     shard 2
//!          FLOW     shard 2 | 1: flow, 0: wait, 1
//! read:    RECORD   shard 2 | position 8 | a link record
//!          BEAT      count 4 | each: shard 2 | position 8 | a link record, a heartbeat
//!          LOST     shard 2
//!          ELSEWHERE shard 2 | the link address of who leads it, UTF-8, or nothing
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::{ClusterId, PlacementId, RegionId, ShardId},
    limits::LINK_RECORD_BYTES,
};
use replication::link::From;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What both ends speak.
pub(super) const VERSION: u16 = 1;
/// A record and what is said around it.
const FRAME_BYTES: usize = LINK_RECORD_BYTES + (1 << 20);

const HELLO: u8 = 1;
const READ: u8 = 2;
const STOP: u8 = 3;
const FLOW: u8 = 4;
const RECORD: u8 = 16;
const BEAT: u8 = 17;
const LOST: u8 = 18;
const ELSEWHERE: u8 = 19;

/// What a reader says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Hello {
        version: u16,
        cluster: ClusterId,
        region: RegionId,
        placement: PlacementId,
    },
    Read(ShardId, From),
    Stop(ShardId),
    Flow(ShardId, bool),
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tell {
    Record {
        shard: ShardId,
        position: u64,
        record: Bytes,
    },
    Beat {
        positions: Vec<(ShardId, u64)>,
        heartbeat: Bytes,
    },
    Lost(ShardId),
    Elsewhere(ShardId, String),
}

impl Ask {
    pub(super) fn put(&self, out: &mut BytesMut) {
        framed(out, |out| match self {
            Self::Hello {
                version,
                cluster,
                region,
                placement,
            } => {
                out.put_u8(HELLO);
                out.put_u16_le(*version);
                out.put_u128_le(cluster.0);
                out.put_u16_le(region.0);
                out.put_u16_le(placement.0);
            }
            Self::Read(shard, from) => {
                let (kind, value) = match from {
                    From::Start => (0, 0),
                    From::Position(position) => (1, *position),
                    From::Millis(millis) => (2, *millis),
                };
                out.put_u8(READ);
                out.put_u16_le(shard.0);
                out.put_u8(kind);
                out.put_u64_le(value);
            }
            Self::Stop(shard) => {
                out.put_u8(STOP);
                out.put_u16_le(shard.0);
            }
            Self::Flow(shard, flows) => {
                out.put_u8(FLOW);
                out.put_u16_le(shard.0);
                out.put_u8(u8::from(*flows));
            }
        });
    }

    pub(super) fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(frame, "link question");
        let ask = match reader.u8()? {
            HELLO => Self::Hello {
                version: reader.u16()?,
                cluster: ClusterId(u128::from_le_bytes(reader.array()?)),
                region: RegionId(reader.u16()?),
                placement: PlacementId(reader.u16()?),
            },
            READ => {
                let shard = ShardId(reader.u16()?);
                let (kind, value) = (reader.u8()?, reader.u64()?);
                let from = match kind {
                    0 => From::Start,
                    1 => From::Position(value),
                    2 => From::Millis(value),
                    _ => return Err(reader.malformed("it reads from nowhere that is known")),
                };
                Self::Read(shard, from)
            }
            STOP => Self::Stop(ShardId(reader.u16()?)),
            FLOW => Self::Flow(ShardId(reader.u16()?), reader.u8()? == 1),
            _ => return Err(reader.malformed("its kind is unknown")),
        };
        reader.finish()?;
        Ok(ask)
    }
}

impl Tell {
    pub(super) fn put(&self, out: &mut BytesMut) {
        framed(out, |out| match self {
            Self::Record {
                shard,
                position,
                record,
            } => {
                out.put_u8(RECORD);
                out.put_u16_le(shard.0);
                out.put_u64_le(*position);
                out.extend_from_slice(record);
            }
            Self::Beat {
                positions,
                heartbeat,
            } => {
                out.put_u8(BEAT);
                out.put_u32_le(positions.len() as u32);
                for (shard, position) in positions {
                    out.put_u16_le(shard.0);
                    out.put_u64_le(*position);
                }
                out.extend_from_slice(heartbeat);
            }
            Self::Lost(shard) => {
                out.put_u8(LOST);
                out.put_u16_le(shard.0);
            }
            Self::Elsewhere(shard, address) => {
                out.put_u8(ELSEWHERE);
                out.put_u16_le(shard.0);
                out.extend_from_slice(address.as_bytes());
            }
        });
    }

    pub(super) fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(frame, "link answer");
        Ok(match reader.u8()? {
            RECORD => Self::Record {
                shard: ShardId(reader.u16()?),
                position: reader.u64()?,
                record: frame.slice(11..),
            },
            BEAT => {
                let count = reader.u32()?;
                let mut positions = Vec::new();
                for _ in 0..count {
                    positions.push((ShardId(reader.u16()?), reader.u64()?));
                }
                let heartbeat = frame.slice(5 + positions.len() * 10..);
                Self::Beat {
                    positions,
                    heartbeat,
                }
            }
            LOST => Self::Lost(ShardId(reader.u16()?)),
            ELSEWHERE => {
                let shard = ShardId(reader.u16()?);
                let address = String::from_utf8(frame[3..].to_vec());
                let address = address.map_err(|_| reader.malformed("its address is no text"))?;
                Self::Elsewhere(shard, address)
            }
            _ => return Err(reader.malformed("its kind is unknown")),
        })
    }
}

fn framed(out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
    let begins = out.len();
    out.put_u32_le(0);
    put(out);
    let length = (out.len() - begins - 4) as u32;
    out[begins..begins + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads frames of one end.
pub(super) struct Frames<R> {
    from: R,
    read: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(from: R) -> Self {
        let read = BytesMut::new();
        Self { from, read }
    }

    /// The next one. It may be given up while it is waited for: nothing that was read is lost.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(length) = self.read.first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > FRAME_BYTES {
                    let why = format!("a frame of {length} bytes, and {FRAME_BYTES} are allowed");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                if self.read.len() >= 4 + length {
                    self.read.advance(4);
                    return Ok(self.read.split_to(length).freeze());
                }
                self.read.reserve(4 + length - self.read.len());
            }
            if self.from.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_read_back_however_they_arrive() {
        let asks = [
            Ask::Hello {
                version: VERSION,
                cluster: ClusterId(7),
                region: RegionId(2),
                placement: PlacementId(3),
            },
            Ask::Read(ShardId(9), From::Start),
            Ask::Read(ShardId(9), From::Position(77)),
            Ask::Read(ShardId(9), From::Millis(1_795_000_000_000)),
            Ask::Stop(ShardId(9)),
            Ask::Flow(ShardId(9), true),
        ];
        let tells = [
            Tell::Record {
                shard: ShardId(1),
                position: 5,
                record: Bytes::from_static(b"record"),
            },
            Tell::Beat {
                positions: vec![(ShardId(1), 5), (ShardId(2), 0)],
                heartbeat: Bytes::from_static(b"beat"),
            },
            Tell::Lost(ShardId(1)),
            Tell::Elsewhere(ShardId(1), "10.0.0.1:6573".into()),
            Tell::Elsewhere(ShardId(1), String::new()),
        ];
        let mut out = BytesMut::new();
        asks.iter().for_each(|ask| ask.put(&mut out));
        tells.iter().for_each(|tell| tell.put(&mut out));
        // A few bytes at a time.
        let (mut near, far) = tokio::io::duplex(7);
        let bytes = out.to_vec();
        tokio::spawn(async move {
            drop(tokio::io::AsyncWriteExt::write_all(&mut near, &bytes).await);
        });
        let mut frames = Frames::new(far);
        for ask in asks {
            assert_eq!(Ask::decode(&frames.next().await.unwrap()), Ok(ask));
        }
        for tell in tells {
            assert_eq!(Tell::decode(&frames.next().await.unwrap()), Ok(tell));
        }
        let end = frames.next().await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_too_long_or_cut_off_is_refused() {
        let long = ((FRAME_BYTES + 1) as u32).to_le_bytes();
        let error = Frames::new(&long[..]).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut out = BytesMut::new();
        Ask::Read(ShardId(1), From::Start).put(&mut out);
        let whole = out.split_off(4).freeze();
        for length in 0..whole.len() {
            assert!(Ask::decode(&whole.slice(..length)).is_err(), "{length}");
        }
    }
}
