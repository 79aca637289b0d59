//! Times, values and keys of a history.
//!
//! Values stay the bytes that a cell stores: exact for every type, NaN and all.

use proto::{id::ViewId, key::Key};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use smallvec::SmallVec;
use std::fmt;

/// A point in time: microseconds of the harness's monotonic clock since the history began.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Bytes, hexadecimal in text. Numbers, most of all values, take no memory of their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(SmallVec<[u8; 16]>);

/// A value in the bytes of its cell; the column's type tells how to read them.
pub type Datum = Bytes;

/// A token as it travelled.
pub type TokenBytes = Bytes;

impl Bytes {
    /// Takes a copy.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'a> Deserialize<'a> for Bytes {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.as_bytes();
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let pair = |pair: &[u8]| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8);
        let bytes: Option<SmallVec<[u8; 16]>> = digits.chunks(2).map(pair).collect();
        match bytes {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(D::Error::custom(format_args!(
                "{text:?} is not hexadecimal bytes"
            ))),
        }
    }
}

/// One view's row of one entity key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// The view.
    pub view: ViewId,
    /// The key's canonical bytes.
    pub key: Bytes,
}

impl RowKey {
    /// The row of `key` in `view`.
    #[must_use]
    pub fn new(view: ViewId, key: &Key) -> Self {
        Self {
            view,
            key: Bytes::of(key.as_bytes()),
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {} key {}", self.view, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hexadecimal_text() {
        let bytes = Bytes::of(&[0, 127, 255]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"007fff\"");
        assert_eq!(serde_json::from_str::<Bytes>("\"007fff\"").unwrap(), bytes);
        for wrong in ["\"0\"", "\"0g\"", "\"é\"", "\"+1\"", "7"] {
            assert!(serde_json::from_str::<Bytes>(wrong).is_err(), "{wrong}");
        }
    }
}
