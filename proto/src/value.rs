//! Typed values, for the paths where a person or a test looks at one value at a time, and the
//! bytes in which any value is stored.
//!
//! The hot paths copy stored bytes and never build a [`Value`].

use crate::{
    codec::{Malformed, Reader},
    types::{Element, Scalar, Type},
};
use half::f16;
use std::cmp::Ordering;

/// One value of any type. Floats compare by their bits: a NaN is kept exactly and equals itself.
#[derive(Debug, Clone)]
pub enum Value {
    /// A written null.
    Null,
    /// `bool`
    Bool(bool),
    /// `int32`
    Int32(i32),
    /// `int64`
    Int64(i64),
    /// `float32`
    Float32(f32),
    /// `float64`
    Float64(f64),
    /// `string`
    String(String),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `timestamp`: microseconds since 1970 UTC.
    Timestamp(i64),
    /// A list; its elements are of one scalar type and none is null.
    List(Vec<Value>),
    /// A vector of `float32`.
    Float32Vector(Vec<f32>),
    /// A vector of `float16`.
    Float16Vector(Vec<f16>),
    /// A vector of `int8`.
    Int8Vector(Vec<i8>),
}

/// A value does not have the type it is stored or asked for under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value of type {expected} was expected, and {given} was given")]
pub struct WrongType {
    /// The type of the feature or key.
    pub expected: Type,
    /// What came, in words.
    pub given: &'static str,
}

impl Value {
    /// What kind of value this is, in words for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int32(_) => "an int32",
            Self::Int64(_) => "an int64",
            Self::Float32(_) => "a float32",
            Self::Float64(_) => "a float64",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "a timestamp",
            Self::List(_) => "a list",
            Self::Float32Vector(_) => "a vector of float32",
            Self::Float16Vector(_) => "a vector of float16",
            Self::Int8Vector(_) => "a vector of int8",
        }
    }

    /// The bytes in which the value is stored in a cell of type `ty`. Null has none: a cell's
    /// state says that it is null.
    pub fn encode(&self, ty: Type) -> Result<Vec<u8>, WrongType> {
        let mut out = Vec::with_capacity(ty.width().unwrap_or(16));
        self.encode_into(ty, &mut out)?;
        Ok(out)
    }

    fn encode_into(&self, ty: Type, out: &mut Vec<u8>) -> Result<(), WrongType> {
        let wrong = || WrongType {
            expected: ty,
            given: self.kind(),
        };
        match (ty, self) {
            (Type::Scalar(scalar), value) => value.encode_scalar(scalar, out).ok_or_else(wrong),
            (Type::List(scalar), Self::List(items)) => {
                encode_list(scalar, items, out).ok_or_else(wrong)
            }
            (Type::Vector(Element::Float32, dimension), Self::Float32Vector(items)) => {
                encode_vector(dimension, items, f32::to_le_bytes, out).ok_or_else(wrong)
            }
            (Type::Vector(Element::Float16, dimension), Self::Float16Vector(items)) => {
                encode_vector(dimension, items, f16::to_le_bytes, out).ok_or_else(wrong)
            }
            (Type::Vector(Element::Int8, dimension), Self::Int8Vector(items)) => {
                encode_vector(dimension, items, i8::to_le_bytes, out).ok_or_else(wrong)
            }
            (Type::List(_) | Type::Vector(..), _) => Err(wrong()),
        }
    }

    fn encode_scalar(&self, scalar: Scalar, out: &mut Vec<u8>) -> Option<()> {
        match (scalar, self) {
            (Scalar::Bool, Self::Bool(value)) => out.push(u8::from(*value)),
            (Scalar::Int32, Self::Int32(value)) => out.extend(value.to_le_bytes()),
            (Scalar::Int64, Self::Int64(value)) | (Scalar::Timestamp, Self::Timestamp(value)) => {
                out.extend(value.to_le_bytes());
            }
            (Scalar::Float32, Self::Float32(value)) => out.extend(value.to_bits().to_le_bytes()),
            (Scalar::Float64, Self::Float64(value)) => out.extend(value.to_bits().to_le_bytes()),
            (Scalar::String, Self::String(value)) => out.extend(value.as_bytes()),
            (Scalar::Bytes, Self::Bytes(value)) => out.extend(value),
            _ => return None,
        }
        Some(())
    }

    /// The value that `bytes` hold in a cell of type `ty`.
    pub fn decode(ty: Type, bytes: &[u8]) -> Result<Self, Malformed> {
        let malformed = |fault| Malformed {
            format: "cell",
            fault,
        };
        if ty.width().is_some_and(|width| width != bytes.len()) {
            return Err(malformed("its length is not its type's"));
        }
        match ty {
            Type::Scalar(scalar) => decode_scalar(scalar, bytes),
            Type::List(scalar) => list_items(scalar, bytes)?
                .into_iter()
                .map(|item| decode_scalar(scalar, item))
                .collect::<Result<_, _>>()
                .map(Self::List),
            Type::Vector(element, _) => Ok(decode_vector(element, bytes)),
        }
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int32(_) => 2,
            Self::Int64(_) => 3,
            Self::Float32(_) => 4,
            Self::Float64(_) => 5,
            Self::String(_) => 6,
            Self::Bytes(_) => 7,
            Self::Timestamp(_) => 8,
            Self::List(_) => 9,
            Self::Float32Vector(_) => 10,
            Self::Float16Vector(_) => 11,
            Self::Int8Vector(_) => 12,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        if self.tag() != other.tag() {
            return false;
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int32(a), Self::Int32(b)) => a == b,
            (Self::Int64(a), Self::Int64(b)) | (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Float32(a), Self::Float32(b)) => a.to_bits() == b.to_bits(),
            (Self::Float64(a), Self::Float64(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Float32Vector(a), Self::Float32Vector(b)) => a
                .iter()
                .map(|x| x.to_bits())
                .eq(b.iter().map(|x| x.to_bits())),
            (Self::Float16Vector(a), Self::Float16Vector(b)) => a
                .iter()
                .map(|x| x.to_bits())
                .eq(b.iter().map(|x| x.to_bits())),
            (Self::Int8Vector(a), Self::Int8Vector(b)) => a == b,
            (left, _) => matches!(left, Self::Null),
        }
    }
}

