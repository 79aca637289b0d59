//! `atoll apply`: shows the plan, asks, and carries out exactly what was shown.

use super::{arguments::Access, definition_files, failure::PartRefused, plan, session::Session};
use crate::client::call::{CHANGE_DEADLINE, COMMAND_DEADLINE};
use anyhow::bail;
use clap::Args;
use serde_json::json;
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};
use wire::v1::{ApplyRequest, PlanRequest};

/// The arguments of `atoll apply`.
#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// Definition files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    /// Remove what the files of a project leave out
    #[arg(long)]
    pub prune: bool,

    /// Refuse if the registry has moved on since this revision
    #[arg(long, value_name = "REVISION")]
    pub expect_revision: Option<u64>,

    #[command(flatten)]
    pub access: Access,
}

/// Plans, asks and applies.
pub async fn run(session: &Session, arguments: ApplyArguments) -> anyhow::Result<()> {
    let files = definition_files::read(&arguments.files)?;
    let request = PlanRequest {
        files: files.clone(),
        prune: arguments.prune,
    };
    let planned = session.gateways.plan(request, COMMAND_DEADLINE).await?;
    if let Some(expected) = arguments
        .expect_revision
        .filter(|expected| *expected != planned.base_revision)
    {
        bail!(
            "the registry is at revision {}, not {expected} [REVISION_CHANGED]; look at the plan again and expect that one",
            planned.base_revision
        );
    }
    if !planned.refusals.is_empty() {
        eprintln!("{}", plan::show(&planned));
        return Err(PartRefused.into());
    }
    if planned.changes.is_empty() {
        session.output.answer(
            || plan::show(&planned),
            || json!({ "revision": planned.base_revision, "changes": [] }),
        )?;
        return Ok(());
    }
    session.output.note(&plan::show(&planned));
    if !arguments.yes {
        confirm(&format!("apply these changes ({})?", planned.changes.len()))?;
    }
    // What was shown is what is applied: if the registry moves on in between, nothing is.
    let request = ApplyRequest {
        files,
        prune: arguments.prune,
        expect_revision: Some(planned.base_revision),
    };
    let applied = session.gateways.apply(request, CHANGE_DEADLINE).await?;
    session.output.answer(
        || {
            format!(
                "applied {} changes: revision {}",
                applied.changes.len(),
                applied.revision
            )
        },
        || json!({ "revision": applied.revision, "changes": plan::changes_json(&applied.changes) }),
    )?;
    Ok(())
}

/// Asks on a terminal; elsewhere nobody could answer.
pub fn confirm(question: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "nothing was changed: there is no terminal to ask on; say --yes to go on without being asked"
        );
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        bail!("nothing was changed")
    }
}
