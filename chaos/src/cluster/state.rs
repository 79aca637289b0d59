//! What `atoll status` and `atoll shards` say, and whether a cluster of its shape is whole by it.

use super::Shape;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// A node, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether it answers.
    pub reachable: bool,
    /// Shards of which it is primary.
    pub primaries: u32,
}

/// A metadata group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupState {
    /// Which.
    pub group: String,
    /// Its leader's name.
    pub leader: Option<String>,
    /// Its voters' names.
    pub voters: Vec<String>,
}

/// A replica of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReplicaState {
    /// Its node's name.
    pub node: String,
    /// Whether it must hold a write before that is acknowledged.
    pub in_sync: bool,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ShardState {
    /// Its number.
    pub shard: u32,
    /// Its primary's name.
    pub primary: Option<String>,
    /// Who holds it.
    pub replicas: Vec<ReplicaState>,
}

#[derive(Deserialize)]
struct Status {
    cluster_id: String,
    shards_without_primary: u32,
    shards_under_replicated: u32,
    nodes: Vec<NodeState>,
    groups: Vec<GroupState>,
    warnings: Vec<String>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The cluster's id.
    pub cluster: String,
    /// Shards without a primary.
    pub without_primary: u32,
    /// Shards with fewer copies in sync than wanted.
    pub under_replicated: u32,
    /// Nodes; one whose disk was lost may stand beside its successor of the same name.
    pub nodes: Vec<NodeState>,
    /// Groups.
    pub groups: Vec<GroupState>,
    /// Shards.
    pub shards: Vec<ShardState>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

impl State {
    /// Reads what the two commands printed.
    pub fn of(status: Vec<Json>, shards: Vec<Json>) -> Result<Self> {
        let status = status.into_iter().next().context("an empty status")?;
        let status: Status = serde_json::from_value(status).context("read the status")?;
        let shards = shards.into_iter().map(serde_json::from_value);
        Ok(Self {
            cluster: status.cluster_id,
            without_primary: status.shards_without_primary,
            under_replicated: status.shards_under_replicated,
            nodes: status.nodes,
            groups: status.groups,
            warnings: status.warnings,
            shards: shards
                .collect::<Result<_, _>>()
                .context("read the shards")?,
        })
    }

    /// What a whole cluster of `shape` has and this one has not.
    #[must_use]
    pub fn lacks(&self, shape: &Shape) -> Option<String> {
        if self.without_primary + self.under_replicated > 0 {
            return Some(format!(
                "{} shards without a primary, {} with too few copies",
                self.without_primary, self.under_replicated
            ));
        }
        let reachable: BTreeSet<&str> = self
            .nodes
            .iter()
            .filter(|node| node.reachable)
            .map(|node| node.name.as_str())
            .collect();
        if reachable.len() < shape.nodes {
            return Some(format!("only {reachable:?} are reachable"));
        }
        if let Some(group) = self.groups.iter().find(|group| group.leader.is_none()) {
            return Some(format!("group {} has no leader", group.group));
        }
        let wanted = shape.nodes.min(3);
        if let Some(group) = self.groups.iter().find(|group| group.voters.len() < wanted) {
            return Some(format!(
                "group {} has voters {:?} only",
                group.group, group.voters
            ));
        }
        // A voter whose disk was lost has the name of its successor: names do not tell.
        let mut warnings = self.warnings.iter();
        if let Some(warning) = warnings.find(|warning| warning.contains("voters cannot be reached"))
        {
            return Some(warning.clone());
        }
        if self.shards.len() < usize::from(shape.shards) {
            return Some(format!("only {} shards are placed", self.shards.len()));
        }
        self.shards.iter().find_map(|shard| shard.lacks(shape))
    }

    /// The leader of the region's group.
    #[must_use]
    pub fn regional_leader(&self) -> Option<&str> {
        let mut groups = self.groups.iter();
        let regional = groups.find(|group| group.group.starts_with("region"))?;
        regional.leader.as_deref()
    }
}

impl ShardState {
    fn lacks(&self, shape: &Shape) -> Option<String> {
        let number = self.shard;
        if self.primary.is_none() {
            return Some(format!("shard {number} has no primary"));
        }
        let in_sync = self.replicas.iter().filter(|replica| replica.in_sync);
        let count = in_sync.count();
        (count < usize::from(shape.copies)).then(|| {
            let names: Vec<&str> = self
                .replicas
                .iter()
                .map(|held| held.node.as_str())
                .collect();
            format!("shard {number} has {count} copies in sync, of replicas on {names:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape {
        nodes: 3,
        copies: 2,
        shards: 2,
    };

    fn whole() -> State {
        let node =
            |name: &str| json!({ "name": name, "id": name, "reachable": true, "primaries": 1 });
        let group = |name: &str| json!({ "group": name, "leader": "eu-2", "voters": ["eu-1", "eu-2", "eu-3"] });
        let status = json!({
            "cluster_id": "x", "shards_without_primary": 0, "shards_under_replicated": 0,
            "nodes": (["eu-1", "eu-2", "eu-3"].map(node)), "groups": (["global", "region eu"].map(group)),
            "warnings": [],
        });
        let replica =
            |name: &str| json!({ "node": name, "in_sync": true, "role": "backup", "position": 4 });
        let shard = |number: u32| {
            json!({
                "shard": number, "primary": "eu-1", "epoch": 1, "replicas": (["eu-1", "eu-3"].map(replica)),
            })
        };
        State::of(vec![status], [0, 1].map(shard).into()).unwrap()
    }

    fn lacking(change: impl FnOnce(&mut State)) -> String {
        let mut state = whole();
        change(&mut state);
        state.lacks(&SHAPE).expect("something is missing")
    }

    #[test]
    fn a_whole_cluster_lacks_nothing() {
        assert_eq!(whole().lacks(&SHAPE), None);
        assert_eq!(whole().regional_leader(), Some("eu-2"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = lacking(|state| state.shards[1].replicas[1].in_sync = false);
        assert!(said.contains("shard 1 has 1 copies in sync"), "{said}");
        let said = lacking(|state| state.shards[0].primary = None);
        assert!(said.contains("shard 0 has no primary"), "{said}");
        let said = lacking(|state| state.nodes[2].reachable = false);
        assert!(said.contains("reachable"), "{said}");
        let said = lacking(|state| state.groups[0].voters.truncate(1));
        assert!(said.contains("global"), "{said}");
        let said = lacking(|state| state.groups[1].leader = None);
        assert!(said.contains("no leader"), "{said}");
        let said = lacking(|state| {
            state.warnings = vec!["region eu: eu-1 of its 3 voters cannot be reached".into()];
        });
        assert!(said.contains("eu-1 of its 3 voters"), "{said}");
        let said = lacking(|state| state.under_replicated = 1);
        assert!(said.contains("too few copies"), "{said}");
        let said = lacking(|state| state.shards.truncate(1));
        assert!(said.contains("only 1 shards"), "{said}");
    }

    #[test]
    fn a_lost_node_may_stand_beside_its_successor() {
        let mut state = whole();
        let mut lost = state.nodes[0].clone();
        lost.reachable = false;
        state.nodes.push(lost);
        assert_eq!(state.lacks(&SHAPE), None);
    }
}