fn encode_vector<T: Copy, const N: usize>(
    dimension: u32,
    items: &[T],
    bytes: impl Fn(T) -> [u8; N],
    out: &mut Vec<u8>,
) -> Option<()> {
    if items.len() != dimension as usize {
        return None;
    }
    items.iter().for_each(|item| out.extend(bytes(*item)));
    Some(())
}

fn encode_list(scalar: Scalar, items: &[Value], out: &mut Vec<u8>) -> Option<()> {
    if scalar.width().is_some() {
        return items
            .iter()
            .try_for_each(|item| item.encode_scalar(scalar, out));
    }
    let mut joined = Vec::new();
    out.extend(u32::try_from(items.len()).ok()?.to_le_bytes());
    for item in items {
        item.encode_scalar(scalar, &mut joined)?;
        out.extend(u32::try_from(joined.len()).ok()?.to_le_bytes());
    }
    out.extend(joined);
    Some(())
}

/// The stored bytes of a list's elements: fixed-width ones end to end; strings and bytes behind a
/// count and the end of each.
pub fn list_items(scalar: Scalar, bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let malformed = |fault| Malformed {
        format: "list cell",
        fault,
    };
    if let Some(width) = scalar.width() {
        let whole = bytes.len().is_multiple_of(width);
        return if whole {
            Ok(bytes.chunks_exact(width).collect())
        } else {
            Err(malformed("an element is cut"))
        };
    }
    let mut reader = Reader::new(bytes, "list cell");
    let count = reader.u32()? as usize;
    let mut ends = Reader::new(
        reader.take(
            count
                .checked_mul(4)
                .ok_or(malformed("its count is wrong"))?,
        )?,
        "list cell",
    );
    let joined = reader.rest();
    let mut items = Vec::with_capacity(count);
    let mut start = 0;
    for _ in 0..count {
        let end = ends.u32()? as usize;
        items.push(
            joined
                .get(start..end)
                .ok_or(malformed("an element lies outside"))?,
        );
        start = end;
    }
    if start == joined.len() {
        Ok(items)
    } else {
        Err(malformed("it has bytes past its end"))
    }
}

fn decode_scalar(scalar: Scalar, bytes: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader::new(bytes, "cell");
    Ok(match scalar {
        Scalar::Bool => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(reader.malformed("a bool is neither 0 nor 1")),
        },
        Scalar::Int32 => Value::Int32(i32::from_le_bytes(reader.array()?)),
        Scalar::Int64 => Value::Int64(i64::from_le_bytes(reader.array()?)),
        Scalar::Float32 => Value::Float32(f32::from_bits(reader.u32()?)),
        Scalar::Float64 => Value::Float64(f64::from_bits(reader.u64()?)),
        Scalar::Timestamp => Value::Timestamp(i64::from_le_bytes(reader.array()?)),
        Scalar::String => std::str::from_utf8(bytes)
            .map(|text| Value::String(text.to_owned()))
            .map_err(|_| reader.malformed("a string is not UTF-8"))?,
        Scalar::Bytes => Value::Bytes(bytes.to_vec()),
    })
}

fn decode_vector(element: Element, bytes: &[u8]) -> Value {
    match element {
        Element::Float32 => Value::Float32Vector(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|item| f32::from_le_bytes(*item))
                .collect(),
        ),
        Element::Float16 => Value::Float16Vector(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|item| f16::from_le_bytes(*item))
                .collect(),
        ),
        Element::Int8 => Value::Int8Vector(bytes.iter().map(|byte| byte.cast_signed()).collect()),
    }
}

/// A stored value of type `from` as a stored value of type `to`: the same, or widened without loss.
///
/// A float32 is widened by its bits, so that a NaN's payload is kept.
#[must_use]
pub fn widen(from: Type, to: Type, bytes: &[u8]) -> Option<Vec<u8>> {
    if from == to {
        return Some(bytes.to_vec());
    }
    if !from.widens_to(to) {
        return None;
    }
    let bits: [u8; 4] = bytes.try_into().ok()?;
    Some(match from {
        Type::Scalar(Scalar::Int32) => i64::from(i32::from_le_bytes(bits)).to_le_bytes().to_vec(),
        _ => widen_float_bits(u32::from_le_bytes(bits))
            .to_le_bytes()
            .to_vec(),
    })
}

