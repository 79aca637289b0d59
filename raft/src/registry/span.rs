//! Lengths of time as definition files write them: `30d`, `7d`, `10m`, `500ms`, `none`.
//!
//! Text in files, in commands and in the stored state alike, so that all three read the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// A hundred years: further back than any event time, and far from overflow.
const LONGEST_MILLIS: u64 = 36_500 * 86_400_000;

/// A length of time in whole milliseconds, at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// A length of time or none: what `ttl`, `max_late` and `freshness` take. `Unlimited` is longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Horizon {
    /// Up to this length.
    Within(Span),
    /// `none`.
    Unlimited,
}

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a length of time; write a whole number and a unit (ms, s, m, h, d), such as 30d{or_none}"
)]
pub struct InvalidSpan {
    given: String,
    or_none: &'static str,
}

impl Span {
    /// A span of whole days.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(days * UNITS[0].1)
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The span as a [`Duration`].
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let (_, unit_millis) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
        let millis = number.parse::<u64>().ok()?.checked_mul(unit_millis)?;
        (millis <= LONGEST_MILLIS).then_some(Self(millis))
    }
}

impl Horizon {
    /// The length, where there is one.
    #[must_use]
    pub const fn span(self) -> Option<Span> {
        match self {
            Self::Within(span) => Some(span),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, millis): &(&str, u64)| self.0.is_multiple_of(*millis) && self.0 > 0;
        let (unit, millis) = UNITS.into_iter().find(fits).unwrap_or(("s", 1_000));
        write!(f, "{}{unit}", self.0 / millis)
    }
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(span) => span.fmt(f),
            Self::Unlimited => f.write_str("none"),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

impl FromStr for Span {
    type Err = InvalidSpan;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.trim()).ok_or_else(|| InvalidSpan {
            given: shortened(text),
            or_none: "",
        })
    }
}

impl FromStr for Horizon {
    type Err = InvalidSpan;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "none" {
            return Ok(Self::Unlimited);
        }
        let invalid = || InvalidSpan {
            given: shortened(text),
            or_none: ", or none",
        };
        Span::parse(text.trim())
            .map(Self::Within)
            .ok_or_else(invalid)
    }
}

macro_rules! as_text {
    ($name:ident, $pattern:literal) => {
        impl TryFrom<String> for $name {
            type Error = InvalidSpan;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

as_text!(Span, "^[0-9]+ ?(ms|s|m|h|d)$");
as_text!(Horizon, "^(none|[0-9]+ ?(ms|s|m|h|d))$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_as_they_print_in_their_largest_unit() {
        for (text, printed) in [
            ("30d", "30d"),
            ("24h", "1d"),
            ("90m", "90m"),
            ("1500ms", "1500ms"),
            ("0s", "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), printed);
            assert_eq!(printed.parse(), Ok(span));
        }
        assert_eq!("none".parse(), Ok(Horizon::Unlimited));
        assert!(Horizon::Unlimited > Horizon::Within(Span(LONGEST_MILLIS)));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "30",
            "d",
            "-1d",
            "1.5h",
            "30 days",
            "99999999999999999999s",
            "40000d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
        assert!(
            "none".parse::<Span>().is_err(),
            "only a horizon may be none"
        );
    }
}
