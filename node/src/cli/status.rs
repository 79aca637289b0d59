//! `atoll status`: nodes, groups, copies, and what a person should know.

use super::{arguments::Access, output::table, session::Session};
use crate::client::call::COMMAND_DEADLINE;
use clap::Args;
use gateway::cluster::forms;
use serde_json::Value as Json;
use wire::v1::{GroupStatus, Move, NodeStatus, StatusRequest, StatusResponse};

/// The arguments of `atoll status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    #[command(flatten)]
    pub access: Access,
}

/// Prints the status.
pub async fn run(session: &Session) -> anyhow::Result<()> {
    let status = session
        .gateways
        .status(StatusRequest {}, COMMAND_DEADLINE)
        .await?;
    session
        .output
        .answer(|| show(&status), || json_of(&status))?;
    Ok(())
}

fn show(status: &StatusResponse) -> String {
    let mut parts = vec![
        format!(
            "cluster {} ({}), region {}, revisions {} global, {} regional",
            status.cluster_name,
            status.cluster_id,
            status.region,
            status.global_revision,
            status.regional_revision
        ),
        format!(
            "{} shards: {} without a primary, {} with fewer copies than wanted",
            status.shards, status.shards_without_primary, status.shards_under_replicated
        ),
        status.safety.clone(),
        table(
            [
                "node",
                "zone",
                "roles",
                "state",
                "primaries",
                "backups",
                "store",
                "index",
                "age",
                "version",
                "grpc",
            ],
            status.nodes.iter().map(node_row),
        ),
        table(
            ["group", "leader", "voters", "term", "committed"],
            status.groups.iter().map(group_row),
        ),
    ];
    if !status.moves.is_empty() {
        parts.push(moves_table(&status.moves));
    }
    if !status.warnings.is_empty() {
        let warnings = status.warnings.iter().map(|warning| format!("! {warning}"));
        parts.push(warnings.collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn node_row(node: &NodeStatus) -> [String; 11] {
    [
        node.name.clone(),
        node.zone.clone(),
        node.roles.join(","),
        node.state.clone(),
        node.primaries.to_string(),
        node.backups.to_string(),
        bytes(node.store_bytes),
        bytes(node.index_bytes),
        node.age_seconds.map_or_else(
            || "unknown".to_owned(),
            |seconds| format!("{:.0} ms", seconds * 1_000.0),
        ),
        node.version.clone(),
        node.grpc_address.clone(),
    ]
}

/// The copies that are being made, for people.
#[must_use]
pub fn moves_table(moves: &[Move]) -> String {
    let header = ["shard", "copy from", "to", "off", "progress"];
    table(header, moves.iter().map(move_row))
}

fn move_row(copy: &Move) -> [String; 5] {
    [
        copy.shard.to_string(),
        copy.source.clone(),
        copy.to.clone(),
        copy.off.clone(),
        progress(copy),
    ]
}

fn progress(copy: &Move) -> String {
    let at = |known: Option<u64>| known.map_or_else(|| "?".to_owned(), |at| at.to_string());
    match copy.stage.as_str() {
        "rows" => format!(
            "{} of about {} rows, {}",
            copy.rows_sent,
            copy.rows,
            bytes(copy.bytes_sent)
        ),
        "log" => format!("log at {} of {}", at(copy.position), at(copy.end)),
        other => other.to_owned(),
    }
}

fn group_row(group: &GroupStatus) -> [String; 5] {
    let leader = if group.leader.is_empty() {
        "none"
    } else {
        &group.leader
    };
    [
        group.group.clone(),
        leader.to_owned(),
        group.voters.join(","),
        group.term.to_string(),
        group.committed.to_string(),
    ]
}

/// A number of bytes, for people.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = count as f64;
    let mut unit = 0;
    while scaled >= 1_024.0 && unit + 1 < UNITS.len() {
        scaled /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{scaled:.1} {}", UNITS[unit]),
    }
}

fn json_of(status: &StatusResponse) -> Json {
    serde_json::to_value(forms::Status::of(status)).expect("a status is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_what_is_missing() {
        let status = StatusResponse {
            cluster_name: "shop-prod".to_owned(),
            shards: 64,
            shards_under_replicated: 3,
            nodes: vec![NodeStatus {
                name: "eu-1".to_owned(),
                store_bytes: 3 << 29,
                ..Default::default()
            }],
            groups: vec![GroupStatus {
                group: "region eu".to_owned(),
                ..Default::default()
            }],
            warnings: vec!["region eu has 2 voters".to_owned()],
            ..Default::default()
        };
        let text = show(&status);
        assert!(
            text.contains("64 shards: 0 without a primary, 3 with fewer copies than wanted"),
            "{text}"
        );
        assert!(text.contains("1.5 GiB"), "{text}");
        assert!(text.ends_with("! region eu has 2 voters"), "{text}");
        assert_eq!(json_of(&status)["groups"][0]["leader"], Json::Null);
    }

    #[test]
    fn a_copy_that_is_being_made_says_how_far_it_is() {
        let mut copy = Move {
            shard: 3,
            stage: "rows".to_owned(),
            rows_sent: 40,
            rows: 100,
            bytes_sent: 2_048,
            end: Some(9),
            ..Default::default()
        };
        assert_eq!(progress(&copy), "40 of about 100 rows, 2.0 KiB");
        copy.stage = "log".to_owned();
        assert_eq!(progress(&copy), "log at ? of 9");
        let status = StatusResponse {
            moves: vec![copy],
            ..Default::default()
        };
        assert_eq!(json_of(&status)["moves"][0]["off"], Json::Null);
    }
}
