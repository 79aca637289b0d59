//! What the operator's commands are asked while operations run.

use super::Run;
use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A line of `atoll node list`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: String,
    /// Shards that it leads.
    pub primaries: u32,
    /// Shards of which it is another copy in sync.
    pub backups: u32,
    /// Copies that are being made on it.
    pub joining: u32,
}

impl Member {
    /// Copies in sync on it.
    #[must_use]
    pub const fn copies(&self) -> u32 {
        self.primaries + self.backups
    }
}

impl Run<'_> {
    /// A node that runs, beside one.
    pub(super) fn asked(&self, beside: usize) -> Result<usize> {
        let mut places = 0..self.cluster.nodes().len();
        let found = places.find(|place| *place != beside && self.cluster.runs(*place));
        found.context("no other node runs")
    }

    /// The members, by a node that answers.
    pub(super) fn members(&self) -> Result<Vec<Member>> {
        let mut last = None;
        for place in 0..self.cluster.nodes().len() {
            if !self.cluster.runs(place) {
                continue;
            }
            let said = self
                .cluster
                .run(place, &["node", "list", "--output", "json"]);
            match said.and_then(crate::atoll::Said::json) {
                Ok(lines) => {
                    let lines = lines.into_iter().map(serde_json::from_value);
                    let members = lines.collect::<Result<Vec<Member>, _>>();
                    return members.context("read the members");
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no node runs")?)
    }

    /// How things stand, for an error.
    pub(super) fn shown(&self) -> String {
        let asked = (0..self.cluster.nodes().len()).find(|place| self.cluster.runs(*place));
        let said = asked.and_then(|place| self.cluster.run(place, &["status"]).ok());
        said.map_or_else(String::new, |said| said.out)
    }
}
