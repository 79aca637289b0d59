//! What regions tell each other: one record is one entry of a stream, or one heartbeat of a node.
//!
//! ```text
//! head, 32 bytes, the same in every version
//!    0 crc-32c 4 | length 4 | version 1 | kind 1 | origin 2 | cluster 16 | shard 2 | placement 2
//! entry
//!   32 incarnation 4 | entry kind 1 | spare 1 | rows 2 | sequence 8 | HLC 8 | lineage length 4 | spare 4
//!   64 the lineage of a *start*, zeros up to a multiple of 16
//!      rows: sealed records, each a multiple of 16
//! heartbeat: see `heartbeat`
//! ```
//!
//! The CRC covers everything after itself. A reader that does not know a version or a kind still knows
//! from the head whose stream it must hold; one whose CRC differs knows nothing at all.
//!
//! Only what the writer sent leaves a region: no merged image, no outcome, no epoch, no request.

mod entry;
mod heartbeat;

pub use entry::{LinkEntry, encode_entry};
pub use heartbeat::{Heartbeat, HeldClose, HeldEcho, HeldReport};

use crate::{
    codec::{Malformed, array_at},
    id::{ClusterId, PlacementId, RegionId, ShardId, Stream},
    limits::LINK_RECORD_BYTES,
};
use bytes::Bytes;

/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 32;
/// The version that this release writes.
pub const VERSION: u8 = 1;
const ENTRY: u8 = 1;
const HEARTBEAT: u8 = 2;
const FORMAT: &str = "link record";

/// What every version of a record begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The cluster that wrote it. Another one's records in the same topic are refused by this.
    pub cluster: ClusterId,
    /// The stream. A heartbeat is of no shard: it says [`Head::NO_SHARD`].
    pub stream: Stream,
}

impl Head {
    /// The shard of a record that speaks of many.
    pub const NO_SHARD: ShardId = ShardId(u16::MAX);
    /// The placement of a record that speaks of many.
    pub const NO_PLACEMENT: PlacementId = PlacementId(u16::MAX);
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An entry of a stream.
    Entry(LinkEntry),
    /// What a node says four times a second.
    Heartbeat(Heartbeat),
}

/// A record that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its bytes are damaged: not even its stream is known for sure.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is whole, and of a later release.
    #[error(
        "a record of shard {shard} from region {origin} is of {what} {number}, which this node does not know; update this node",
        shard = head.stream.shard, origin = head.stream.origin
    )]
    Unknown {
        /// Whose stream must wait.
        head: Head,
        /// What is not known.
        what: Unknown,
        /// Its number.
        number: u8,
    },
}

/// What a record of a later release may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Another layout.
    Version,
    /// A record that is neither entry nor heartbeat.
    Kind,
    /// An entry that does something else.
    EntryKind,
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::Kind => "kind",
            Self::EntryKind => "entry kind",
        })
    }
}

const fn malformed(fault: &'static str) -> Malformed {
    Malformed {
        format: FORMAT,
        fault,
    }
}

/// Reads a record that came over a link, and compares its checksum. Rows are not copied.
pub fn decode(bytes: &Bytes) -> Result<Record, RecordError> {
    let head = read_head(bytes)?;
    let unknown = |what, number| RecordError::Unknown { head, what, number };
    let (version, kind) = (bytes[8], bytes[9]);
    if version != VERSION {
        return Err(unknown(Unknown::Version, version));
    }
    match kind {
        ENTRY => entry::decode(head, bytes).map(Record::Entry),
        HEARTBEAT => Ok(Record::Heartbeat(heartbeat::decode(head, bytes)?)),
        _ => Err(unknown(Unknown::Kind, kind)),
    }
}

fn read_head(bytes: &[u8]) -> Result<Head, Malformed> {
    if !(HEAD_BYTES..=LINK_RECORD_BYTES).contains(&bytes.len()) {
        return Err(malformed("its length cannot be"));
    }
    if u32::from_le_bytes(array_at(bytes, 4)) as usize != bytes.len() {
        return Err(malformed("its length is not what it says"));
    }
    if u32::from_le_bytes(array_at(bytes, 0)) != crc32c::crc32c(&bytes[4..]) {
        return Err(malformed("its checksum differs"));
    }
    Ok(Head {
        cluster: ClusterId(u128::from_le_bytes(array_at(bytes, 12))),
        stream: Stream {
            origin: RegionId(u16::from_le_bytes(array_at(bytes, 10))),
            shard: ShardId(u16::from_le_bytes(array_at(bytes, 28))),
            placement: PlacementId(u16::from_le_bytes(array_at(bytes, 30))),
        },
    })
}

/// A record's first bytes; [`finish`] fills in what is known only at its end.
fn begin(head: &Head, kind: u8) -> Vec<u8> {
    let mut out = vec![0; 8];
    out.extend([VERSION, kind]);
    out.extend(head.stream.origin.0.to_le_bytes());
    out.extend(head.cluster.0.to_le_bytes());
    out.extend(head.stream.shard.0.to_le_bytes());
    out.extend(head.stream.placement.0.to_le_bytes());
    out
}

fn finish(mut out: Vec<u8>) -> Bytes {
    let length = u32::try_from(out.len()).expect("records are bounded");
    out[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out.into()
}

#[cfg(test)]
mod tests;
