//! `atoll load`: a file of rows into a view.

use super::{
    arguments::Access,
    failure::{PartRefused, WrongUsage},
    session::Session,
};
use crate::{
    client::{call::COMMAND_DEADLINE, definition},
    load::{
        batch::BatchLimits,
        binding::Binding,
        event_time::EventTimeColumn,
        files::{self, Named, Readable},
        mapping::Mapped,
        run::{LoadPlan, Summary, run as run_load},
        send::Patience,
        state::{self, LoadIdentity},
    },
};
use anyhow::{Context as _, bail};
use clap::Args;
use proto::limits::ROWS_PER_WRITE;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use wire::v1::StatusRequest;

/// About how many bytes a request may have: far below the limit of a message, so that several in
/// flight stay within a gateway's memory.
const BYTES_PER_REQUEST: usize = 4 << 20;

/// The arguments of `atoll load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// Project
    #[arg(long)]
    pub project: String,

    /// View, or VIEW@VERSION
    #[arg(long)]
    pub view: String,

    /// The file: .parquet, .csv with a header, or .jsonl; or the folder of an export. Of this machine,
    /// or s3://, gs://, az://, file://, with credentials from the environment
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// Columns that have other names than the view's keys and features; COLUMN=- leaves one out
    #[arg(long, value_name = "COLUMN=FEATURE", value_delimiter = ',')]
    pub map: Vec<Mapped>,

    /// The column that says when a row was true, with the unit of whole numbers: s, ms, us or ns.
    /// Without it, a column event_time is; else all rows are dated when the load first began
    #[arg(long, value_name = "COLUMN[:UNIT]")]
    pub event_time: Option<EventTimeColumn>,

    /// The file has only some of the features; the others keep their values
    #[arg(long)]
    pub partial: bool,

    /// Not faster than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rows_per_second: Option<u32>,

    /// Where rows go that were not taken, each with its reason [default: FILE.rejects.jsonl]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Where progress is kept [default: FILE.atoll-load]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Begin anew, whatever an earlier run had done
    #[arg(long)]
    pub restart: bool,

    /// Rows of one request
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = rows_of_batch)]
    pub batch_rows: usize,

    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = requests_in_flight)]
    pub in_flight: usize,

    #[command(flatten)]
    pub access: Access,
}

fn rows_of_batch(text: &str) -> Result<usize, String> {
    bounded(text, ROWS_PER_WRITE)
}

fn requests_in_flight(text: &str) -> Result<usize, String> {
    bounded(text, 64)
}

fn bounded(text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("a number from 1 to {most} is expected")),
    }
}

/// Loads, and prints what came of it.
pub async fn run(session: &Session, arguments: LoadArguments) -> anyhow::Result<()> {
    let files = files::find(&arguments.file).await?;
    if files.len() != 1 && (arguments.rejects.is_some() || arguments.state.is_some()) {
        let message = "--rejects and --state are of one file; leave them out for a folder";
        return Err(WrongUsage(message.to_owned()).into());
    }
    let mut total: Option<Summary> = None;
    let mut rejects = Vec::new();
    for file in &files {
        let (summary, kept) = load_one(session, arguments.clone(), file).await?;
        if summary.counts.rejected > 0 {
            rejects.push(kept.display().to_string());
        }
        let interrupted = summary.interrupted;
        total = Some(match total {
            Some(total) => total.and(&summary),
            None => summary,
        });
        if interrupted {
            break;
        }
    }
    // An export may have no rows, and then it has no files.
    let summary = total.unwrap_or_default();
    print(session, &summary, &rejects.join(", "))?;
    if summary.interrupted {
        bail!(
            "stopped after row {}; the same command goes on from there",
            summary.done
        );
    }
    if summary.counts.rejected > 0 {
        return Err(PartRefused.into());
    }
    Ok(())
}

