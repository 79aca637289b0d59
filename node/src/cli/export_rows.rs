//! `atoll export`: a view's rows as Parquet files, with event times.

use super::{arguments::Access, failure::WrongUsage, session::Session};
use crate::{
    client::{call::COMMAND_DEADLINE, definition, value_text},
    export::{
        columns::FeatureTimes,
        manifest::MANIFEST,
        parts::FILE_BYTES,
        run::{ExportPlan, Summary, run as run_export},
    },
    objects::{Place, is_url},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::{
    io::{self, IsTerminal as _},
    path::absolute,
};
use wire::v1::StatusRequest;

/// The arguments of `atoll export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Project
    #[arg(long)]
    pub project: String,

    /// View, or VIEW@VERSION
    #[arg(long)]
    pub view: String,

    /// A folder for the files: s3://, gs://, az://, file://, or a path of this machine. Credentials
    /// come from the environment
    #[arg(long, value_name = "URL")]
    pub to: String,

    /// Leave out rows of earlier events
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// With a column event_time:FEATURE for each feature
    #[arg(long)]
    pub feature_times: bool,

    #[command(flatten)]
    pub access: Access,
}

/// Exports, and prints what came of it.
pub async fn run(session: &Session, arguments: ExportArguments) -> anyhow::Result<()> {
    let plan = plan(session, &arguments).await?;
    let bar = (!session.output.quiet && io::stderr().is_terminal()).then(bar);
    let mut said = 0;
    let quiet = session.output.quiet;
    let progress = |done: u32, of: u32, rows: u64| {
        if let Some(bar) = &bar {
            bar.set_length(of.into());
            bar.set_position(done.into());
            bar.set_message(format!("{rows} rows"));
        } else if !quiet && done * 10 / of > said {
            said = done * 10 / of;
            eprintln!("{done} of {of} shards, {rows} rows");
        }
    };
    let summary = run_export(plan, &session.gateways, progress).await?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    print(session, &arguments, &summary)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} shards, {msg}");
    ProgressBar::no_length().with_style(style.expect("the template is right"))
}

async fn plan(session: &Session, arguments: &ExportArguments) -> anyhow::Result<ExportPlan> {
    let since_us = match &arguments.since {
        None => None,
        Some(text) => Some(
            value_text::parse_micros(text)
                .map_err(|bad| WrongUsage(format!("--since: {bad}; write RFC 3339")))?,
        ),
    };
    let url = if is_url(&arguments.to) {
        arguments.to.clone()
    } else {
        format!("file://{}", absolute(&arguments.to)?.display())
    };
    let shape =
        definition::view_shape(&session.gateways, &arguments.project, &arguments.view).await?;
    let status = session.gateways.status(StatusRequest {}, COMMAND_DEADLINE);
    Ok(ExportPlan {
        shape,
        to: Place::open(&url)?,
        cluster: status.await?.cluster_id,
        since_us,
        times: if arguments.feature_times {
            FeatureTimes::Yes
        } else {
            FeatureTimes::No
        },
        file_bytes: FILE_BYTES,
    })
}

fn print(session: &Session, arguments: &ExportArguments, summary: &Summary) -> anyhow::Result<()> {
    let manifest = &summary.manifest;
    let seconds = summary.took.as_secs_f64();
    let text = || {
        let mut text = format!(
            "exported {} rows of {} in {} files, {:.1} MiB in {seconds:.1} s: {}/{MANIFEST}",
            manifest.rows,
            manifest.identity.view,
            manifest.files.len(),
            summary.bytes as f64 / f64::from(1 << 20),
            arguments.to.trim_end_matches('/'),
        );
        if summary.resumed > 0 {
            text.push_str(&format!(
                "\n{} shards were exported by an earlier run",
                summary.resumed
            ));
        }
        text
    };
    session.output.answer(text, || {
        json!({
            "view": manifest.identity.view,
            "rows": manifest.rows,
            "files": manifest.files,
            "bytes": summary.bytes,
            "shards": manifest.shards.len(),
            "resumed_shards": summary.resumed,
            "seconds": seconds,
        })
    })?;
    Ok(())
}
