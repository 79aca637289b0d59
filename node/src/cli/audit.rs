//! `atoll audit`: whether all replicas of all regions have the same rows.

use super::{arguments::Access, output::table, session::Session};
use anyhow::bail;
use clap::Args;
use serde_json::{Value as Json, json};
use std::time::Duration;
use wire::v1::{AuditRequest, AuditVerdict, AuditedReplica, AuditedShard};

/// All rows of all replicas are read.
const DEADLINE: Duration = Duration::from_secs(3_600);

/// The arguments of `atoll audit`.
#[derive(Debug, Args)]
pub struct AuditArguments {
    /// Hash every row of every replica; this release keeps no digests and does so in any case
    #[arg(long)]
    pub full: bool,

    #[command(flatten)]
    pub access: Access,
}

/// Prints what was compared; fails where replicas differ, or could not be compared.
pub async fn run(session: &Session, arguments: AuditArguments) -> anyhow::Result<()> {
    let request = AuditRequest {
        full: arguments.full,
    };
    let answer = session.gateways.audit(request, DEADLINE).await?;
    let shards = &answer.shards;
    let of = |verdict| {
        shards
            .iter()
            .filter(move |shard| shard.verdict() == verdict)
    };
    let (different, open) = (
        of(AuditVerdict::Different).count(),
        of(AuditVerdict::Open).count(),
    );
    session
        .output
        .records(|| show(shards, different, open), shards.iter().map(json_of))?;
    if different > 0 {
        bail!(
            "{different} of {} shards differ; keep the data and report it",
            shards.len()
        );
    }
    if open > 0 {
        bail!(
            "{open} of {} shards could not be compared; audit again when streams are still and all regions can be reached",
            shards.len()
        );
    }
    Ok(())
}

fn show(shards: &[AuditedShard], different: usize, open: usize) -> String {
    let replicas: usize = shards.iter().map(|shard| shard.replicas.len()).sum();
    let rows = |shard: &AuditedShard| shard.replicas.iter().map(|own| own.rows).max();
    let rows: u64 = shards.iter().filter_map(rows).sum();
    let equal = shards.len() - different - open;
    let mut parts = vec![format!(
        "{} shards, {replicas} replicas, {rows} rows: {equal} equal, {different} different, {open} not compared",
        shards.len()
    )];
    let odd = shards
        .iter()
        .filter(|shard| shard.verdict() != AuditVerdict::Equal);
    let odd: Vec<[String; 3]> = odd.map(row).collect();
    if !odd.is_empty() {
        parts.push(table(["shard", "why", "replicas"], odd));
    }
    parts.join("\n\n")
}

fn row(shard: &AuditedShard) -> [String; 3] {
    let replica = |own: &AuditedReplica| format!("{} {} ({} rows)", own.node, own.digest, own.rows);
    let replicas: Vec<String> = shard.replicas.iter().map(replica).collect();
    [
        shard.shard.to_string(),
        shard.why.clone(),
        replicas.join(", "),
    ]
}

fn json_of(shard: &AuditedShard) -> Json {
    let verdict = match shard.verdict() {
        AuditVerdict::Equal => "equal",
        AuditVerdict::Different => "different",
        AuditVerdict::Open | AuditVerdict::Unspecified => "open",
    };
    let replica = |own: &AuditedReplica| json!({ "region": own.region, "node": own.node, "rows": own.rows, "digest": own.digest });
    json!({
        "shard": shard.shard,
        "verdict": verdict,
        "why": shard.why,
        "replicas": shard.replicas.iter().map(replica).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_or_was_not_compared_is_named() {
        let shard = |shard, verdict: AuditVerdict, why: &str| AuditedShard {
            shard,
            verdict: verdict.into(),
            why: why.into(),
            replicas: vec![AuditedReplica {
                region: "eu".into(),
                node: format!("eu-{shard}"),
                rows: 5,
                digest: "00ff".into(),
            }],
        };
        let shards = [
            shard(0, AuditVerdict::Equal, ""),
            shard(1, AuditVerdict::Different, "other rows"),
            shard(2, AuditVerdict::Open, "streams flow"),
        ];
        let text = show(&shards, 1, 1);
        assert!(
            text.starts_with("3 shards, 3 replicas, 15 rows: 1 equal, 1 different, 1 not compared")
        );
        assert!(
            text.contains("eu-1 00ff (5 rows)") && text.contains("streams flow"),
            "{text}"
        );
        assert!(!text.contains("eu-0"), "{text}");
        assert_eq!(json_of(&shards[1])["verdict"], "different");
    }
}
