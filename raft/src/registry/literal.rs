//! Values as a definition file writes them, before a type gives them their meaning.
//!
//! Kept in the registry's state in this form: it is JSON, YAML and text alike. What is no number
//! in JSON (NaN, infinities) is the text `NaN`, `Infinity` or `-Infinity`, as everywhere in Atoll.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use half::f16;
use proto::{
    types::{Element, Scalar, Type},
    value::Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// One written value: a default in a definition file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Literal {
    /// `null`: no default.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number with a fraction or exponent.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Literal>),
}

impl Literal {
    fn float(number: f64) -> Self {
        match number {
            n if n.is_finite() => Self::Float(n),
            n if n.is_nan() => Self::Text("NaN".into()),
            n if n > 0.0 => Self::Text("Infinity".into()),
            _ => Self::Text("-Infinity".into()),
        }
    }

    /// The value this is under a type, or what is wrong with it in words.
    pub fn value(&self, ty: Type) -> Result<Value, String> {
        let found = match (ty, self) {
            (_, Self::Null) => Some(Value::Null),
            (Type::Scalar(scalar), literal) => literal.scalar(scalar),
            (Type::List(scalar), Self::List(items)) => items
                .iter()
                .map(|item| item.scalar(scalar))
                .collect::<Option<_>>()
                .map(Value::List),
            (Type::Vector(element, dimension), Self::List(items))
                if items.len() == dimension as usize =>
            {
                vector(element, items)
            }
            (Type::List(_) | Type::Vector(..), _) => None,
        };
        found.ok_or_else(|| format!("{self} is not a value of type {ty}"))
    }

    fn scalar(&self, scalar: Scalar) -> Option<Value> {
        match scalar {
            Scalar::Bool => {
                if let Self::Bool(value) = self {
                    Some(Value::Bool(*value))
                } else {
                    None
                }
            }
            Scalar::Int32 => i32::try_from(self.integer()?).ok().map(Value::Int32),
            Scalar::Int64 => self.integer().map(Value::Int64),
            Scalar::Float32 => narrow(self.number()?).map(Value::Float32),
            Scalar::Float64 => self.number().map(Value::Float64),
            Scalar::String => self.text().map(|text| Value::String(text.to_owned())),
            Scalar::Bytes => STANDARD.decode(self.text()?).ok().map(Value::Bytes),
            Scalar::Timestamp => self.timestamp().map(Value::Timestamp),
        }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::List(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            // An integer above 2^53 has no float64 of its own; taking its neighbour would be a lie.
            Self::Integer(number) => (number.unsigned_abs() <= 1 << 53).then_some(*number as f64),
            Self::Text(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            Self::Null | Self::Bool(_) | Self::List(_) => None,
        }
    }

    fn timestamp(&self) -> Option<i64> {
        match self {
            Self::Integer(micros) => Some(*micros),
            Self::Text(text) => text
                .parse::<jiff::Timestamp>()
                .ok()
                .map(jiff::Timestamp::as_microsecond),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::List(_) => None,
        }
    }
}

/// The nearest float32; a finite number too large for one has none.
fn narrow(number: f64) -> Option<f32> {
    let narrow = number as f32;
    (narrow.is_finite() || !number.is_finite()).then_some(narrow)
}

fn vector(element: Element, items: &[Literal]) -> Option<Value> {
    let mut numbers = items.iter().map(Literal::number);
    Some(match element {
        Element::Float32 => {
            Value::Float32Vector(numbers.map(|n| narrow(n?)).collect::<Option<_>>()?)
        }
        Element::Float16 => Value::Float16Vector(
            numbers
                .map(|n| {
                    n.map(f16::from_f64)
                        .filter(|half| half.is_finite() || !n.is_some_and(f64::is_finite))
                })
                .collect::<Option<_>>()?,
        ),
        Element::Int8 => {
            let whole = items.iter().map(|item| i8::try_from(item.integer()?).ok());
            numbers.by_ref().for_each(drop);
            Value::Int8Vector(whole.collect::<Option<_>>()?)
        }
    })
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 60;
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        match text.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => write!(f, "{}…", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LiteralVisitor)
    }
}

struct LiteralVisitor;

impl<'de> de::Visitor<'de> for LiteralVisitor {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, a text or a list of these")
    }

    fn visit_unit<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_none<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Literal, D::Error> {
        Literal::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Literal, E> {
        Ok(Literal::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Literal, E> {
        Ok(Literal::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Literal, E> {
        let whole = i64::try_from(value)
            .map_err(|_| E::custom(format!("{value} is larger than any int64")))?;
        Ok(Literal::Integer(whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Literal, E> {
        Ok(Literal::float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Literal, E> {
        Ok(Literal::Text(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Literal, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Literal::List(list))
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["null", "boolean", "number", "string", "array"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, ty: &str, expected: Option<Value>) {
        let literal: Literal = serde_json::from_str(json).unwrap();
        assert_eq!(
            literal.value(ty.parse().unwrap()).ok(),
            expected,
            "{json} as {ty}"
        );
        let again: Literal =
            serde_json::from_str(&serde_json::to_string(&literal).unwrap()).unwrap();
        assert_eq!(again, literal);
    }

    #[test]
    fn a_type_gives_a_literal_its_value() {
        check("0", "int64", Some(Value::Int64(0)));
        check("0", "float32", Some(Value::Float32(0.0)));
        check(
            "\"9223372036854775807\"",
            "int64",
            Some(Value::Int64(i64::MAX)),
        );
        check("\"NaN\"", "float64", Some(Value::Float64(f64::NAN)));
        check("\"AP8=\"", "bytes", Some(Value::Bytes(vec![0, 255])));
        check(
            "\"1970-01-01T00:00:01.5Z\"",
            "timestamp",
            Some(Value::Timestamp(1_500_000)),
        );
        check(
            "[1, 2]",
            "vector<int8, 2>",
            Some(Value::Int8Vector(vec![1, 2])),
        );
        check(
            "[0.5]",
            "vector<float16, 1>",
            Some(Value::Float16Vector(vec![f16::from_f32(0.5)])),
        );
        check(
            "[\"a\"]",
            "list<string>",
            Some(Value::List(vec![Value::String("a".into())])),
        );
        check("null", "int64", Some(Value::Null));
    }

    #[test]
    fn what_does_not_fit_a_type_is_refused() {
        for (json, ty) in [
            ("1.0", "int64"),
            ("2147483648", "int32"),
            ("1e300", "float32"),
            ("70000", "vector<float16, 1>"),
            ("9007199254740993", "float64"),
            ("1", "bool"),
            ("1", "string"),
            ("[1]", "vector<int8, 2>"),
            ("[null]", "list<int64>"),
            ("\"not base64!\"", "bytes"),
        ] {
            check(json, ty, None);
        }
    }
}
