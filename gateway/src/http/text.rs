//! Durations, timestamps, bytes and request ids as JSON writes them.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use jiff::civil::DateTime;
use proto::reason::{Reason, Refusal};
use serde_json::Value;
use std::time::Duration;

/// Written with padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Bytes as text.
pub fn encode_bytes(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Text as bytes.
pub fn decode_bytes(text: &str) -> Result<Vec<u8>, String> {
    BASE64
        .decode(text)
        .map_err(|error| format!("{text:?} is not base64: {error}"))
}

/// The bytes of an optional field.
pub fn bytes_of(field: &str, text: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let decoded = text.map(decode_bytes).transpose();
    decoded
        .map(Option::unwrap_or_default)
        .map_err(|fault| Refusal::of_field(Reason::InvalidRequest, field, fault))
}

/// A duration of an optional field: a number and `us`, `ms`, `s`, `m` or `h`.
pub fn duration_of(field: &str, text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let parsed = text.map(|text| {
        duration(text).ok_or_else(|| {
            let fault = format!(
                "{text:?} is not a duration; write a number and us, ms, s, m or h, as \"1.5s\""
            );
            Refusal::of_field(Reason::InvalidRequest, field, fault)
        })
    });
    parsed.transpose()
}

fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let micros_per_unit: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !whole.is_empty()
        && fraction.len() <= 9
        && number.len() == whole.len() + fraction.len() + usize::from(number.contains('.'));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micros = whole.parse::<u64>().ok()?.checked_mul(micros_per_unit)?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.checked_mul(micros_per_unit)? / scale
    };
    Some(Duration::from_micros(micros.checked_add(part)?))
}

/// A duration in seconds, as `0.008s`.
pub fn seconds(span: Duration) -> String {
    let text = format!("{}.{:06}", span.as_secs(), span.subsec_micros());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A point in time as RFC 3339 in UTC, with as many digits as it needs, at most 6; `None` outside
/// the years that RFC 3339 can name.
pub fn timestamp(micros: i64) -> Option<String> {
    let time = EPOCH
        .checked_add(jiff::SignedDuration::from_micros(micros))
        .ok()?;
    Some(format!("{time}Z")).filter(|text| !text.starts_with('-'))
}

/// Microseconds of an RFC 3339 text, or of an integer, which names them as they are.
pub fn micros(value: &Value) -> Result<i64, String> {
    if let Some(micros) = value.as_i64() {
        return Ok(micros);
    }
    let text = value.as_str().ok_or_else(|| {
        format!("{value} is not a time; write RFC 3339, as \"2026-11-20T10:00:00Z\", or microseconds since 1970")
    })?;
    let nanos = nanoseconds(text)
        .ok_or_else(|| format!("{text:?} is not RFC 3339, as \"2026-11-20T10:00:00Z\""))?;
    if nanos % 1_000 != 0 {
        return Err(format!(
            "{text:?} has more than 6 digits after the second; times are kept in microseconds"
        ));
    }
    i64::try_from(nanos / 1_000).map_err(|_| format!("{text:?} is a time out of range"))
}

/// The library's instants end a day before RFC 3339's, so that every zone can name them. That last
/// day, which often stands for "for ever", is read as a date and time in UTC.
fn nanoseconds(text: &str) -> Option<i128> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let last_day = text.strip_suffix('Z')?;
    let is_one = last_day.starts_with("9999-12-3") && last_day.contains('T');
    let time: DateTime = last_day.parse().ok().filter(|_| is_one)?;
    Some(time.duration_since(EPOCH).as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_read_in_every_unit_and_nothing_else() {
        let cases = [
            ("1.5s", Some(1_500_000)),
            ("20ms", Some(20_000)),
            ("7us", Some(7)),
            ("2m", Some(120_000_000)),
            ("1h", Some(3_600_000_000)),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1.s", Some(1_000_000)),
            ("1e3s", None),
            ("1 s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                duration(text),
                expected.map(Duration::from_micros),
                "{text:?}"
            );
        }
        assert_eq!(seconds(Duration::from_millis(8)), "0.008s");
        assert_eq!(seconds(Duration::from_secs(50)), "50s");
    }

    #[test]
    fn times_keep_their_microseconds() {
        let last = 253_402_300_799_999_999;
        assert_eq!(timestamp(last).unwrap(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(timestamp(last + 1), None);
        for micros_since_1970 in [0, 1, 1_795_000_000_123_456, -5, last] {
            let text = timestamp(micros_since_1970).unwrap();
            assert!(text.ends_with('Z'));
            assert_eq!(micros(&json!(text)), Ok(micros_since_1970));
        }
        assert_eq!(micros(&json!(i64::MAX)), Ok(i64::MAX));
        assert_eq!(timestamp(i64::MAX), None);
        assert!(micros(&json!("2026-11-20T10:00:00.0000001Z")).is_err());
        assert!(micros(&json!("yesterday")).is_err());
        assert!(micros(&json!("9999-12-31Z")).is_err());
    }

    #[test]
    fn base64_reads_with_and_without_padding() {
        assert_eq!(encode_bytes(&[1]), "AQ==");
        assert_eq!(
            (decode_bytes("AQ"), decode_bytes("AQ==")),
            (Ok(vec![1]), Ok(vec![1]))
        );
        assert!(decode_bytes("%").is_err());
    }
}
