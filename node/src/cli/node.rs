//! `atoll node`: who is in the region, and how nodes leave it.

use super::{
    arguments::AccessOfAll,
    failure::WrongUsage,
    output::table,
    session::Session,
    status::{bytes, moves_table},
};
use crate::client::call::{CHANGE_DEADLINE, COMMAND_DEADLINE};
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::v1::{
    DrainNodeRequest, NodeOperation, NodeStatus, RemoveNodeRequest, StatusRequest, StatusResponse,
};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The arguments of `atoll node`.
#[derive(Debug, Args)]
pub struct NodeArguments {
    #[command(subcommand)]
    pub command: NodeCommand,

    #[command(flatten)]
    pub access: AccessOfAll,
}

/// What is to be done with nodes.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// All members of the region, what they hold, and what they are doing
    List,
    /// Move all shards off a node while it serves; it stays a member until it is removed
    Drain {
        /// Its id, or its name where one node has it
        #[arg(value_name = "ID")]
        node: String,
        /// Take it back: it is not to be emptied any more
        #[arg(long, conflicts_with_all = ["fewer_copies", "wait"])]
        cancel: bool,
        /// Let its copies go although the other nodes cannot hold as many as there should be
        #[arg(long)]
        fewer_copies: bool,
        /// Only show the steps that would be taken
        #[arg(long)]
        dry_run: bool,
        /// Wait until it is empty, at most so long
        #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1h")]
        wait: Option<String>,
    },
    /// Take a node out of the region for good: one that is drained, or lost
    Remove {
        /// Its id, or its name where one node has it
        #[arg(value_name = "ID")]
        node: String,
        /// Only show the steps that would be taken
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the sub-command.
pub async fn run(session: &Session, arguments: NodeArguments) -> anyhow::Result<()> {
    match arguments.command {
        NodeCommand::List => list(session).await,
        NodeCommand::Drain {
            node,
            cancel,
            fewer_copies,
            dry_run,
            wait,
        } => {
            let wait = wait.as_deref().map(patience).transpose()?;
            let request = DrainNodeRequest {
                node,
                cancel,
                fewer_copies,
                dry_run,
            };
            let done = session.gateways.drain_node(request, CHANGE_DEADLINE);
            let done = done.await?;
            show(session, &done)?;
            match wait.filter(|_| !dry_run) {
                Some(wait) => follow(session, &done, wait).await,
                None => Ok(()),
            }
        }
        NodeCommand::Remove { node, dry_run } => {
            let request = RemoveNodeRequest { node, dry_run };
            let done = session.gateways.remove_node(request, CHANGE_DEADLINE);
            show(session, &done.await?)
        }
    }
}

fn patience(text: &str) -> Result<Duration, WrongUsage> {
    crate::client::duration::parse(text)
        .map_err(|error| WrongUsage(format!("--wait {text}: {error}")))
}

async fn status(session: &Session) -> anyhow::Result<StatusResponse> {
    let status = session.gateways.status(StatusRequest {}, COMMAND_DEADLINE);
    Ok(status.await?)
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let status = status(session).await?;
    let header = [
        "id",
        "name",
        "zone",
        "roles",
        "state",
        "votes",
        "primaries",
        "backups",
        "joining",
        "store",
        "heard",
    ];
    session.output.records(
        || table(header, status.nodes.iter().map(row)),
        status.nodes.iter().map(json_of),
    )?;
    Ok(())
}

fn row(node: &NodeStatus) -> [String; 11] {
    [
        node.id.clone(),
        node.name.clone(),
        node.zone.clone(),
        node.roles.join(","),
        node.state.clone(),
        if node.votes { "yes" } else { "no" }.to_owned(),
        node.primaries.to_string(),
        node.backups.to_string(),
        node.joining.to_string(),
        bytes(node.store_bytes),
        heard(node.heard_seconds),
    ]
}

fn heard(seconds: Option<f64>) -> String {
    seconds.map_or_else(
        || "never".to_owned(),
        |seconds| match seconds < 1.0 {
            true => "now".to_owned(),
            false => format!("{seconds:.0} s ago"),
        },
    )
}

fn json_of(node: &NodeStatus) -> Json {
    json!({
        "id": node.id, "name": node.name, "zone": node.zone, "roles": node.roles,
        "state": node.state, "votes": node.votes, "reachable": node.reachable,
        "primaries": node.primaries, "backups": node.backups, "joining": node.joining,
        "store_bytes": node.store_bytes, "heard_seconds": node.heard_seconds,
    })
}

fn show(session: &Session, done: &NodeOperation) -> anyhow::Result<()> {
    let text = || {
        let lines = done.steps.iter().map(|step| format!("- {step}"));
        let notes = done.notes.iter().map(|note| format!("! {note}"));
        let head = match done.dry_run {
            true => format!("{} ({}): this would be done", done.name, done.id),
            false => format!("{} ({}): this is done from now on", done.name, done.id),
        };
        let all = [head].into_iter().chain(lines).chain(notes);
        all.collect::<Vec<_>>().join("\n")
    };
    let json = || {
        json!({
            "id": done.id, "name": done.name, "dry_run": done.dry_run, "steps": done.steps,
            "notes": done.notes, "regional_revision": done.regional_revision,
        })
    };
    Ok(session.output.answer(text, json)?)
}

/// Looks until the node is empty. What goes on does not depend on this.
async fn follow(session: &Session, of: &NodeOperation, within: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + within;
    let mut say_at = Instant::now();
    loop {
        // A gateway that cannot be asked now is asked again.
        let now = status(session).await.ok();
        let node = now.iter().flat_map(|status| &status.nodes);
        let node = node.into_iter().find(|node| node.id == of.id);
        match node.map(|node| node.state.as_str()) {
            Some("drained") => {
                session.output.note(&format!("{} is drained", of.name));
                return Ok(());
            }
            Some("serving") => anyhow::bail!("{} was taken back meanwhile", of.name),
            _ => {}
        }
        if Instant::now() >= end {
            anyhow::bail!(
                "{} is not empty after {within:?}; it goes on, look with `atoll node list`",
                of.name
            );
        }
        if let (Some(now), Some(node)) = (&now, node)
            && Instant::now() >= say_at
        {
            say_at += SAY_EVERY;
            let left = node.primaries + node.backups + node.joining;
            let moves = moves_table(&now.moves);
            session
                .output
                .note(&format!("{}: {left} shards left\n{moves}", of.name));
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_shown_with_what_it_is_doing() {
        let node = NodeStatus {
            id: "2a".into(),
            name: "eu-1".into(),
            state: "draining".into(),
            votes: true,
            joining: 2,
            heard_seconds: Some(12.4),
            ..NodeStatus::default()
        };
        let row = row(&node);
        assert_eq!(row[4..6], ["draining", "yes"]);
        assert_eq!(row[10], "12 s ago");
        assert_eq!(heard(None), "never");
        assert_eq!(heard(Some(0.2)), "now");
        assert_eq!(json_of(&node)["heard_seconds"], 12.4);
    }

    #[test]
    fn a_wait_has_an_end() {
        assert_eq!(patience("90s").unwrap(), Duration::from_secs(90));
        assert!(patience("soon").is_err());
    }
}
