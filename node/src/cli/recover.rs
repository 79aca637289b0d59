//! `atoll recover`: shards of which no copy counts any more go on from the longest log that is left.

use super::{arguments::Access, failure::PartRefused, output::table, session::Session};
use crate::client::call::{CHANGE_DEADLINE, COMMAND_DEADLINE};
use anyhow::bail;
use clap::Args;
use serde_json::{Value as Json, json};
use std::io::{self, IsTerminal as _, Write as _};
use wire::v1::{RecoverRequest, RecoverResponse, RecoveredShard};

/// The arguments of `atoll recover`.
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// The region that lost something
    #[arg(long)]
    pub region: String,

    /// Only these shards; by default all of which no copy counts any more
    #[arg(long = "shard", value_name = "SHARD")]
    pub shards: Vec<u32>,

    /// Go on without what is gone; without it, only say what would be done
    #[arg(long)]
    pub accept_loss: bool,

    /// The cluster's name, in place of being asked for it
    #[arg(long, value_name = "NAME", requires = "accept_loss")]
    pub cluster: Option<String>,

    #[command(flatten)]
    pub access: Access,
}

/// Says what may be lost, asks, and carries it out.
pub async fn run(session: &Session, arguments: RecoverArguments) -> anyhow::Result<()> {
    let mut request = RecoverRequest {
        region: arguments.region,
        shards: arguments.shards,
        accept_loss_of: String::new(),
    };
    let planned = session
        .gateways
        .recover(request.clone(), COMMAND_DEADLINE)
        .await?;
    if planned.shards.is_empty() {
        session.output.answer(
            || "no such shard has lost its copies: there is nothing to recover".to_owned(),
            || json!({ "shards": [] }),
        )?;
        return Ok(());
    }
    if !arguments.accept_loss {
        show(session, &planned)?;
        bail!("nothing was changed: say --accept-loss to go on so");
    }
    session.output.note(&text(&planned));
    request.accept_loss_of = match arguments.cluster {
        Some(name) => name,
        None => ask(&planned.cluster_name)?,
    };
    let done = session.gateways.recover(request, CHANGE_DEADLINE).await?;
    show(session, &done)?;
    if done.shards.iter().any(|shard| !shard.refused.is_empty()) {
        return Err(PartRefused.into());
    }
    Ok(())
}

fn ask(name: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!(
            "nothing was changed: there is no terminal to ask on; say --cluster and the cluster's name to go on without being asked"
        );
    }
    eprint!("What these logs lack is lost for good. To go on, type the cluster's name: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() == name {
        Ok(name.to_owned())
    } else {
        bail!("nothing was changed")
    }
}

fn show(session: &Session, answer: &RecoverResponse) -> anyhow::Result<()> {
    let json = || json!({ "shards": answer.shards.iter().map(json_of).collect::<Vec<_>>() });
    Ok(session.output.answer(|| text(answer), json)?)
}

fn text(answer: &RecoverResponse) -> String {
    let header = [
        "shard",
        "goes on from",
        "its log ends at",
        "may hold more",
        "",
    ];
    table(header, answer.shards.iter().map(row))
}

fn row(shard: &RecoveredShard) -> [String; 5] {
    let outcome = match (shard.refused.as_str(), shard.incarnation) {
        ("", 0) => String::new(),
        ("", incarnation) => format!("done: incarnation {incarnation}"),
        (why, _) => format!("refused: {why}"),
    };
    let unheard = match shard.unheard.join(", ") {
        nobody if nobody.is_empty() => "nobody".to_owned(),
        names => format!("{names}, not reachable"),
    };
    [
        shard.shard.to_string(),
        shard.node.clone(),
        shard.position.to_string(),
        unheard,
        outcome,
    ]
}

fn json_of(shard: &RecoveredShard) -> Json {
    json!({
        "shard": shard.shard,
        "node": shard.node,
        "position": shard.position,
        "unheard": shard.unheard,
        "incarnation": (shard.incarnation > 0).then_some(shard.incarnation),
        "refused": (!shard.refused.is_empty()).then_some(&shard.refused),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_who_may_hold_more_and_what_came_of_it() {
        let shard = |unheard: &[&str], incarnation, refused: &str| {
            let unheard = unheard.iter().map(|name| (*name).to_owned());
            let shard = RecoveredShard {
                shard: 3,
                node: "eu-1".into(),
                position: 40,
                unheard: unheard.collect(),
                incarnation,
                refused: refused.into(),
            };
            row(&shard)[3..].to_vec()
        };
        assert_eq!(shard(&[], 0, ""), ["nobody", ""]);
        assert_eq!(
            shard(&["eu-2"], 4, ""),
            ["eu-2, not reachable", "done: incarnation 4"]
        );
        assert_eq!(shard(&[], 0, "it moved"), ["nobody", "refused: it moved"]);
    }
}
