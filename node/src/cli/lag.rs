//! `atoll lag`: how far reads in the region can be behind each region, and how the streams between them
//! stand.

use super::{arguments::Access, output::table, session::Session, status::bytes};
use crate::client::call::COMMAND_DEADLINE;
use clap::Args;
use gateway::cluster::lag::Lag;
use serde_json::Value as Json;
use wire::v1::{LagRequest, LagResponse, NodeLag, OriginLag, OutboxLag};

/// The arguments of `atoll lag`.
#[derive(Debug, Args)]
pub struct LagArguments {
    #[command(flatten)]
    pub access: Access,
}

/// Prints it.
pub async fn run(session: &Session) -> anyhow::Result<()> {
    let lag = session
        .gateways
        .lag(LagRequest {}, COMMAND_DEADLINE)
        .await?;
    session.output.answer(|| show(&lag), || json_of(&lag))?;
    Ok(())
}

fn show(lag: &LagResponse) -> String {
    let origins = lag.origins.iter();
    let mut parts = vec![
        format!("region {}", lag.region),
        table(
            ["behind", "by at most", "links, by shard"],
            origins.map(|origin| origin_row(origin, &lag.region)),
        ),
    ];
    let held: Vec<String> = lag.origins.iter().flat_map(held_lines).collect();
    if !held.is_empty() {
        parts.push(held.join("\n"));
    }
    if !lag.outboxes.is_empty() {
        let header = ["still to be sent to", "streams", "entries", "bytes"];
        let rows = lag.outboxes.iter().map(|own| outbox_row(own, &lag.region));
        parts.push(table(header, rows));
    }
    let nodes = lag.nodes.iter().map(node_row);
    parts.push(table(["node", "behind, by at most"], nodes));
    if !lag.left_out.is_empty() {
        parts.push(format!(
            "left out, as nothing more comes from there: {}",
            lag.left_out.join(", ")
        ));
    }
    parts.join("\n\n")
}

fn age(micros: Option<u64>) -> String {
    let known = |micros: u64| format!("{:.3}s", micros as f64 / 1e6);
    micros.map_or_else(|| "unknown".to_owned(), known)
}

fn origin_row(origin: &OriginLag, region: &str) -> [String; 3] {
    let links = origin.links.iter().filter(|count| count.shards > 0);
    let links: Vec<String> = links
        .map(|count| format!("{} {}", count.shards, count.state))
        .collect();
    let links = match origin.origin == region {
        true => "its own".to_owned(),
        false => links.join(", "),
    };
    [origin.origin.clone(), age(origin.micros), links]
}

fn held_lines(origin: &OriginLag) -> impl Iterator<Item = String> + '_ {
    origin.held.iter().map(|held| {
        format!(
            "! {} shards take nothing from {}: {}",
            held.shards, origin.origin, held.obstacle
        )
    })
}

fn outbox_row(own: &OutboxLag, region: &str) -> [String; 4] {
    let others = own.regions.iter().filter(|other| *other != region);
    let others: Vec<&str> = others.map(String::as_str).collect();
    let known = |count: Option<u64>, show: fn(u64) -> String| {
        count.map_or_else(|| "unknown".to_owned(), show)
    };
    [
        others.join(", "),
        own.shards.to_string(),
        known(own.entries, |entries| entries.to_string()),
        known(own.bytes, bytes),
    ]
}

fn node_row(node: &NodeLag) -> [String; 2] {
    let ages: Vec<String> = node
        .ages
        .iter()
        .map(|towards| format!("{} {}", towards.origin, age(towards.micros)))
        .collect();
    let ages = match (node.reachable, ages.is_empty()) {
        (false, _) => "does not answer".to_owned(),
        (true, true) => "holds no shard that can be read".to_owned(),
        (true, false) => ages.join(", "),
    };
    [node.node.clone(), ages]
}

fn json_of(lag: &LagResponse) -> Json {
    serde_json::to_value(Lag::of(lag)).expect("a lag is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::v1::{HeldLinks, LinkCount, NodeAge};

    fn lag() -> LagResponse {
        let count = |state: &str, shards| LinkCount {
            state: state.to_owned(),
            shards,
        };
        let own = OriginLag {
            origin: "eu".to_owned(),
            micros: Some(104_200),
            ..Default::default()
        };
        let other = OriginLag {
            origin: "us".to_owned(),
            micros: None,
            links: vec![count("held", 2), count("live", 62)],
            held: vec![HeldLinks {
                obstacle: "set the clocks of the two regions".to_owned(),
                shards: 2,
            }],
        };
        let towards = |origin: &str, micros| NodeAge {
            origin: origin.to_owned(),
            micros,
        };
        LagResponse {
            region: "eu".to_owned(),
            origins: vec![own, other],
            nodes: vec![
                NodeLag {
                    node: "eu-1".to_owned(),
                    reachable: true,
                    ages: vec![towards("eu", Some(104_200)), towards("us", None)],
                },
                NodeLag {
                    node: "eu-2".to_owned(),
                    ..Default::default()
                },
            ],
            outboxes: vec![OutboxLag {
                regions: vec!["eu".to_owned(), "us".to_owned()],
                shards: 64,
                entries: Some(12),
                bytes: None,
            }],
            left_out: vec!["ap".to_owned()],
        }
    }

    #[test]
    fn what_is_unknown_or_held_is_said_in_words() {
        let text = show(&lag());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        for expected in [
            "region eu",
            "eu 0.104s its own",
            "us unknown 2 held, 62 live",
            "! 2 shards take nothing from us: set the clocks of the two regions",
            "us 64 12 unknown",
            "eu-1 eu 0.104s, us unknown",
            "eu-2 does not answer",
            "left out, as nothing more comes from there: ap",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}\n{text}"
            );
        }
        let json = json_of(&lag());
        assert_eq!(json["origins"]["us"], Json::Null);
        assert_eq!(json["links"]["us"]["shards"]["held"], 2);
    }

    #[test]
    fn a_region_by_itself_has_neither_links_nor_anything_to_send() {
        let mut alone = lag();
        alone.origins.truncate(1);
        alone.outboxes.clear();
        alone.left_out.clear();
        let text = show(&alone);
        assert!(
            !text.contains("still to be sent") && !text.contains('!'),
            "{text}"
        );
    }
}
