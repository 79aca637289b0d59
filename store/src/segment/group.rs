//! A group: what is appended, written and found again as one.
//!
//! ```text
//!  0 magic 4 | version 2 | flags 2 | segment id 8
//! 16 group number 8 | synced through group 8
//! 32 payload length 4 | entries 4 | preface length 4 | payload crc-32c 4 (flag)
//! 48 zeros 12 | crc-32c 4 of the header before it and the preface, seeded with the segment id
//! 64 preface, zeros to a multiple of 16 | payload, zeros to a multiple of 16
//! ```
//! The preface is the user's: what the header's checksum should guard too. The payload is guarded
//! by its own parts, or by the checksum in the header where the log was set so.

use super::{SegmentId, file::FORMAT_VERSION};
use bytes::Bytes;
use proto::codec::{Reader, align16};

/// Bytes of a group's header.
pub const GROUP_HEADER_BYTES: usize = 64;
pub(super) const MAGIC: [u8; 4] = *b"ATGR";
const CRC_AT: usize = 60;
const FLAG_PAYLOAD_CRC: u16 = 1;
/// No group is larger; a length above it is garbage and must not be allocated.
pub(super) const GROUP_BYTES_MAX: usize = 64 << 20;

/// What stands in a group's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHeader {
    /// The segment it was written to.
    pub segment: SegmentId,
    /// Dense over the log's segments, from 1.
    pub number: u64,
    /// The log was known to be synced up to this group when this one was made.
    pub synced_through: u64,
    /// Entries in the payload, as its writer counts them.
    pub entries: u32,
    pub(super) payload_bytes: u32,
    pub(super) preface_bytes: u32,
    pub(super) payload_crc: Option<u32>,
}

/// A group that was read; the header and the preface are sound.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its header.
    pub header: GroupHeader,
    /// Where it begins in its file.
    pub offset: u64,
    pub(super) bytes: Bytes,
}

impl GroupHeader {
    /// Bytes of the whole group.
    #[must_use]
    pub fn group_bytes(&self) -> usize {
        self.payload_at() + align16(self.payload_bytes as usize)
    }

    /// Where the payload begins, from the group's first byte.
    #[must_use]
    pub fn payload_at(&self) -> usize {
        GROUP_HEADER_BYTES + align16(self.preface_bytes as usize)
    }

    /// Reads a header whose preface stands in `bytes` too. `None` if it is not one of `segment`.
    pub(super) fn decode(bytes: &[u8], segment: SegmentId) -> Option<Self> {
        let header = Self::decode_unchecked(bytes)?;
        let preface_end = GROUP_HEADER_BYTES + header.preface_bytes as usize;
        let preface = bytes.get(GROUP_HEADER_BYTES..preface_end)?;
        let crc = header_crc(segment, &bytes[..CRC_AT], preface);
        (header.segment == segment && bytes[CRC_AT..GROUP_HEADER_BYTES] == crc.to_le_bytes())
            .then_some(header)
    }

    /// The fields alone, to learn how long the preface is.
    pub(super) fn decode_unchecked(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(..GROUP_HEADER_BYTES)?, "group header");
        let magic: [u8; 4] = reader.array().ok()?;
        let version = reader.u16().ok()?;
        let flags = reader.u16().ok()?;
        if magic != MAGIC || version > FORMAT_VERSION {
            return None;
        }
        let segment = SegmentId(reader.u64().ok()?);
        let number = reader.u64().ok()?;
        let synced_through = reader.u64().ok()?;
        let [payload_bytes, entries, preface_bytes, crc] = [
            reader.u32().ok()?,
            reader.u32().ok()?,
            reader.u32().ok()?,
            reader.u32().ok()?,
        ];
        let payload_crc = (flags & FLAG_PAYLOAD_CRC != 0).then_some(crc);
        let header = Self {
            segment,
            number,
            synced_through,
            entries,
            payload_bytes,
            preface_bytes,
            payload_crc,
        };
        let sane =
            (payload_bytes as usize).saturating_add(preface_bytes as usize) <= GROUP_BYTES_MAX;
        sane.then_some(header)
    }

    fn encode(&self, preface: &[u8]) -> [u8; GROUP_HEADER_BYTES] {
        let mut out = [0; GROUP_HEADER_BYTES];
        let flags = if self.payload_crc.is_some() {
            FLAG_PAYLOAD_CRC
        } else {
            0
        };
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[6..8].copy_from_slice(&flags.to_le_bytes());
        out[8..16].copy_from_slice(&self.segment.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.synced_through.to_le_bytes());
        let words = [
            self.payload_bytes,
            self.entries,
            self.preface_bytes,
            self.payload_crc.unwrap_or(0),
        ];
        for (at, word) in words.into_iter().enumerate() {
            out[32 + at * 4..36 + at * 4].copy_from_slice(&word.to_le_bytes());
        }
        let crc = header_crc(self.segment, &out[..CRC_AT], preface);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

impl Group {
    /// The user's bytes that the header guards.
    #[must_use]
    pub fn preface(&self) -> &[u8] {
        &self.bytes[GROUP_HEADER_BYTES..GROUP_HEADER_BYTES + self.header.preface_bytes as usize]
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let at = self.header.payload_at();
        &self.bytes[at..at + self.header.payload_bytes as usize]
    }

    /// The payload, to be kept without a copy.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        let at = self.header.payload_at();
        self.bytes
            .slice(at..at + self.header.payload_bytes as usize)
    }

    /// Where the payload begins in the file.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        self.offset + self.header.payload_at() as u64
    }

    /// Where the next group begins in the file.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.header.group_bytes() as u64
    }

    /// Whether the payload has the checksum that the header gives, if it gives one.
    #[must_use]
    pub fn payload_crc_holds(&self) -> bool {
        self.header
            .payload_crc
            .is_none_or(|crc| crc == crc32c::crc32c(self.payload()))
    }
}

/// Lays out a group.
pub(super) fn encode(
    (segment, number, synced_through): (SegmentId, u64, u64),
    preface: &[u8],
    payload: &[&[u8]],
    entries: u32,
    with_crc: bool,
) -> Vec<u8> {
    let payload_bytes: usize = payload.iter().map(|part| part.len()).sum();
    let crc = || {
        payload
            .iter()
            .fold(0, |crc, part| crc32c::crc32c_append(crc, part))
    };
    let header = GroupHeader {
        segment,
        number,
        synced_through,
        entries,
        payload_bytes: u32::try_from(payload_bytes).expect("groups are bounded"),
        preface_bytes: u32::try_from(preface.len()).expect("groups are bounded"),
        payload_crc: with_crc.then(crc),
    };
    let mut out = Vec::with_capacity(header.group_bytes());
    out.extend_from_slice(&header.encode(preface));
    out.extend_from_slice(preface);
    out.resize(header.payload_at(), 0);
    for part in payload {
        out.extend_from_slice(part);
    }
    out.resize(header.group_bytes(), 0);
    out
}

/// Bytes that a group with such parts takes.
pub(super) fn encoded_bytes(preface: usize, payload: usize) -> u64 {
    (GROUP_HEADER_BYTES + align16(preface) + align16(payload)) as u64
}

fn header_crc(segment: SegmentId, header: &[u8], preface: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&segment.0.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, header), preface)
}
