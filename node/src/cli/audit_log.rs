//! `atoll audit-log`: what administrators did at the node that answers.

use super::{arguments::Access, output::table, session::Session};
use crate::client::{call::COMMAND_DEADLINE, value_text};
use clap::Args;
use serde_json::{Value as Json, json};
use wire::v1::{AuditEntry, AuditLogRequest};

/// The arguments of `atoll audit-log`.
#[derive(Debug, Args)]
pub struct AuditLogArguments {
    /// At most so many
    #[arg(long, default_value_t = 100)]
    pub limit: u32,

    #[command(flatten)]
    pub access: Access,
}

/// Prints it.
pub async fn run(session: &Session, arguments: AuditLogArguments) -> anyhow::Result<()> {
    let request = AuditLogRequest {
        limit: arguments.limit,
    };
    let log = session
        .gateways
        .audit_log(request, COMMAND_DEADLINE)
        .await?;
    session.output.note(&format!("node {}", log.node));
    let header = ["at", "who", "call", "what", "outcome"];
    let shown = || table(header, log.entries.iter().map(row));
    Ok(session
        .output
        .records(shown, log.entries.iter().map(json_of))?)
}

fn row(entry: &AuditEntry) -> [String; 5] {
    [
        value_text::format_micros(entry.at_us),
        entry.who.clone(),
        entry.call.clone(),
        entry.what.clone(),
        entry.outcome.clone(),
    ]
}

fn json_of(entry: &AuditEntry) -> Json {
    json!({
        "at": value_text::format_micros(entry.at_us),
        "who": entry.who,
        "token": entry.token,
        "call": entry.call,
        "what": entry.what,
        "outcome": entry.outcome,
        "message": entry.message,
    })
}
