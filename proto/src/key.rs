//! Entity keys: their canonical bytes and the hash that the index is kept by.
//!
//! Both are stored formats. A key's bytes are, for each join key in the entity's order, a tag of
//! its type and the value: 8 bytes for integers, booleans and timestamps, a 16-bit length and the
//! bytes for strings and bytes. An int32 key has the bytes of the int64 of equal value.

use crate::{
    codec::{Malformed, Reader},
    id::{EntityId, ProjectId, ViewId},
    limits::KEY_BYTES,
    types::Scalar,
    value::Value,
};
use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3;

const TAG_NUMBER: u8 = 1;
const TAG_STRING: u8 = 2;
const TAG_BYTES: u8 = 3;

/// The canonical bytes of an entity key. Usual keys stay on the stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(SmallVec<[u8; 40]>);

/// Why values are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The value has another type than the join key, or is null, or of a type no key can have.
    #[error("a join key of type {expected} cannot take {given}")]
    WrongType {
        /// The join key's type.
        expected: &'static str,
        /// What came.
        given: &'static str,
    },
    /// The key has too many bytes.
    #[error(
        "a key may have {KEY_BYTES} bytes, and this one has more; use a shorter id or a hash of it"
    )]
    TooLong,
}

impl Key {
    /// An empty key, to push parts to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes canonical bytes as they were stored.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets the parts and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a join key with a value of 64 bits: bool (0 or 1), int32 (widened), int64, timestamp.
    pub fn push_number(&mut self, number: i64) -> Result<(), KeyError> {
        self.0.push(TAG_NUMBER);
        self.0.extend_from_slice(&number.to_le_bytes());
        self.check_length()
    }

    /// Adds a join key of type string.
    pub fn push_string(&mut self, text: &str) -> Result<(), KeyError> {
        self.push_run(TAG_STRING, text.as_bytes())
    }

    /// Adds a join key of type bytes.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        self.push_run(TAG_BYTES, bytes)
    }

    /// Adds a join key of type `scalar`.
    pub fn push(&mut self, scalar: Scalar, value: &Value) -> Result<(), KeyError> {
        match (scalar, value) {
            (Scalar::Bool, Value::Bool(flag)) => self.push_number(i64::from(*flag)),
            (Scalar::Int32, Value::Int32(number)) => self.push_number(i64::from(*number)),
            (Scalar::Int64, Value::Int64(number))
            | (Scalar::Timestamp, Value::Timestamp(number)) => self.push_number(*number),
            (Scalar::String, Value::String(text)) => self.push_string(text),
            (Scalar::Bytes, Value::Bytes(bytes)) => self.push_bytes(bytes),
            _ => Err(KeyError::WrongType {
                expected: scalar.as_str(),
                given: value.kind(),
            }),
        }
    }

    fn push_run(&mut self, tag: u8, bytes: &[u8]) -> Result<(), KeyError> {
        let length = u16::try_from(bytes.len()).map_err(|_| KeyError::TooLong)?;
        if self.0.len() + 3 + bytes.len() > KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        self.0.push(tag);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn check_length(&self) -> Result<(), KeyError> {
        if self.0.len() > KEY_BYTES {
            Err(KeyError::TooLong)
        } else {
            Ok(())
        }
    }

    /// The values of the key, its join keys having the types `scalars`.
    pub fn values(&self, scalars: &[Scalar]) -> Result<Vec<Value>, Malformed> {
        let mut reader = Reader::new(&self.0, "key");
        let values = scalars
            .iter()
            .map(|scalar| read_part(&mut reader, *scalar))
            .collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(values)
    }

    /// The hash that all views of this key share.
    #[must_use]
    pub fn hash(&self, project: ProjectId, entity: EntityId) -> KeyHash {
        let mut hasher = Xxh3::new();
        hasher.update(&project.0.to_le_bytes());
        hasher.update(&entity.0.to_le_bytes());
        hasher.update(&self.0);
        KeyHash(hasher.digest())
    }
}

