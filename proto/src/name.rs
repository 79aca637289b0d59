//! Names of projects, entities, join keys, views, features, services and regions.
//!
//! A name is checked once, where it is made; code that holds a [`Name`] trusts it.

use crate::limits::NAME_BYTES;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The name under which a row's event time travels; no feature or key may take it.
pub const EVENT_TIME: &str = "event_time";

/// A name of the form `[a-z][a-z0-9_]{0,62}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "name {given:?} {fault}; a name is a lower-case letter followed by up to 62 of a-z, 0-9 and _"
)]
pub struct InvalidName {
    given: String,
    fault: &'static str,
}

impl Name {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        match fault(text) {
            None => Ok(Self(text.into())),
            Some(fault) => Err(InvalidName {
                given: text.chars().take(80).collect(),
                fault,
            }),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fault(text: &str) -> Option<&'static str> {
    let Some(first) = text.bytes().next() else {
        return Some("is empty");
    };
    if text == EVENT_TIME {
        return Some("is reserved for a row's event time");
    }
    if text.len() > NAME_BYTES {
        return Some("is too long");
    }
    if !first.is_ascii_lowercase() {
        return Some("does not begin with a lower-case letter");
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!text.bytes().all(allowed)).then_some("has a character that is not allowed")
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl std::str::FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "customer_id", "x9", &"a".repeat(63)] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "A",
            "9a",
            "_a",
            "a-b",
            "a b",
            "é",
            "event_time",
            &"a".repeat(64),
        ] {
            assert!(Name::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn the_message_says_what_is_wrong() {
        let message = Name::new("Customer").unwrap_err().to_string();
        assert!(
            message.contains("\"Customer\" does not begin with a lower-case letter"),
            "{message}"
        );
    }
}
