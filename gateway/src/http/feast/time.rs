//! Times as Feast writes and reads them.

use super::Compat;
use jiff::{SignedDuration, civil::DateTime, tz::Offset};
use serde_json::Value;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Microseconds of an event time: ISO 8601 with a zone, or without one in UTC.
pub fn event_time(value: &Value) -> Result<i64, String> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Null => return Err("an event_timestamp is null".to_owned()),
        other => return Err(format!("{other} is not an event_timestamp")),
    };
    let instant = text.parse::<jiff::Timestamp>().ok();
    let civil = || {
        text.parse::<DateTime>()
            .ok()?
            .to_zoned(Offset::UTC.to_time_zone())
            .ok()
    };
    let instant = instant.or_else(|| civil().map(|zoned| zoned.timestamp()));
    instant.map(jiff::Timestamp::as_microsecond).ok_or_else(|| {
        format!("Unknown datetime string format, unable to parse: {text}, at position 0")
    })
}

/// A time in an answer: as protobuf's JSON writes one. Python's server keeps whole seconds.
pub fn text(micros: i64, compat: Compat) -> String {
    let micros = match compat {
        Compat::Spec => micros,
        Compat::Python => micros - micros.rem_euclid(1_000_000),
    };
    let Ok(time) = EPOCH.checked_add(SignedDuration::from_micros(micros)) else {
        return "9999-12-31T23:59:59Z".to_owned();
    };
    let fraction = micros.rem_euclid(1_000_000);
    let whole = time.strftime("%Y-%m-%dT%H:%M:%S");
    match (fraction, fraction % 1_000) {
        (0, _) => format!("{whole}Z"),
        (_, 0) => format!("{whole}.{:03}Z", fraction / 1_000),
        _ => format!("{whole}.{fraction:06}Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_read_in_every_form_of_feasts() {
        for text in [
            "2026-11-20T10:00:00Z",
            "2026-11-20T10:00:00",
            "2026-11-20 10:00:00",
            "2026-11-20T12:00:00+02:00",
            "2026-11-20T10:00:00.000000+00:00",
        ] {
            assert_eq!(
                event_time(&json!(text)),
                Ok(1_795_168_800_000_000),
                "{text}"
            );
        }
        assert!(event_time(&json!("soon")).is_err());
        assert!(event_time(&Value::Null).is_err());
    }

    #[test]
    fn times_are_written_with_as_many_digits_as_protobuf_does() {
        let at = |micros: i64| text(1_795_168_800_000_000 + micros, Compat::Spec);
        assert_eq!(at(0), "2026-11-20T10:00:00Z");
        assert_eq!(at(250_000), "2026-11-20T10:00:00.250Z");
        assert_eq!(at(1), "2026-11-20T10:00:00.000001Z");
        assert_eq!(text(1_999_999, Compat::Python), "1970-01-01T00:00:01Z");
    }
}