fn read_part(reader: &mut Reader<'_>, scalar: Scalar) -> Result<Value, Malformed> {
    let tag = reader.u8()?;
    if tag == TAG_NUMBER {
        let number = i64::from_le_bytes(reader.array()?);
        let narrow =
            || i32::try_from(number).map_err(|_| reader.malformed("an int32 is out of range"));
        return match scalar {
            Scalar::Bool => Ok(Value::Bool(number != 0)),
            Scalar::Int32 => narrow().map(Value::Int32),
            Scalar::Int64 => Ok(Value::Int64(number)),
            Scalar::Timestamp => Ok(Value::Timestamp(number)),
            Scalar::Float32 | Scalar::Float64 | Scalar::String | Scalar::Bytes => {
                Err(reader.malformed("a part is not of its join key's type"))
            }
        };
    }
    let length = reader.u16()?;
    let bytes = reader.take(usize::from(length))?;
    match (tag, scalar) {
        (TAG_STRING, Scalar::String) => std::str::from_utf8(bytes)
            .map(|text| Value::String(text.to_owned()))
            .map_err(|_| reader.malformed("a string is not UTF-8")),
        (TAG_BYTES, Scalar::Bytes) => Ok(Value::Bytes(bytes.to_vec())),
        _ => Err(reader.malformed("a part is not of its join key's type")),
    }
}

/// The hash of (project, entity, key). One is computed per key; each view's comes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The index's hash of this key's row in `view`: a bijection for each view, so two keys of one
    /// view collide only where their own hashes do.
    #[must_use]
    pub const fn with_view(self, view: ViewId) -> u64 {
        let mut mixed = self.0 ^ (view.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_canonical_bytes_are_a_stored_format() {
        let mut key = Key::new();
        key.push(Scalar::Int64, &Value::Int64(17_850)).unwrap();
        key.push(Scalar::String, &Value::String("85123A".into()))
            .unwrap();
        assert_eq!(
            key.as_bytes(),
            b"\x01\xba\x45\0\0\0\0\0\0\x02\x06\x0085123A"
        );
        assert_eq!(key.hash(ProjectId(1), EntityId(2)).0, 0xf7fd_75fa_855c_9fd1);
        assert_eq!(
            key.hash(ProjectId(1), EntityId(2)).with_view(ViewId(3)),
            0xb812_6fe3_ebf5_ae50
        );
    }

    #[test]
    fn an_int32_key_is_the_int64_key_of_equal_value() {
        let (mut narrow, mut wide) = (Key::new(), Key::new());
        narrow.push(Scalar::Int32, &Value::Int32(-7)).unwrap();
        wide.push(Scalar::Int64, &Value::Int64(-7)).unwrap();
        assert_eq!(narrow, wide);
    }

    #[test]
    fn keys_over_the_limit_and_of_wrong_types_are_refused() {
        assert_eq!(
            Key::new().push_string(&"x".repeat(KEY_BYTES)),
            Err(KeyError::TooLong)
        );
        assert!(
            Key::new()
                .push(Scalar::Int64, &Value::String("1".into()))
                .is_err()
        );
        assert!(Key::new().push(Scalar::String, &Value::Null).is_err());
    }

    proptest! {
        #[test]
        fn keys_read_back_and_differ_where_their_values_differ(a: (i64, String, Vec<u8>), b: (i64, String, Vec<u8>)) {
            let types = [Scalar::Int64, Scalar::String, Scalar::Bytes];
            let build = |(number, text, bytes): &(i64, String, Vec<u8>)| {
                let mut key = Key::new();
                key.push_number(*number).unwrap();
                key.push_string(text).unwrap();
                key.push_bytes(bytes).unwrap();
                key
            };
            let (left, right) = (build(&a), build(&b));
            prop_assert_eq!(left == right, a == b);
            let values = left.values(&types).unwrap();
            prop_assert_eq!(values, vec![Value::Int64(a.0), Value::String(a.1), Value::Bytes(a.2)]);
        }
    }
}
