//! Values from JSON and to JSON, as they stand in files and HTTP bodies.
//!
//! Numbers are read from their digits by their type. NaN and the infinities are texts, bytes are
//! base64, timestamps RFC 3339, lists and vectors arrays; a whole number may also come as a text.

use super::{cell::BadValue, value_text};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use half::f16;
use proto::{
    types::{Element, Scalar, Type},
    value::Value,
};
use serde_json::{Value as Json, value::RawValue};

/// Reads one JSON value as a value of type `ty`, or as null.
pub fn parse(ty: Type, json: &str) -> Result<Value, BadValue> {
    let json = json.trim();
    if json == "null" {
        return Ok(Value::Null);
    }
    match ty {
        Type::Scalar(scalar) => parse_scalar(scalar, json),
        Type::List(scalar) => items(ty, json)?
            .into_iter()
            .map(|item| parse_scalar(scalar, item.get()))
            .collect::<Result<_, _>>()
            .map(Value::List),
        Type::Vector(element, dimension) => {
            let items = items(ty, json)?;
            if items.len() != dimension as usize {
                let wanted = format!("has {} elements, and the type is {ty}", items.len());
                return Err(BadValue::new(json, wanted));
            }
            parse_vector(element, &items)
        }
    }
}

fn items(ty: Type, json: &str) -> Result<Vec<&RawValue>, BadValue> {
    serde_json::from_str(json).map_err(|_| {
        BadValue::new(
            json,
            format_args!("is not an array, as a value of type {ty} is"),
        )
    })
}

fn parse_scalar(scalar: Scalar, json: &str) -> Result<Value, BadValue> {
    let text: Option<String> = if json.starts_with('"') {
        serde_json::from_str(json).ok()
    } else {
        None
    };
    let wrong = || {
        BadValue::new(
            json,
            format_args!("is not a value of type {}", scalar.as_str()),
        )
    };
    match (scalar, text) {
        (Scalar::Bool, None) => match json {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong()),
        },
        (Scalar::Int32 | Scalar::Int64, Some(text)) => value_text::parse_scalar(scalar, &text),
        (Scalar::Int32 | Scalar::Int64, None) => value_text::parse_scalar(scalar, json),
        (Scalar::Float32 | Scalar::Float64, None) if is_number(json) => {
            value_text::parse_scalar(scalar, json)
        }
        (Scalar::Float32 | Scalar::Float64, Some(text))
            if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") =>
        {
            value_text::parse_scalar(scalar, &text)
        }
        (Scalar::String | Scalar::Bytes | Scalar::Timestamp, Some(text)) => {
            value_text::parse_scalar(scalar, &text)
        }
        _ => Err(wrong()),
    }
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn parse_vector(element: Element, items: &[&RawValue]) -> Result<Value, BadValue> {
    match element {
        Element::Float32 => floats(items)
            .collect::<Result<_, _>>()
            .map(Value::Float32Vector),
        Element::Float16 => floats(items)
            .map(|item| item.map(f16::from_f32))
            .collect::<Result<_, _>>()
            .map(Value::Float16Vector),
        Element::Int8 => items
            .iter()
            .map(|item| {
                let wrong = |_| BadValue::new(item.get(), "is not a whole number from -128 to 127");
                item.get().parse().map_err(wrong)
            })
            .collect::<Result<_, _>>()
            .map(Value::Int8Vector),
    }
}

fn floats<'a>(items: &'a [&RawValue]) -> impl Iterator<Item = Result<f32, BadValue>> + 'a {
    items
        .iter()
        .map(|item| match parse_scalar(Scalar::Float32, item.get())? {
            Value::Float32(value) => Ok(value),
            other => Err(BadValue::new(
                item.get(),
                format_args!("is {}", other.kind()),
            )),
        })
}

/// As JSON.
#[must_use]
pub fn render(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int32(value) => Json::from(*value),
        Value::Int64(value) => Json::from(*value),
        Value::Float32(value) => render_f32(*value),
        Value::Float64(value) => render_f64(*value),
        Value::String(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => Json::from(STANDARD.encode(bytes)),
        Value::Timestamp(micros) => Json::from(value_text::format_micros(*micros)),
        Value::List(items) => items.iter().map(render).collect(),
        Value::Float32Vector(items) => items.iter().map(|item| render_f32(*item)).collect(),
        Value::Float16Vector(items) => items.iter().map(|item| render_f32(item.to_f32())).collect(),
        Value::Int8Vector(items) => items.iter().map(|item| Json::from(*item)).collect(),
    }
}

/// With the fewest digits that are read back as the same float32, not those of the float64 of
/// equal value.
fn render_f32(value: f32) -> Json {
    let shortest = if value.is_finite() {
        value
            .to_string()
            .parse()
            .unwrap_or_else(|_| f64::from(value))
    } else {
        f64::from(value)
    };
    render_f64(shortest)
}

fn render_f64(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or_else(
        || {
            Json::from(match value {
                value if value.is_nan() => "NaN",
                value if value > 0.0 => "Infinity",
                _ => "-Infinity",
            })
        },
        Json::Number,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &str, json: &str, expected: Value) {
        let ty = ty.parse().unwrap();
        assert_eq!(parse(ty, json), Ok(expected.clone()), "{json}");
        let rendered = render(&expected).to_string();
        assert_eq!(parse(ty, &rendered), Ok(expected), "{rendered}");
    }

    fn check_refused(ty: &str, json: &str, part: &str) {
        let message = parse(ty.parse().unwrap(), json).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn every_type_is_read_and_rendered_back() {
        check("bool", "true", Value::Bool(true));
        check("int32", "-1", Value::Int32(-1));
        check("int64", "9007199254740993", Value::Int64((1 << 53) + 1));
        check("int64", "\"9223372036854775807\"", Value::Int64(i64::MAX));
        check("float32", "0.1", Value::Float32(0.1));
        check("float64", "\"NaN\"", Value::Float64(f64::NAN));
        check("float64", "-0.0", Value::Float64(-0.0));
        check("string", "\"a\\u00e4\"", Value::String("aä".into()));
        check("bytes", "\"AP8=\"", Value::Bytes(vec![0, 255]));
        check(
            "timestamp",
            "\"2026-11-20T10:00:00Z\"",
            Value::Timestamp(1_795_168_800_000_000),
        );
        check(
            "list<int64>",
            "[1, 2]",
            Value::List(vec![Value::Int64(1), Value::Int64(2)]),
        );
        check(
            "vector<int8, 2>",
            "[-128, 127]",
            Value::Int8Vector(vec![-128, 127]),
        );
        let halves = vec![f16::from_f32(0.5)];
        check("vector<float16, 1>", "[0.5]", Value::Float16Vector(halves));
        check("string", "null", Value::Null);
    }

    #[test]
    fn float32_is_rendered_with_its_own_digits() {
        assert_eq!(render(&Value::Float32(0.1)).to_string(), "0.1");
    }

    #[test]
    fn values_of_other_types_are_refused() {
        check_refused("int64", "1.5", "is not int64");
        check_refused("int64", "1e3", "is not int64");
        check_refused("bool", "1", "bool");
        check_refused("string", "1", "string");
        check_refused("float64", "\"1.5\"", "float64");
        check_refused("timestamp", "1795168800", "timestamp");
        check_refused("list<int64>", "[null]", "int64");
        check_refused("vector<int8, 1>", "[128]", "from -128 to 127");
        check_refused("vector<int8, 2>", "[1]", "has 1 elements");
        check_refused("list<string>", "{}", "is not an array");
    }
}
