//! Names of features as services, lookups and people write them: `view:feature`, `view@2:feature`,
//! `view:*`.

use proto::name::Name;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A view by name, and by version where one is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewReference {
    /// The view's name.
    pub name: Name,
    /// Its version; the newest when absent.
    pub version: Option<u16>,
}

/// One feature of a view, or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeatureReference {
    /// The view.
    pub view: ViewReference,
    /// The feature; all that are not deprecated when `None`, written `*`.
    pub feature: Option<Name>,
}

/// Why a text names no view or feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} names no feature: {fault}; write view:feature, view@version:feature or view:*")]
pub struct InvalidReference {
    given: String,
    fault: String,
}

impl FromStr for ViewReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |fault: String| InvalidReference {
            given: text.chars().take(140).collect(),
            fault,
        };
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => {
                let number = version.parse::<u16>().ok().filter(|number| *number > 0);
                (
                    name,
                    Some(number.ok_or_else(|| invalid(format!("{version:?} is no version")))?),
                )
            }
        };
        let name = Name::new(name).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { name, version })
    }
}

impl FromStr for FeatureReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |fault: String| InvalidReference {
            given: text.chars().take(140).collect(),
            fault,
        };
        let (view, feature) = text
            .split_once(':')
            .ok_or_else(|| invalid("it has no colon".into()))?;
        let feature = match feature {
            "*" => None,
            name => Some(Name::new(name).map_err(|error| invalid(error.to_string()))?),
        };
        Ok(Self {
            view: view.parse()?,
            feature,
        })
    }
}

impl fmt::Display for ViewReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

impl fmt::Display for FeatureReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}",
            self.view,
            self.feature.as_ref().map_or("*", Name::as_str)
        )
    }
}

impl TryFrom<String> for FeatureReference {
    type Error = InvalidReference;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FeatureReference> for String {
    fn from(reference: FeatureReference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_back_as_they_print() {
        for text in ["a:b", "a@2:b", "a:*", "a@65535:*"] {
            assert_eq!(text.parse::<FeatureReference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_feature_is_refused() {
        for text in [
            "",
            "a",
            "a:",
            ":b",
            "a@:b",
            "a@0:b",
            "a@x:b",
            "a:b:c",
            "A:b",
            "a:event_time",
        ] {
            assert!(
                text.parse::<FeatureReference>().is_err(),
                "{text:?} was taken"
            );
        }
    }
}
