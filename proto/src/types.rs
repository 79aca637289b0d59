//! Types of features and keys, as definition files write them.

use crate::{limits::VECTOR_DIMENSION, nearby};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Scalar {
    /// One byte, 0 or 1.
    Bool = 1,
    /// 32-bit signed integer.
    Int32 = 2,
    /// 64-bit signed integer.
    Int64 = 3,
    /// IEEE 754 single; NaN and infinities are kept exactly.
    Float32 = 4,
    /// IEEE 754 double; NaN and infinities are kept exactly.
    Float64 = 5,
    /// UTF-8.
    String = 6,
    /// Any bytes.
    Bytes = 7,
    /// Microseconds since 1970 UTC.
    Timestamp = 8,
}

/// The element type of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Element {
    /// IEEE 754 single.
    Float32 = 4,
    /// IEEE 754 half.
    Float16 = 9,
    /// 8-bit signed integer.
    Int8 = 10,
}

/// The type of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Type {
    /// One value.
    Scalar(Scalar),
    /// Any number of values.
    List(Scalar),
    /// A fixed number of elements.
    Vector(Element, u32),
}

impl Scalar {
    /// All scalars, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Bool,
        Self::Int32,
        Self::Int64,
        Self::Float32,
        Self::Float64,
        Self::String,
        Self::Bytes,
        Self::Timestamp,
    ];

    /// Bytes of a value, where that is fixed.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Bool => Some(1),
            Self::Int32 | Self::Float32 => Some(4),
            Self::Int64 | Self::Float64 | Self::Timestamp => Some(8),
            Self::String | Self::Bytes => None,
        }
    }

    /// The name in definition files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scalar| scalar.as_str() == text)
    }
}

impl Element {
    /// Bytes of one element.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 => 2,
            Self::Int8 => 1,
        }
    }

    /// The name in definition files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Float32, Self::Float16, Self::Int8]
            .into_iter()
            .find(|element| element.as_str() == text)
    }
}

impl Type {
    /// Bytes of a value, where that is fixed: scalars but strings and bytes, and vectors.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Scalar(scalar) => scalar.width(),
            Self::List(_) => None,
            Self::Vector(element, dimension) => Some(element.width() * dimension as usize),
        }
    }

    /// Whether a stored value of `self` can be read as `wider` without loss.
    #[must_use]
    pub const fn widens_to(self, wider: Self) -> bool {
        matches!(
            (self, wider),
            (Self::Scalar(Scalar::Int32), Self::Scalar(Scalar::Int64))
                | (Self::Scalar(Scalar::Float32), Self::Scalar(Scalar::Float64))
        )
    }
}

/// Why a text is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "type {given:?} does not exist; {hint}types are bool, int32, int64, float32, float64, string, bytes, \
     timestamp, list<T> of these, and vector<float32|float16|int8, N> with N from 1 to {VECTOR_DIMENSION}"
)]
pub struct InvalidType {
    given: String,
    hint: String,
}

impl FromStr for Type {
    type Err = InvalidType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidType {
            given: text.chars().take(80).collect(),
            hint: meant(text.trim()).map_or_else(String::new, |ty| format!("did you mean {ty}? ")),
        })
    }
}

/// The type that a text of other systems, or with a slip, may have meant.
fn meant(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let known = match lower.as_str() {
        "int" | "integer" | "long" | "bigint" | "int16" | "uint32" => "int64",
        "double" | "float" | "decimal" | "number" => "float64",
        "text" | "str" | "varchar" => "string",
        "boolean" => "bool",
        "binary" | "blob" => "bytes",
        "datetime" | "date" | "time" | "unix_timestamp" => "timestamp",
        _ => {
            let names = Scalar::ALL.into_iter().map(Scalar::as_str);
            return nearby::nearest(&lower, names);
        }
    };
    Some(known)
}

fn parse(text: &str) -> Option<Type> {
    let inner = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix('>').map(str::trim);
    if let Some(scalar) = inner("list<") {
        return Scalar::parse(scalar).map(Type::List);
    }
    if let Some(parameters) = inner("vector<") {
        let (element, dimension) = parameters.split_once(',')?;
        let dimension: u32 = dimension.trim().parse().ok()?;
        let allowed = (1..=VECTOR_DIMENSION).contains(&(dimension as usize));
        return allowed.then_some(Type::Vector(Element::parse(element.trim())?, dimension));
    }
    Scalar::parse(text).map(Type::Scalar)
}

impl TryFrom<String> for Type {
    type Error = InvalidType;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Type> for String {
    fn from(value: Type) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => f.write_str(scalar.as_str()),
            Self::List(scalar) => write!(f, "list<{}>", scalar.as_str()),
            Self::Vector(element, dimension) => {
                write!(f, "vector<{}, {dimension}>", element.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_they_print() {
        for text in [
            "bool",
            "int32",
            "list<string>",
            "list<timestamp>",
            "vector<float16, 8>",
            "vector<int8, 1>",
        ] {
            assert_eq!(text.parse::<Type>().unwrap().to_string(), text);
        }
        assert_eq!(
            "vector<float32,64>".parse(),
            Ok(Type::Vector(Element::Float32, 64))
        );
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "int",
            "Int64",
            "list<list<int64>>",
            "vector<float64, 3>",
            "vector<int8, 0>",
            "vector<int8>",
        ] {
            assert!(text.parse::<Type>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_type_that_was_meant() {
        for (text, meant) in [
            ("int", "int64"),
            ("Int64", "int64"),
            ("floatt32", "float32"),
        ] {
            let message = text.parse::<Type>().unwrap_err().to_string();
            assert!(
                message.contains(&format!("did you mean {meant}?")),
                "{message}"
            );
        }
        let message = "geometry".parse::<Type>().unwrap_err().to_string();
        assert!(
            message.contains("does not exist; types are bool"),
            "{message}"
        );
    }
}
