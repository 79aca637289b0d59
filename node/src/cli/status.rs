//! `atoll status`: nodes, groups, copies, and what a person should know.

use super::{arguments::Access, output::table, session::Session};
use crate::client::call::COMMAND_DEADLINE;
use clap::Args;
use serde_json::{Value as Json, json};
use wire::v1::{GroupStatus, NodeStatus, StatusRequest, StatusResponse};

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
        table(
            [
                "node",
                "zone",
                "roles",
                "reachable",
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
        if node.reachable { "yes" } else { "no" }.to_owned(),
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

fn bytes(count: u64) -> String {
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
    let node = |node: &NodeStatus| {
        json!({
            "name": node.name, "id": node.id, "zone": node.zone, "roles": node.roles,
            "reachable": node.reachable, "primaries": node.primaries, "backups": node.backups,
            "store_bytes": node.store_bytes, "index_bytes": node.index_bytes,
            "age_seconds": node.age_seconds, "version": node.version,
            "grpc_address": node.grpc_address, "http_address": node.http_address,
        })
    };
    let group = |group: &GroupStatus| {
        let leader = (!group.leader.is_empty()).then_some(&group.leader);
        json!({
            "group": group.group, "leader": leader, "voters": group.voters,
            "term": group.term, "committed": group.committed,
        })
    };
    json!({
        "cluster_name": status.cluster_name,
        "cluster_id": status.cluster_id,
        "region": status.region,
        "global_revision": status.global_revision,
        "regional_revision": status.regional_revision,
        "shards": status.shards,
        "shards_without_primary": status.shards_without_primary,
        "shards_under_replicated": status.shards_under_replicated,
        "nodes": status.nodes.iter().map(node).collect::<Vec<_>>(),
        "groups": status.groups.iter().map(group).collect::<Vec<_>>(),
        "warnings": status.warnings,
    })
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
}
