//! Sizes and spans as people write them: `800GiB`, `500ms`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A number of bytes: `4096`, `64MiB`, `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

/// A length of time: `500ms`, `5s`, `10m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("", 1),
];

const SPANS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The text has no number or no known unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {wanted}")]
pub struct UnitError {
    given: String,
    wanted: &'static str,
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The largest unit that divides the number, so that it reads back exactly.
fn print(number: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |factor: u64| number >= factor && number.is_multiple_of(factor);
    let largest = units
        .iter()
        .filter(|(_, factor)| fits(*factor))
        .max_by_key(|(_, factor)| *factor);
    let (name, factor) = largest.unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{name}", number / factor)
}

impl FromStr for Size {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a size such as 4096, 64MiB, 800GiB or 2TB";
        parse(text.trim(), &SIZES)
            .map(Self)
            .ok_or_else(|| UnitError {
                given: text.into(),
                wanted,
            })
    }
}

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a length of time such as 500ms, 5s, 10m, 2h or 7d";
        let micros = parse(text.trim(), &SPANS).ok_or_else(|| UnitError {
            given: text.into(),
            wanted,
        })?;
        Ok(Self(Duration::from_micros(micros)))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZES, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(
            u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX),
            &SPANS,
            f,
        )
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Size Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_read_back_as_they_print() {
        for text in ["800GiB", "64MiB", "2GB", "4097", "0"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for text in ["500ms", "5s", "90s", "7d", "0us", "36h"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("1GiB".parse::<Size>().unwrap().0, 1 << 30);
    }

    #[test]
    fn what_has_no_unit_or_number_is_refused_with_examples() {
        for text in ["", "GiB", "5 parsecs", "-1s", "1.5GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?} was taken");
            assert!(text.parse::<Span>().is_err(), "{text:?} was taken");
        }
        let message = "5".parse::<Span>().unwrap_err().to_string();
        assert!(message.contains("500ms"), "{message}");
    }
}
