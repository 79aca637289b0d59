//! `--kill NODE:DURATION`: which node goes, and for how long.

use crate::client::duration;
use std::{str::FromStr, time::Duration};

/// One node away for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The node, as the cluster names it.
    pub node: String,
    /// For how long.
    pub lasts: Duration,
}

/// The text is no outage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} {fault}; write NODE:DURATION, for example local/1:20s")]
pub struct InvalidOutage {
    given: String,
    fault: String,
}

impl FromStr for Outage {
    type Err = InvalidOutage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |fault: String| InvalidOutage {
            given: text.to_owned(),
            fault,
        };
        let (node, lasts) = text
            .rsplit_once(':')
            .ok_or_else(|| invalid("names no duration".to_owned()))?;
        if node.is_empty() {
            return Err(invalid("names no node".to_owned()));
        }
        let lasts = duration::parse(lasts)
            .map_err(|error| invalid(format!("says no duration ({error})")))?;
        Ok(Self {
            node: node.to_owned(),
            lasts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_names_node_and_duration() {
        let outage: Outage = "eu/1:20s".parse().unwrap();
        assert_eq!(
            (outage.node.as_str(), outage.lasts),
            ("eu/1", Duration::from_secs(20))
        );
        for bad in ["eu/1", ":20s", "eu/1:", "eu/1:soon"] {
            let message = bad.parse::<Outage>().unwrap_err().to_string();
            assert!(message.ends_with("for example local/1:20s"), "{message}");
        }
    }
}
