//! Request ids, and what is remembered of a request so that a repeat gets the first answer.

use crate::{
    codec::{Malformed, Reader},
    id::Revision,
    limits::{REJECTION_MESSAGE_BYTES, REQUEST_ID_WINDOW},
    reason::{Reason, Refusal},
};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use xxhash_rust::xxh3::xxh3_128;

/// A UUID of version 7: it carries when it was issued, so "older than the window" can be judged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RequestId([u8; 16]);

/// One request may become several entries of a shard; each is a part, from 0.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct RequestPart(pub u16);

/// The bytes are not a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a request id is a UUID of version 7, which carries the time of its issue; make one for each new request and keep it over retries"
)]
pub struct NotVersion7;

impl RequestId {
    /// What entries without a request carry.
    pub const NONE: Self = Self([0; 16]);

    /// Takes 16 bytes that a client sent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotVersion7> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| NotVersion7)?;
        let version_7 = bytes[6] >> 4 == 7 && bytes[8] >> 6 == 0b10;
        if version_7 {
            Ok(Self(bytes))
        } else {
            Err(NotVersion7)
        }
    }

    /// Takes 16 bytes that stood in an entry.
    #[must_use]
    pub const fn from_stored(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Makes an id issued at `millis` from 74 random bits (of `random`).
    #[must_use]
    pub const fn make(millis: u64, random: u128) -> Self {
        let mut bytes = random.to_be_bytes();
        let time = millis.to_be_bytes();
        let mut i = 0;
        while i < 6 {
            bytes[i] = time[i + 2];
            i += 1;
        }
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// The id under which piece `number` of a part is known, where the part's rows outgrow one entry:
    /// it was issued when the request was, and follows from the request alone. Piece 0 has the request's.
    #[must_use]
    pub fn piece(self, number: u16) -> Self {
        if number == 0 {
            return self;
        }
        let mut named = [0; 18];
        named[..16].copy_from_slice(&self.0);
        named[16..].copy_from_slice(&number.to_le_bytes());
        Self::make(self.issued_millis(), xxh3_128(&named))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Milliseconds since 1970 at which the id was issued.
    #[must_use]
    pub const fn issued_millis(&self) -> u64 {
        let b = &self.0;
        u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// Whether it was issued more than `max_offset` after `now_millis`: of two clocks one is wrong.
    #[must_use]
    pub fn is_ahead(&self, now_millis: u64, max_offset: Duration) -> bool {
        let ahead = u64::try_from(max_offset.as_millis()).unwrap_or(u64::MAX);
        self.issued_millis() > now_millis.saturating_add(ahead)
    }

    /// Whether a repeat of the request would be known at a log clock of `now_millis`. Ids may be
    /// issued up to `max_offset` ahead by a client's fast clock.
    #[must_use]
    pub fn is_within_window(&self, now_millis: u64, max_offset: Duration) -> bool {
        let window = u64::try_from(REQUEST_ID_WINDOW.as_millis()).expect("ten minutes fit");
        let is_old = self.issued_millis().saturating_add(window) <= now_millis;
        !is_old && !self.is_ahead(now_millis, max_offset)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for RequestId {
    type Err = NotVersion7;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 || !digits.is_ascii() {
            return Err(NotVersion7);
        }
        let pair = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).map_err(|_| NotVersion7)?;
            u8::from_str_radix(text, 16).map_err(|_| NotVersion7)
        };
        let bytes: Vec<u8> = digits.chunks_exact(2).map(pair).collect::<Result<_, _>>()?;
        Self::from_bytes(&bytes)
    }
}

/// A row of a request that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which of the request's writes.
    pub write: u32,
    /// Which row of that write.
    pub row: u32,
    /// Why, and what to change.
    pub refusal: Refusal,
}

/// What became of the rows of one part of a request. Stands in the entry's extras, so that log,
/// backups and snapshots all hold the first answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteOutcome {
    /// Rows that are durable.
    pub accepted: u32,
    /// Of these, rows that changed nothing because a newer event stands.
    pub superseded: u32,
    /// Rows that were not taken.
    pub rejected: Vec<Rejection>,
}

/// What a piece of a request was made of, by which a repeat is told from another request that was given
/// the same id. It stands behind the outcome in the entry's extras; entries of earlier releases have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The revision of the registry that the gateway grouped and typed the rows under. Under another one
    /// the rows of an honest repeat may be grouped and typed differently.
    pub revision: Revision,
    /// Of the rows as the gateway sent them, but for their event times: those that a writer leaves out
    /// are the gateway's clock, and differ each time.
    pub digest: u64,
}

impl Sent {
    /// Bytes of the stored form.
    pub const BYTES: usize = 16;

    /// Whether what was sent `first` under the same id is certainly something else.
    #[must_use]
    pub fn contradicts(self, first: Option<Self>) -> bool {
        first.is_some_and(|first| first.revision == self.revision && first.digest != self.digest)
    }

