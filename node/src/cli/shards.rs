//! `atoll shards`: the shard map, a line for each shard.

use super::{arguments::Access, output::table, session::Session};
use crate::client::call::COMMAND_DEADLINE;
use clap::Args;
use gateway::cluster::forms;
use serde_json::Value as Json;
use wire::v1::{ReplicaStatus, ShardStatus, ShardsRequest};

/// The arguments of `atoll shards`.
#[derive(Debug, Args)]
pub struct ShardsArguments {
    /// Only these shards
    #[arg(value_name = "SHARD")]
    pub shards: Vec<u32>,

    #[command(flatten)]
    pub access: Access,
}

/// Prints the map.
pub async fn run(session: &Session, arguments: ShardsArguments) -> anyhow::Result<()> {
    let request = ShardsRequest {
        shards: arguments.shards,
    };
    let answer = session.gateways.shards(request, COMMAND_DEADLINE).await?;
    session.output.records(
        || {
            let header = [
                "shard",
                "primary",
                "epoch",
                "incarnation",
                "committed",
                "replicas",
            ];
            let map = table(header, answer.shards.iter().map(row));
            format!("{map}\n\nrevision {}", answer.revision)
        },
        answer.shards.iter().map(json_of),
    )?;
    Ok(())
}

fn row(shard: &ShardStatus) -> [String; 6] {
    let primary = if shard.primary.is_empty() {
        "none"
    } else {
        &shard.primary
    };
    [
        shard.shard.to_string(),
        primary.to_owned(),
        shard.epoch.to_string(),
        shard.incarnation.to_string(),
        position(shard.committed),
        shard
            .replicas
            .iter()
            .map(replica)
            .collect::<Vec<_>>()
            .join(", "),
    ]
}

fn replica(replica: &ReplicaStatus) -> String {
    let state = if replica.in_sync {
        "in sync"
    } else {
        "not in sync"
    };
    format!(
        "{} {} at {} ({state})",
        replica.node,
        replica.role,
        position(replica.position)
    )
}

fn position(known: Option<u64>) -> String {
    known.map_or_else(|| "?".to_owned(), |position| position.to_string())
}

fn json_of(shard: &ShardStatus) -> Json {
    serde_json::to_value(forms::Shard::of(shard)).expect("a shard is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_without_a_primary_says_none() {
        let behind = ReplicaStatus {
            node: "eu-2".to_owned(),
            role: "joining".to_owned(),
            in_sync: false,
            position: Some(7),
        };
        let shard = ShardStatus {
            shard: 3,
            replicas: vec![behind],
            ..Default::default()
        };
        assert_eq!(row(&shard)[1], "none");
        assert_eq!(row(&shard)[5], "eu-2 joining at 7 (not in sync)");
        assert_eq!(row(&shard)[4], "?");
        assert_eq!(json_of(&shard)["primary"], Json::Null);
    }
}
