//! How far reads can be behind, as JSON: the same document over HTTP and from the command line.

use schemars::JsonSchema;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use wire::v1;

/// How far reads can be behind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lag {
    /// The region that was asked.
    region: String,
    /// By the region in which a write was taken: an age such that every write acknowledged there
    /// longer ago is readable on every reachable node here. Null: unknown.
    origins: BTreeMap<String, Option<String>>,
    /// By other regions, how their streams are received here.
    links: BTreeMap<String, Links>,
    /// What this region has still to send, by the regions that hold it.
    outboxes: Vec<Outbox>,
    /// Regions that send nothing more: they are evacuated, lost or decommissioned.
    left_out: Vec<String>,
    /// How far each node can be behind.
    nodes: Vec<NodeLag>,
}

/// How the streams of one region are received.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Links {
    /// Shards by state: "live", "replay" (it catches up), "gap" (something did not come), "held" (what
    /// comes next cannot be taken yet), "snapshot" (what lacks must be sent anew), "unknown" (the shard's
    /// primary says nothing of it). States of no shard are left out.
    shards: BTreeMap<String, u32>,
    /// Why shards are held.
    held: Vec<Held>,
}

/// What shards wait for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Held {
    /// In words.
    obstacle: String,
    shards: u32,
}

/// Own streams of one set of regions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outbox {
    /// The regions that hold what is sent, this one among them.
    regions: Vec<String>,
    /// How many shards have such a stream.
    shards: u32,
    /// Entries that are still to be sent; null where that is unknown.
    entries: Option<u64>,
    /// Their bytes; null where that is unknown.
    bytes: Option<u64>,
}

/// How far one node can be behind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeLag {
    node: String,
    /// Whether it answered.
    reachable: bool,
    /// Behind the region's own writes. Null: unknown, or it holds no shard.
    staleness: Option<String>,
    /// Behind each region's writes; none where it holds no shard.
    origins: BTreeMap<String, Option<String>>,
}

impl Lag {
    /// The document.
    #[must_use]
    pub fn of(lag: &v1::LagResponse) -> Self {
        let age = |origin: &v1::OriginLag| (origin.origin.clone(), origin.micros.map(span));
        let others = lag.origins.iter();
        let others = others.filter(|origin| origin.origin != lag.region);
        let links = others.map(|origin| (origin.origin.clone(), Links::of(origin)));
        let outbox = |outbox: &v1::OutboxLag| Outbox {
            regions: outbox.regions.clone(),
            shards: outbox.shards,
            entries: outbox.entries,
            bytes: outbox.bytes,
        };
        let node = |node: &v1::NodeLag| NodeLag::of(node, &lag.region);
        Self {
            region: lag.region.clone(),
            origins: lag.origins.iter().map(age).collect(),
            links: links.collect(),
            outboxes: lag.outboxes.iter().map(outbox).collect(),
            left_out: lag.left_out.clone(),
            nodes: lag.nodes.iter().map(node).collect(),
        }
    }
}

impl Links {
    fn of(origin: &v1::OriginLag) -> Self {
        let counts = origin.links.iter().filter(|count| count.shards > 0);
        let held = |held: &v1::HeldLinks| Held {
            obstacle: held.obstacle.clone(),
            shards: held.shards,
        };
        Self {
            shards: counts
                .map(|count| (count.state.clone(), count.shards))
                .collect(),
            held: origin.held.iter().map(held).collect(),
        }
    }
}

impl NodeLag {
    fn of(node: &v1::NodeLag, region: &str) -> Self {
        let age = |age: &v1::NodeAge| (age.origin.clone(), age.micros.map(span));
        let origins: BTreeMap<String, Option<String>> = node.ages.iter().map(age).collect();
        Self {
            node: node.node.clone(),
            reachable: node.reachable,
            staleness: origins.get(region).cloned().flatten(),
            origins,
        }
    }
}

fn span(micros: u64) -> String {
    crate::http::seconds(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_unknown_is_null_and_the_region_itself_has_no_links() {
        let count = |state: &str, shards| v1::LinkCount {
            state: state.into(),
            shards,
        };
        let own = v1::OriginLag {
            origin: "eu".into(),
            micros: Some(104_000),
            ..Default::default()
        };
        let other = v1::OriginLag {
            origin: "us".into(),
            micros: None,
            links: vec![count("live", 3), count("gap", 0), count("held", 1)],
            held: vec![v1::HeldLinks {
                obstacle: "set the clocks".into(),
                shards: 1,
            }],
        };
        let age = |origin: &str, micros| v1::NodeAge {
            origin: origin.into(),
            micros,
        };
        let node = |name: &str, ages| v1::NodeLag {
            node: name.into(),
            reachable: true,
            ages,
        };
        let lag = Lag::of(&v1::LagResponse {
            region: "eu".into(),
            origins: vec![own, other],
            nodes: vec![
                node("eu-1", vec![age("eu", Some(104_000)), age("us", None)]),
                node("eu-2", Vec::new()),
            ],
            outboxes: vec![v1::OutboxLag {
                regions: vec!["eu".into(), "us".into()],
                shards: 4,
                entries: None,
                bytes: Some(7),
            }],
            left_out: vec!["ap".into()],
        });
        let expected = json!({
            "region": "eu",
            "origins": { "eu": "0.104s", "us": null },
            "links": { "us": {
                "shards": { "live": 3, "held": 1 },
                "held": [{ "obstacle": "set the clocks", "shards": 1 }],
            } },
            "outboxes": [{ "regions": ["eu", "us"], "shards": 4, "entries": null, "bytes": 7 }],
            "left_out": ["ap"],
            "nodes": [
                { "node": "eu-1", "reachable": true, "staleness": "0.104s",
                    "origins": { "eu": "0.104s", "us": null } },
                { "node": "eu-2", "reachable": true, "staleness": null, "origins": {} },
            ],
        });
        assert_eq!(serde_json::to_value(lag).unwrap(), expected);
    }
}
