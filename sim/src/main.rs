//! `sim`: runs of the simulated world by hand, above all the seed of a run that failed.

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use node::settings::Durability;
use replication::planted::Bug;
use sim::{
    one_node,
    region::{self, Outcome, PlantedBug, Rare, RunError},
    world::Line,
};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

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
    /// Three nodes with their gateways: lost disks, wrong clocks and cuts between nodes as well.
    Region(RegionArguments),
}

#[derive(Debug, Args)]
struct RegionArguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other; it ends with the first that breaks a promise. With a
    /// rule taken out, that is what is wanted.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Simulated seconds of load, if not the usual.
    #[arg(long)]
    seconds: Option<u64>,
    /// What "durable" means, if not what the seed says: every fifth counts memory.
    #[arg(long)]
    durability: Option<Durable>,
    /// The one scene of faults to play again and again, if not all kinds, or a play.
    #[arg(long)]
    scene: Option<region::SceneName>,
    /// Only prints what is done to the region, and runs nothing.
    #[arg(long)]
    show: bool,
    /// The rule to take out.
    #[arg(long)]
    planted: Option<Rule>,
    /// Where to write what nodes logged, and the history where there is one.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// The same, of seeds that fail.
    #[arg(long)]
    keep_broken: Option<PathBuf>,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Durable {
    Fsync,
    Replicated,
}

impl From<Durable> for Durability {
    fn from(durable: Durable) -> Self {
        match durable {
            Durable::Fsync => Self::Fsync,
            Durable::Replicated => Self::Replicated,
        }
    }
}

/// The rules that can be taken out, by the names of the holes they open.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Rule {
    RestartKeepsEpoch,
    JoinerNotNeeded,
    NoEpochEntry,
    OldEpochAckCounts,
    WipedDiskKeepsStoreId,
    IndexBeforeCommit,
}

impl Rule {
    const fn planted(self) -> PlantedBug {
        match self {
            Self::RestartKeepsEpoch => PlantedBug::Replication(Bug::RestartKeepsEpoch),
            Self::JoinerNotNeeded => PlantedBug::Replication(Bug::JoinerNotNeeded),
            Self::NoEpochEntry => PlantedBug::Replication(Bug::NoEpochEntry),
            Self::OldEpochAckCounts => PlantedBug::Replication(Bug::OldEpochAckCounts),
            Self::WipedDiskKeepsStoreId => PlantedBug::WipedDiskKeepsStoreId,
            Self::IndexBeforeCommit => PlantedBug::Replication(Bug::IndexBeforeCommit),
        }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().run {
        Run::OneNode {
            seed,
            seconds,
            keep,
        } => run_one_node(seed, seconds, keep.as_deref()),
        Run::Region(arguments) => run_regions(&arguments),
    }
}

fn run_one_node(seed: u64, seconds: u64, keep: Option<&Path>) -> Result<()> {
    let plan = one_node::Plan {
        load: Duration::from_secs(seconds),
        ..one_node::Plan::of(seed)
    };
    let outcome = one_node::run(&plan)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "trace {}", outcome.hash)?;
    writeln!(out, "{:?}", outcome.seen)?;
    write!(out, "{}", outcome.report)?;
    if let Some(folder) = keep {
        writeln!(
            out,
            "history {}",
            outcome.keep(folder, "one-node")?.display()
        )?;
    }
    if !outcome.report.is_clean() {
        bail!(
            "seed {seed} breaks promises; its faults were\n{}",
            outcome.schedule
        );
    }
    Ok(())
}

/// Prints a line for each seed, and the rare states of all.
fn run_regions(arguments: &RegionArguments) -> Result<()> {
    if arguments.show {
        for seed in arguments.seed..arguments.seed + arguments.seeds {
            let plan = plan(seed, arguments);
            let (copies, log) = (plan.copies(), plan.log());
            println!(
                "seed {seed}, {copies} copies, {log:?} log\n{}",
                plan.drawn()
            );
        }
        return Ok(());
    }
    if let Some(rule) = arguments.planted {
        return find(rule, arguments);
    }
    let mut rare = Rare::default();
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        rare += &run_region(seed, arguments)?;
    }
    print!("rare states\n{rare}");
    Ok(())
}

/// Runs seeds without a rule until one shows harm. A run that does not heal shows none.
fn find(rule: Rule, arguments: &RegionArguments) -> Result<()> {
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let outcome = run_seed(seed, arguments)?;
        let harm = match &outcome {
            Ok(outcome) => outcome.report.harm(),
            Err(error) => error.harm(),
        };
        match (harm, outcome) {
            (Some(harm), _) => {
                println!("seed {seed}: found, {harm}");
                return Ok(());
            }
            (None, Ok(_)) => println!("seed {seed}: clean"),
            (None, Err(error)) => println!("no harm, but {error}"),
        }
    }
    bail!("{rule:?} is not found in {} seeds", arguments.seeds);
}

fn plan(seed: u64, arguments: &RegionArguments) -> region::Plan {
    let usual = || region::Plan::of(seed);
    let mut plan = arguments
        .scene
        .map_or_else(usual, |scene| region::Plan::playing(seed, scene));
    plan.planted = arguments.planted.map(Rule::planted);
    if let Some(durability) = arguments.durability {
        plan.durability = durability.into();
    }
    if let Some(seconds) = arguments.seconds {
        plan.load = Duration::from_secs(seconds);
    }
    plan
}

fn run_seed(seed: u64, arguments: &RegionArguments) -> Result<Result<Outcome, RunError>> {
    let plan = plan(seed, arguments);
    let (outcome, lines) = region::run_with_journal(&plan);
    let is_clean = outcome
        .as_ref()
        .is_ok_and(|outcome| outcome.report.is_clean());
    let broken = arguments.keep_broken.as_ref().filter(|_| !is_clean);
    if let Some(folder) = arguments.keep.as_ref().or(broken) {
        keep(folder, seed, &lines, outcome.as_ref().ok())?;
    }
    Ok(outcome)
}

fn run_region(seed: u64, arguments: &RegionArguments) -> Result<Rare> {
    let outcome = run_seed(seed, arguments)?;
    let outcome = outcome?;
    let judged = outcome.report.judged;
    println!(
        "seed {seed}: trace {}, {} rows acknowledged, {} lookups, {} values bounded, {} records, {}",
        outcome.hash,
        judged.acknowledged_rows,
        judged.lookups,
        judged.bounded_values,
        judged.records,
        if outcome.report.is_clean() {
            "clean"
        } else {
            "BROKEN"
        },
    );
    if !outcome.report.is_clean() {
        bail!(
            "seed {seed} breaks promises\n{}{}",
            outcome.schedule,
            outcome.report
        );
    }
    Ok(outcome.seen)
}

fn keep(folder: &Path, seed: u64, lines: &[Line], outcome: Option<&Outcome>) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join(format!("region-{seed}.log")), lines)?;
    if let Some(outcome) = outcome {
        outcome.keep(folder, "region")?;
    }
    Ok(())
}