    /// The stored form.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.revision.0.to_le_bytes());
        out.extend(self.digest.to_le_bytes());
    }

    /// Reads the stored form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            revision: Revision(reader.u64()?),
            digest: reader.u64()?,
        })
    }
}

impl Rejection {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.write.to_le_bytes());
        out.extend(self.row.to_le_bytes());
        out.extend((self.refusal.reason as u16).to_le_bytes());
        encode_text(&self.refusal.field, out);
        encode_text(&self.refusal.message, out);
    }

    /// Bytes that it takes in an outcome's stored form.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.len()
    }
}

impl WriteOutcome {
    /// Bytes of the stored form besides its rejections.
    pub const HEAD_BYTES: usize = 12;

    /// The stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.accepted.to_le_bytes());
        out.extend(self.superseded.to_le_bytes());
        out.extend((self.rejected.len() as u32).to_le_bytes());
        for rejection in &self.rejected {
            rejection.encode(out);
        }
    }

    /// How many rows of the request it speaks of.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.accepted as usize + self.rejected.len()
    }

    /// Reads the stored form.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (accepted, superseded) = (reader.u32()?, reader.u32()?);
        let count = reader.u32()?;
        let rejected = (0..count)
            .map(|_| decode_rejection(reader))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            accepted,
            superseded,
            rejected,
        })
    }
}

fn decode_rejection(reader: &mut Reader<'_>) -> Result<Rejection, Malformed> {
    let (write, row) = (reader.u32()?, reader.u32()?);
    let number = reader.u16()?;
    // A newer version's reason: the refusal stands, only its name is not known here.
    let reason = Reason::from_number(number).unwrap_or(Reason::InvalidRequest);
    let (field, message) = (decode_text(reader)?, decode_text(reader)?);
    Ok(Rejection {
        write,
        row,
        refusal: Refusal {
            reason,
            field,
            message,
        },
    })
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    let cut = text.floor_char_boundary(REJECTION_MESSAGE_BYTES);
    out.extend((cut as u16).to_le_bytes());
    out.extend(&text.as_bytes()[..cut]);
}

fn decode_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let length = reader.u16()?;
    let bytes = reader.take(usize::from(length))?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| reader.malformed("a text is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_with_its_time() {
        let id = RequestId::make(1_795_000_000_123, u128::MAX);
        assert_eq!(id.issued_millis(), 1_795_000_000_123);
        assert_eq!(id.to_string(), "01a1ee56-5e7b-7fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(RequestId::from_bytes(id.as_bytes()), Ok(id));
    }

    #[test]
    fn pieces_of_a_part_have_ids_of_their_own_of_the_same_age() {
        let id = RequestId::make(1_795_000_000_123, 7);
        let pieces: std::collections::BTreeSet<_> = (0..1_000).map(|n| id.piece(n)).collect();
        assert_eq!(pieces.len(), 1_000);
        assert_eq!(id.piece(0), id);
        // Stored in logs: it never changes.
        assert_eq!(
            id.piece(1).to_string(),
            "01a1ee56-5e7b-7f9b-8874-b1f7f67ee120"
        );
        for piece in pieces {
            assert_eq!(piece.issued_millis(), id.issued_millis());
            assert_eq!(RequestId::from_bytes(piece.as_bytes()), Ok(piece));
        }
    }

    #[test]
    fn other_uuids_are_refused() {
        assert!(
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
                .parse::<RequestId>()
                .is_err()
        );
        assert!("not a uuid".parse::<RequestId>().is_err());
        assert!(RequestId::from_bytes(&[7; 15]).is_err());
    }

    #[test]
    fn the_window_bounds_an_id_on_both_sides() {
        let id = RequestId::make(1_000_000, 0);
        let offset = Duration::from_millis(500);
        assert!(id.is_within_window(1_000_000 + 599_999, offset));
        assert!(!id.is_within_window(1_000_000 + 600_000, offset));
        assert!(id.is_within_window(999_500, offset));
        assert!(!id.is_within_window(999_499, offset));
    }

    #[test]
    fn outcomes_read_back_with_their_rejections() {
        let refusal = Refusal::of_field(Reason::WrongType, "spend_30d", "ä".repeat(200));
        let outcome = WriteOutcome {
            accepted: 3,
            superseded: 1,
            rejected: vec![Rejection {
                write: 0,
                row: 7,
                refusal,
            }],
        };
        let mut bytes = Vec::new();
        outcome.encode(&mut bytes);
        let mut reader = Reader::new(&bytes, "outcome");
        let read = WriteOutcome::decode(&mut reader).unwrap();
        assert_eq!(
            read.rejected[0].refusal.message,
            "ä".repeat(128),
            "messages are cut at the limit"
        );
        assert_eq!(
            (read.accepted, read.superseded, read.rejected[0].row),
            (3, 1, 7)
        );
    }
}
