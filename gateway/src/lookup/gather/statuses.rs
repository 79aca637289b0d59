//! Statuses as they travel, and arrays that several columns share.

use super::Gathered;
use bytes::Bytes;
use wire::twin;

/// A value's status; its number is the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// A value.
    Present = 1,
    /// A written null.
    NullValue = 2,
    /// No row, or never set.
    NotFound = 3,
    /// Older than the view's ttl.
    OutsideMaxAge = 4,
    /// The shard did not answer.
    Unavailable = 5,
}

/// Added to [`Status::NotFound`] where the default stands in its place.
pub const DEFAULTED: u8 = 16;

impl Status {
    /// All statuses.
    pub const ALL: [Self; 5] = [
        Self::Present,
        Self::NullValue,
        Self::NotFound,
        Self::OutsideMaxAge,
        Self::Unavailable,
    ];

    /// The name that travels in JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "PRESENT",
            Self::NullValue => "NULL_VALUE",
            Self::NotFound => "NOT_FOUND",
            Self::OutsideMaxAge => "OUTSIDE_MAX_AGE",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The status of a byte, and whether the default stands in the value's place.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<(Self, bool)> {
        let is_defaulted = byte & DEFAULTED != 0;
        let status = Self::ALL
            .into_iter()
            .find(|status| *status as u8 == byte & !DEFAULTED)?;
        Some((status, is_defaulted))
    }
}

/// Arrays of one view's columns, each kept once.
#[derive(Debug, Default)]
pub struct SharedArrays {
    known: Vec<(Bytes, u32)>,
}

impl SharedArrays {
    /// The 1-based place of `statuses` in the answer, added if no column of this view had it.
    pub fn statuses(&mut self, statuses: Vec<u8>, answer: &mut Gathered) -> u32 {
        self.place(statuses, |bytes| {
            answer.statuses.push(bytes);
            answer.statuses.len()
        })
    }

    /// The 1-based place of `times` in the answer, likewise.
    pub fn times(&mut self, times: Vec<u8>, answer: &mut Gathered) -> u32 {
        self.place(times, |bytes| {
            let micros = if bytes.is_empty() {
                Vec::new()
            } else {
                vec![bytes]
            };
            answer.times.push(twin::Times { micros });
            answer.times.len()
        })
    }

    fn place(&mut self, array: Vec<u8>, add: impl FnOnce(Bytes) -> usize) -> u32 {
        if let Some((_, place)) = self.known.iter().find(|(known, _)| *known == array) {
            return *place;
        }
        let array = Bytes::from(array);
        let place = u32::try_from(add(array.clone())).expect("no more arrays than columns");
        self.known.push((array, place));
        place
    }
}
