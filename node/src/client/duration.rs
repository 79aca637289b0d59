//! Durations as people write them: `5s`, `250ms`, `1m30s`.

use jiff::SignedDuration;
use std::time::Duration;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it with its unit, for example 20s, 250ms or 1m30s")]
pub struct InvalidDuration(String);

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    let signed: SignedDuration = text.parse().map_err(|_| invalid())?;
    Duration::try_from(signed).map_err(|_| invalid())
}

/// As a person reads it: with the unit that gives few digits.
#[must_use]
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1_500)));
        for bad in ["", "20", "-1s", "soon"] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn durations_are_shown_with_few_digits() {
        assert_eq!(show(Duration::from_micros(250)), "250 µs");
        assert_eq!(show(Duration::from_micros(1_540)), "1.5 ms");
        assert_eq!(show(Duration::from_millis(4_030)), "4.0 s");
        assert_eq!(show(Duration::from_mins(3)), "3 min");
    }
}