/// Loads one file; gives where its rejected rows are.
async fn load_one(
    session: &Session,
    mut arguments: LoadArguments,
    file: &Named,
) -> anyhow::Result<(Summary, PathBuf)> {
    // The copy of a file elsewhere goes when this does.
    let readable = file.fetch().await?;
    arguments.file.clone_from(&readable.path);
    let plan = plan(session, arguments, &readable).await?;
    let (rejects, quiet) = (plan.rejects.clone(), plan.quiet);
    let stop = async {
        // A machine without signals loads to the end.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        if !quiet {
            eprintln!("stopping: waiting for what is in flight");
        }
    };
    let loaded = run_load(plan, Arc::new(session.gateways.in_bulk()), stop).await;
    let summary = loaded.with_context(|| format!("load {}", file.shown()));
    Ok((summary?, rejects))
}

async fn plan(
    session: &Session,
    arguments: LoadArguments,
    readable: &Readable,
) -> anyhow::Result<LoadPlan> {
    let options = options(&arguments);
    let fingerprint = state::fingerprint(&arguments.file);
    let (file_bytes, fingerprint) =
        fingerprint.with_context(|| format!("cannot read {}", arguments.file.display()))?;
    let shape =
        definition::view_shape(&session.gateways, &arguments.project, &arguments.view).await?;
    let cluster = session
        .gateways
        .status(StatusRequest {}, COMMAND_DEADLINE)
        .await?
        .cluster_id;
    let binding = Binding::new(
        &shape,
        arguments.map,
        arguments.event_time,
        arguments.partial,
    )?;
    let beside = |ending: &str| beside(&readable.beside, ending);
    Ok(LoadPlan {
        binding,
        rejects: arguments.rejects.unwrap_or_else(|| beside("rejects.jsonl")),
        state: arguments.state.unwrap_or_else(|| beside("atoll-load")),
        identity: LoadIdentity {
            cluster,
            project: arguments.project,
            view: arguments.view.clone(),
            file_bytes,
            fingerprint,
            options,
        },
        shape,
        view: arguments.view,
        limits: BatchLimits {
            rows: rows_per_batch(arguments.batch_rows, arguments.rows_per_second),
            bytes: BYTES_PER_REQUEST,
        },
        window: arguments.in_flight,
        patience: Patience::default(),
        rows_per_second: arguments.rows_per_second.map(f64::from),
        restart: arguments.restart,
        quiet: session.output.quiet,
        file: arguments.file,
    })
}

/// Four batches a second at least, so that a slow rate is even and not in bursts.
fn rows_per_batch(rows: usize, per_second: Option<u32>) -> usize {
    let even = per_second.map_or(usize::MAX, |rate| (rate as usize / 4).max(1));
    rows.min(even)
}

/// What decides which values a row has; another choice is another load.
fn options(arguments: &LoadArguments) -> String {
    format!(
        "{:?} {:?} {}",
        arguments.map, arguments.event_time, arguments.partial
    )
}

/// The file's name with something behind it.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn print(session: &Session, summary: &Summary, rejects: &str) -> anyhow::Result<()> {
    let counts = summary.counts;
    let seconds = summary.took.as_secs_f64();
    let rows = summary.done - summary.resumed_after;
    let rate = rows as f64 / seconds.max(0.001);
    let text = || {
        let mut text = format!(
            "accepted {}, superseded {}, rejected {} in {seconds:.1} s ({rate:.0} rows/s)",
            counts.accepted, counts.superseded, counts.rejected
        );
        if summary.resumed_after > 0 {
            text.push_str(&format!(
                "\nrows up to {} were loaded by an earlier run",
                summary.resumed_after
            ));
        }
        if counts.rejected > 0 {
            text.push_str(&format!("\nrejected rows, each with its reason: {rejects}"));
        }
        text
    };
    session.output.answer(text, || {
        json!({
            "accepted": counts.accepted,
            "superseded": counts.superseded,
            "rejected": counts.rejected,
            "resumed_after": summary.resumed_after,
            "done": summary.done,
            "seconds": seconds,
            "rows_per_second": rate,
            "rejects": (counts.rejected > 0).then_some(rejects),
            "interrupted": summary.interrupted,
        })
    })?;
    Ok(())
}
