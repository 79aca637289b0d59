//! `sim`: runs of the simulated world by hand, above all the seed of a run that failed.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use sim::one_node::{self, Plan};
use std::{io::Write as _, path::PathBuf, time::Duration};

#[derive(Debug, Parser)]
#[command(about = "Runs Atoll in a simulated world, all of it drawn from one seed")]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// One node with its gateway under crashes, losses of power, pauses and cuts.
    OneNode {
        /// What everything is drawn from.
        #[arg(long)]
        seed: u64,
        /// Simulated seconds of load.
        #[arg(long, default_value_t = 12)]
        seconds: u64,
        /// Where to write the history, in any case.
        #[arg(long)]
        keep: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    let Run::OneNode {
        seed,
        seconds,
        keep,
    } = Arguments::parse().run;
    let plan = Plan {
        load: Duration::from_secs(seconds),
        ..Plan::of(seed)
    };
    let outcome = one_node::run(&plan)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "trace {}", outcome.hash)?;
    writeln!(out, "{:?}", outcome.seen)?;
    write!(out, "{}", outcome.report)?;
    if let Some(folder) = keep {
        writeln!(out, "history {}", outcome.keep(&folder)?.display())?;
    }
    if !outcome.report.is_clean() {
        bail!(
            "seed {seed} breaks promises; its faults were\n{}",
            outcome.schedule
        );
    }
    Ok(())
}
