//! Where a row's event time comes from: `COL[:s|ms|us|ns]`, and what whole numbers in it mean.

use crate::client::cell::BadValue;
use std::{fmt, str::FromStr};

/// The unit of times that are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970; what is finer than a microsecond is cut off towards the past.
    Nanos,
}

/// `--event-time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTimeColumn {
    /// The column, or field of a JSON row.
    pub column: String,
    /// What its whole numbers mean; needed where it holds such.
    pub unit: Option<Unit>,
}

impl Unit {
    const ALL: [(&'static str, Self); 4] = [
        ("s", Self::Seconds),
        ("ms", Self::Millis),
        ("us", Self::Micros),
        ("ns", Self::Nanos),
    ];

    /// `count` of the unit as microseconds.
    pub fn micros(self, count: i64) -> Result<i64, BadValue> {
        let micros = match self {
            Self::Seconds => count.checked_mul(1_000_000),
            Self::Millis => count.checked_mul(1_000),
            Self::Micros => Some(count),
            Self::Nanos => Some(count.div_euclid(1_000)),
        };
        micros.ok_or_else(|| {
            BadValue::new(
                &count.to_string(),
                format_args!("{self} after 1970 is a time out of range"),
            )
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL
            .iter()
            .find(|(_, unit)| unit == self)
            .expect("every unit is listed");
        f.write_str(name)
    }
}

/// The option does not name a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no column; write COLUMN, or COLUMN:s, :ms, :us or :ns where it holds whole numbers"
)]
pub struct InvalidEventTime(String);

impl FromStr for EventTimeColumn {
    type Err = InvalidEventTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_unit = Unit::ALL.iter().find_map(|(suffix, unit)| {
            let column = text.strip_suffix(suffix)?.strip_suffix(':')?;
            Some((column, *unit))
        });
        let (column, unit) = match with_unit {
            Some((column, unit)) => (column, Some(unit)),
            None => (text, None),
        };
        if column.is_empty() {
            return Err(InvalidEventTime(text.to_owned()));
        }
        Ok(Self {
            column: column.to_owned(),
            unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: &str, unit: Option<Unit>) {
        let parsed: EventTimeColumn = text.parse().unwrap();
        assert_eq!((parsed.column.as_str(), parsed.unit), (column, unit));
    }

    #[test]
    fn a_unit_is_what_follows_the_last_colon_if_it_is_one() {
        check("at", "at", None);
        check("at:s", "at", Some(Unit::Seconds));
        check("at:ms", "at", Some(Unit::Millis));
        check("a:b:ns", "a:b", Some(Unit::Nanos));
        check("meta:time", "meta:time", None);
        assert!(":us".parse::<EventTimeColumn>().is_err());
    }

    #[test]
    fn units_are_turned_into_microseconds_exactly() {
        assert_eq!(Unit::Seconds.micros(-2), Ok(-2_000_000));
        assert_eq!(Unit::Nanos.micros(-1), Ok(-1));
        assert_eq!(Unit::Nanos.micros(1_999), Ok(1));
        let message = Unit::Seconds.micros(i64::MAX).unwrap_err().to_string();
        assert!(message.contains("out of range"), "{message}");
    }
}