/// The bits of a float32 as those of the float64 of equal value; a NaN keeps sign and payload.
#[must_use]
pub fn widen_float_bits(bits: u32) -> u64 {
    let float = f32::from_bits(bits);
    if !float.is_nan() {
        return f64::from(float).to_bits();
    }
    let sign = u64::from(bits >> 31) << 63;
    sign | (0x7ff << 52) | (u64::from(bits & 0x007f_ffff) << 29)
}

/// The order in which equal versions are decided: the stored bytes of the value widened to 64 bits.
/// So the decision is the same before and after a feature was widened. Types that do not widen
/// compare as they are.
#[must_use]
pub fn canonical_order(ty: Type, left: &[u8], right: &[u8]) -> Ordering {
    let wide = match ty {
        Type::Scalar(Scalar::Int32) => Type::Scalar(Scalar::Int64),
        Type::Scalar(Scalar::Float32) => Type::Scalar(Scalar::Float64),
        _ => return left.cmp(right),
    };
    widen(ty, wide, left).cmp(&widen(ty, wide, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_round_trip(ty: &str, value: Value) {
        let ty = ty.parse().unwrap();
        let bytes = value.encode(ty).unwrap();
        assert_eq!(Value::decode(ty, &bytes), Ok(value));
    }

    #[test]
    fn every_type_reads_back_what_was_written() {
        check_round_trip("bool", Value::Bool(true));
        check_round_trip("int32", Value::Int32(i32::MIN));
        check_round_trip("int64", Value::Int64(i64::MAX));
        check_round_trip("float32", Value::Float32(f32::from_bits(0x7f80_0001)));
        check_round_trip("float64", Value::Float64(f64::NEG_INFINITY));
        check_round_trip("string", Value::String("päivää".into()));
        check_round_trip("bytes", Value::Bytes(vec![0, 255]));
        check_round_trip("timestamp", Value::Timestamp(-5));
        check_round_trip(
            "list<int64>",
            Value::List(vec![Value::Int64(1), Value::Int64(-1)]),
        );
        check_round_trip(
            "list<string>",
            Value::List(vec![
                Value::String(String::new()),
                Value::String("b".into()),
            ]),
        );
        check_round_trip("list<bytes>", Value::List(vec![]));
        check_round_trip(
            "vector<float32, 2>",
            Value::Float32Vector(vec![1.0, f32::NAN]),
        );
        check_round_trip(
            "vector<float16, 1>",
            Value::Float16Vector(vec![f16::from_f32(0.5)]),
        );
        check_round_trip("vector<int8, 3>", Value::Int8Vector(vec![-128, 0, 127]));
    }

    #[test]
    fn a_value_of_another_type_is_refused_in_words() {
        let refused = Value::Int64(1)
            .encode("int32".parse().unwrap())
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a value of type int32 was expected, and an int64 was given"
        );
        assert!(
            Value::Int8Vector(vec![1])
                .encode("vector<int8, 2>".parse().unwrap())
                .is_err()
        );
        assert!(
            Value::List(vec![Value::Null])
                .encode("list<int64>".parse().unwrap())
                .is_err()
        );
    }

    #[test]
    fn a_widened_nan_keeps_its_payload() {
        let signalling = 0xff80_0001_u32;
        assert_eq!(widen_float_bits(signalling), 0xfff0_0000_2000_0000);
        assert!(f64::from_bits(widen_float_bits(signalling)).is_nan());
    }

    proptest! {
        #[test]
        fn ties_fall_alike_before_and_after_a_widening(left: i32, right: i32, a: u32, b: u32) {
            let (int32, int64) = ("int32".parse().unwrap(), "int64".parse().unwrap());
            let (float32, float64) = ("float32".parse().unwrap(), "float64".parse().unwrap());
            for (narrow, wide, x, y) in [
                (int32, int64, left.to_le_bytes(), right.to_le_bytes()),
                (float32, float64, a.to_le_bytes(), b.to_le_bytes()),
            ] {
                let (wide_x, wide_y) = (widen(narrow, wide, &x).unwrap(), widen(narrow, wide, &y).unwrap());
                prop_assert_eq!(canonical_order(narrow, &x, &y), canonical_order(wide, &wide_x, &wide_y));
            }
        }

        #[test]
        fn widening_keeps_distinct_floats_distinct(a: u32, b: u32) {
            prop_assert_eq!(a == b, widen_float_bits(a) == widen_float_bits(b));
        }

        #[test]
        fn decoding_any_bytes_never_panics(bytes: Vec<u8>, which in 0..8_usize) {
            let scalar = Scalar::ALL[which];
            let _ = Value::decode(Type::Scalar(scalar), &bytes);
            let _ = Value::decode(Type::List(scalar), &bytes);
        }
    }
}
