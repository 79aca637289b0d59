//! Values from text and to text: keys on the command line, fields of CSV files, cells of tables.
//!
//! Numbers are read as what they are declared to be; none passes through a wider or a binary form.

use super::{cell::BadValue, value_json};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use proto::{
    types::{Scalar, Type},
    value::Value,
};

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Reads `text` as a value of type `ty`. Lists and vectors are written as JSON arrays.
pub fn parse(ty: Type, text: &str) -> Result<Value, BadValue> {
    match ty {
        Type::Scalar(scalar) => parse_scalar(scalar, text),
        Type::List(_) | Type::Vector(..) => match value_json::parse(ty, text)? {
            Value::Null => Err(BadValue::new(
                text,
                format_args!("is not a value of type {ty}"),
            )),
            value => Ok(value),
        },
    }
}

/// Reads `text` as one scalar.
pub fn parse_scalar(scalar: Scalar, text: &str) -> Result<Value, BadValue> {
    match scalar {
        Scalar::Bool => match text {
            "true" | "True" | "TRUE" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "0" => Ok(Value::Bool(false)),
            _ => Err(BadValue::new(text, "is not a bool; write true or false")),
        },
        Scalar::Int32 => text
            .parse()
            .map(Value::Int32)
            .map_err(|_| not_a_whole(scalar, text)),
        Scalar::Int64 => text
            .parse()
            .map(Value::Int64)
            .map_err(|_| not_a_whole(scalar, text)),
        Scalar::Float32 => {
            let value: f32 = text.parse().map_err(|_| not_a_float(scalar, text))?;
            spelled_out(value.is_infinite(), text)
                .then_some(Value::Float32(value))
                .ok_or_else(|| not_a_float(scalar, text))
        }
        Scalar::Float64 => {
            let value: f64 = text.parse().map_err(|_| not_a_float(scalar, text))?;
            spelled_out(value.is_infinite(), text)
                .then_some(Value::Float64(value))
                .ok_or_else(|| not_a_float(scalar, text))
        }
        Scalar::String => Ok(Value::String(text.to_owned())),
        Scalar::Bytes => STANDARD
            .decode(text)
            .map(Value::Bytes)
            .map_err(|_| BadValue::new(text, "is not base64; bytes are written so")),
        Scalar::Timestamp => parse_micros(text).map(Value::Timestamp),
    }
}

/// Reads RFC 3339 as microseconds since 1970. What is finer is cut off towards the past.
pub fn parse_micros(text: &str) -> Result<i64, BadValue> {
    let nanos = nanoseconds(text).ok_or_else(|| {
        BadValue::new(
            text,
            "is not a time with its zone; write it as RFC 3339, for example 2026-11-20T10:00:00Z",
        )
    })?;
    i64::try_from(nanos.div_euclid(1_000))
        .map_err(|_| BadValue::new(text, "is a time out of range"))
}

/// The library's instants end a day before RFC 3339's, so that every zone can name them. That last
/// day, which often stands for "for ever", is read as a date and time in UTC.
fn nanoseconds(text: &str) -> Option<i128> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let last_day = text.strip_suffix('Z')?;
    let is_one = last_day.starts_with("9999-12-3") && last_day.contains('T');
    let time: DateTime = last_day.parse().ok().filter(|_| is_one)?;
    Some(time.duration_since(EPOCH).as_nanos())
}

/// RFC 3339 with as many digits as the time has, and `Z`.
#[must_use]
pub fn format_micros(micros: i64) -> String {
    EPOCH
        .checked_add(SignedDuration::from_micros(micros))
        .map_or_else(
            |_| format!("{micros} microseconds after 1970"),
            |time| format!("{time}Z"),
        )
}

/// As a table shows it.
#[must_use]
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        Value::Timestamp(micros) => format_micros(*micros),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        value => value_json::render(value).to_string(),
    }
}

/// Whether an infinity was meant: a number too large is none.
fn spelled_out(infinite: bool, text: &str) -> bool {
    !infinite
        || text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
}

fn not_a_whole(scalar: Scalar, text: &str) -> BadValue {
    let range = match scalar {
        Scalar::Int32 => "from -2147483648 to 2147483647",
        _ => "from -9223372036854775808 to 9223372036854775807",
    };
    BadValue::new(
        text,
        format_args!("is not {}, a whole number {range}", scalar.as_str()),
    )
}

fn not_a_float(scalar: Scalar, text: &str) -> BadValue {
    BadValue::new(
        text,
        format_args!(
            "is not a {} within its range; NaN, Infinity and -Infinity are written so",
            scalar.as_str()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &str, text: &str, expected: Value) {
        assert_eq!(parse(ty.parse().unwrap(), text), Ok(expected), "{text}");
    }

    fn check_refused(ty: &str, text: &str, part: &str) {
        let message = parse(ty.parse().unwrap(), text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn whole_numbers_are_exact_to_the_last() {
        check("int64", "9223372036854775807", Value::Int64(i64::MAX));
        check("int64", "9007199254740993", Value::Int64((1 << 53) + 1));
        check_refused("int64", "9223372036854775808", "is not int64");
        check_refused("int64", "1.0", "is not int64, a whole number");
        check_refused("int32", "2147483648", "from -2147483648 to 2147483647");
    }

    #[test]
    fn floats_are_read_in_their_own_width() {
        check("float32", "0.1", Value::Float32(0.1));
        // Just above the middle between two float32: reading it as float64 first would round down.
        check(
            "float32",
            "1.000000059604644775390626",
            Value::Float32(1.000_000_1),
        );
        check("float64", "NaN", Value::Float64(f64::NAN));
        check("float64", "-Infinity", Value::Float64(f64::NEG_INFINITY));
        check_refused("float32", "1e39", "within its range");
        check_refused("float64", "12,5", "is not a float64");
    }

    #[test]
    fn times_need_a_zone_and_keep_their_microseconds() {
        check(
            "timestamp",
            "1970-01-01T00:00:01.5Z",
            Value::Timestamp(1_500_000),
        );
        check(
            "timestamp",
            "1970-01-01T02:00:00+02:00",
            Value::Timestamp(0),
        );
        check(
            "timestamp",
            "1969-12-31T23:59:59.9999999Z",
            Value::Timestamp(-1),
        );
        check_refused("timestamp", "2026-11-20T10:00:00", "with its zone");
        assert_eq!(
            format_micros(1_763_632_800_000_001),
            "2025-11-20T10:00:00.000001Z"
        );
        assert_eq!(format_micros(0), "1970-01-01T00:00:00Z");
        let last = "9999-12-31T23:59:59.999999Z";
        check("timestamp", last, Value::Timestamp(253_402_300_799_999_999));
        assert_eq!(format_micros(253_402_300_799_999_999), last);
        check_refused("timestamp", "9999-12-31Z", "with its zone");
    }

    #[test]
    fn lists_and_vectors_are_json_arrays() {
        let items = vec![Value::String("a".into()), Value::String("b".into())];
        check("list<string>", r#"["a", "b"]"#, Value::List(items));
        check(
            "vector<float32, 2>",
            "[1, 2.5]",
            Value::Float32Vector(vec![1.0, 2.5]),
        );
        check_refused("vector<float32, 2>", "[1]", "vector<float32, 2>");
        check_refused("list<int64>", "1 2", "list<int64>");
    }

    #[test]
    fn bytes_and_bools_have_their_spelling() {
        check("bytes", "AP8=", Value::Bytes(vec![0, 255]));
        check("bool", "True", Value::Bool(true));
        check_refused("bytes", "%%", "base64");
        check_refused("bool", "yes", "true or false");
    }
}
