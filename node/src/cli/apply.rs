//! `atoll apply`: shows the plan, asks, and carries out exactly what was shown.

use super::{arguments::Access, definition_files, failure::PartRefused, plan, session::Session};
use crate::client::call::{CHANGE_DEADLINE, COMMAND_DEADLINE};
use anyhow::bail;
use clap::Args;
use gateway::registry::json;
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};
use wire::v1::{ApplyRequest, ApplyResponse, PlanRequest};

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

    /// Carry out what breaks readers too: services and views that are removed
    #[arg(long)]
    pub break_readers: bool,

    /// Refuse if the registry has moved on since this revision, and say what changed
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
        expect_revision: arguments.expect_revision,
    };
    let planned = session.gateways.plan(request, COMMAND_DEADLINE).await?;
    if !planned.refusals.is_empty() {
        eprintln!("{}", plan::show(&planned));
        return Err(PartRefused.into());
    }
    if planned.changes.is_empty() {
        let nothing = ApplyResponse {
            revision: planned.base_revision,
            changes: Vec::new(),
        };
        session
            .output
            .answer(|| plan::show(&planned), || json::applied(&nothing))?;
        return Ok(());
    }
    session.output.note(&plan::show(&planned));
    plan::check_breaking(&planned, arguments.break_readers)?;
    if !arguments.yes {
        confirm(&format!("apply these changes ({})?", planned.changes.len()))?;
    }
    // What was shown is what is applied: if the registry moves on in between, nothing is.
    let request = ApplyRequest {
        files,
        prune: arguments.prune,
        expect_revision: Some(planned.base_revision),
        break_readers: arguments.break_readers,
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
        || json::applied(&applied),
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
