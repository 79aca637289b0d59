//! Frames on a connection between nodes.
//!
//! ```text
//! length 4 (of what follows) | kind 1 | method 1 | spare 2 | call 8 | payload
//! ```
//! The first frame each way is a hello; a node of another cluster, another wire version or at
//! another address than its own is turned away with the reason.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::{BootId, ClusterId, NodeId},
    limits::MESSAGE_BYTES,
};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The wire version between nodes; both ends name theirs and the connection needs them equal.
pub const WIRE_VERSION: u16 = 1;
const HEADER_BYTES: usize = 12;
/// A whole client message and what is said around it.
pub(super) const FRAME_BYTES: usize = MESSAGE_BYTES + (1 << 20);

/// Kinds of traffic that do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Entries and acknowledgements of shards.
    Replication = 0,
    /// Raft and membership.
    Metadata = 1,
    /// Lookups and writes of clients.
    Request = 2,
    /// Snapshots.
    Bulk = 3,
}

impl Class {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Replication, Self::Metadata, Self::Request, Self::Bulk]
            .into_iter()
            .find(|class| *class as u8 == number)
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 0,
    TurnedAway = 1,
    Message = 2,
    Call = 3,
    Answer = 4,
    Failure = 5,
    Ping = 6,
    Pong = 7,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        use Kind::{Answer, Call, Failure, Hello, Message, Ping, Pong, TurnedAway};
        let all = [
            Hello, TurnedAway, Message, Call, Answer, Failure, Ping, Pong,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) method: u8,
    pub(super) call: u64,
    pub(super) payload: Bytes,
}

impl Frame {
    pub(super) fn bare(kind: Kind) -> Self {
        Self {
            kind,
            method: 0,
            call: 0,
            payload: Bytes::new(),
        }
    }

    /// The header; the payload follows it as it is.
    pub(super) fn header(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(4 + HEADER_BYTES);
        let length =
            u32::try_from(HEADER_BYTES + self.payload.len()).expect("payloads are limited");
        out.put_u32_le(length);
        out.put_u8(self.kind as u8);
        out.put_u8(self.method);
        out.put_u16_le(0);
        out.put_u64_le(self.call);
        out.freeze()
    }

    /// The next frame of a stream.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        most_bytes: usize,
    ) -> io::Result<Self> {
        let length = stream.read_u32_le().await? as usize;
        if !(HEADER_BYTES..=most_bytes).contains(&length) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a frame's length cannot be",
            ));
        }
        let mut bytes = BytesMut::zeroed(length);
        stream.read_exact(&mut bytes).await?;
        let kind = Kind::from_number(bytes.get_u8()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a frame's kind is unknown")
        })?;
        let method = bytes.get_u8();
        bytes.advance(2);
        let call = bytes.get_u64_le();
        Ok(Self {
            kind,
            method,
            call,
            payload: bytes.freeze(),
        })
    }
}

/// Who calls, and whom it means to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The cluster it belongs to; 0 while it belongs to none and asks to join.
    pub cluster: ClusterId,
    /// The caller.
    pub node: NodeId,
    /// Its run.
    pub boot: BootId,
    /// Whom it means to reach; 0 where it knows only an address.
    pub to: NodeId,
    /// What the connection is for.
    pub class: Class,
}

impl Hello {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_slice(b"atoll");
        out.put_u16_le(WIRE_VERSION);
        out.put_u128_le(self.cluster.0);
        out.put_u64_le(self.node.0);
        out.put_u64_le(self.boot.0);
        out.put_u64_le(self.to.0);
        out.put_u8(self.class as u8);
        out.freeze()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "hello");
        if reader.take(5)? != b"atoll" {
            return Err(reader.malformed("the other side is not a node of Atoll"));
        }
        if reader.u16()? != WIRE_VERSION {
            return Err(reader
                .malformed("the other side speaks another wire version; run one release on both"));
        }
        Ok(Self {
            cluster: ClusterId(u128::from_le_bytes(reader.array()?)),
            node: NodeId(reader.u64()?),
            boot: BootId(reader.u64()?),
            to: NodeId(reader.u64()?),
            class: Class::from_number(reader.u8()?)
                .ok_or(reader.malformed("its class is unknown"))?,
        })
    }
}

/// A call that was carried out and failed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);
