//! `chaos`: breaks a cluster of real processes on this machine, and says what that broke.

use anyhow::{Context as _, Result};
use chaos::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    frozen, full_disk,
    limping::{self, Who},
    load::Plan,
    one_way, operations,
    report::Findings,
    requests, rounds, schema, slow_clients, slow_disk,
};
use clap::{Args, Parser, Subcommand};
use sim::{checker, history::History};
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

#[derive(Debug, Parser)]
#[command(
    about = "Breaks a cluster of real atoll processes on loopback and judges what clients saw"
)]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// Kills, freezes and wipes nodes of a region under load, round by round
    Region {
        /// Rounds of a kill or a freeze; a wiped disk and a kill of all nodes come on top
        #[arg(long, default_value_t = 20)]
        rounds: usize,
        /// Seconds that a frozen node stands still
        #[arg(long, default_value_t = 20)]
        freeze: u64,
        /// Seconds of load on the whole cluster after each round
        #[arg(long, default_value_t = 5)]
        calm: u64,
        /// Where logs and the history go; by default they are kept after a violation only
        #[arg(long)]
        keep: Option<PathBuf>,
        #[command(flatten)]
        size: Size,
    },
    /// Freezes one replica and measures lookups through the others
    Frozen {
        /// Seconds of measuring, before and while it is frozen
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        #[command(flatten)]
        size: Size,
    },
    /// Sends a request again, over failovers
    Requests {
        /// Nodes that are killed, one after the other
        #[arg(long, default_value_t = 3)]
        kills: usize,
        #[command(flatten)]
        size: Size,
    },
    /// Nodes join, are emptied and leave, are wiped and restarted, under load
    Operations {
        /// Where logs and the history go; by default they are kept after a violation only
        #[arg(long)]
        keep: Option<PathBuf>,
        #[command(flatten)]
        size: Size,
    },
    /// Judges a history that was kept
    Judge {
        /// The file
        history: PathBuf,
    },
    /// One node's syncs take 2 s each, for a while
    SlowDisk(Limp),
    /// One node's packets to the others are lost, then theirs to it; needs root
    OneWay(Limp),
    /// One node's disk fills up, for a while; needs root
    FullDisk(Limp),
    /// Callers ask for large answers and take them slowly, or not at all
    SlowClients {
        /// Connections, half of them over gRPC and half over HTTP
        #[arg(long, default_value_t = 200)]
        callers: usize,
        #[command(flatten)]
        limp: Limp,
    },
    /// Changes definitions while a node stands still
    Schema {
        #[command(flatten)]
        size: Size,
    },
}

#[derive(Debug, Args)]
struct Limp {
    /// Seconds of measuring before, and of the fault
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where logs and the history go; by default they are kept after a violation only
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Only one writer for each shard, which waits for its answers, beside one reader
    #[arg(long)]
    sparse: bool,
    #[command(flatten)]
    size: Size,
}

impl Limp {
    const fn load(&self) -> Plan {
        let load = self.size.load();
        match self.sparse {
            false => load,
            true => Plan {
                mixed: 0,
                patient: 0,
                ..load
            },
        }
    }

    fn settings(self) -> limping::Settings {
        limping::Settings {
            shape: self.size.shape(),
            load: self.load(),
            whom: vec![Who::Voter, Who::Leader],
            before: Duration::from_secs(self.seconds),
            fault: Duration::from_secs(self.seconds),
            whole_within: self.size.whole_within(),
            keep: self.keep,
        }
    }
}

#[derive(Debug, Args)]
struct Size {
    /// Rows that are loaded before
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Shards
    #[arg(long, default_value_t = 64)]
    shards: u16,
    /// What load and rounds are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that the cluster may take until every shard has all its copies again
    #[arg(long, default_value_t = 300)]
    whole_within: u64,
}

impl Size {
    const fn shape(&self) -> Shape {
        Shape {
            nodes: 3,
            copies: 2,
            shards: self.shards,
        }
    }

    const fn load(&self) -> Plan {
        Plan {
            seed: self.seed,
            mixed: 2,
            patient: 3,
            probes: 400,
            pause: Duration::from_millis(40),
            bulk_rows: self.rows,
            readers: 1,
        }
    }

    const fn whole_within(&self) -> Duration {
        Duration::from_secs(self.whole_within)
    }

    fn cluster(&self) -> Result<Cluster> {
        Cluster::found(Atoll::find()?, self.shape(), Clock::start())
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().run) {
        Ok(findings) => {
            println!("{}", findings.verdict());
            ExitCode::from(u8::from(!findings.is_clean()))
        }
        Err(error) => {
            // Nothing was judged; without a backtrace, since it tells people nothing.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(run: Run) -> Result<Findings> {
    match run {
        Run::Region {
            rounds,
            freeze,
            calm,
            keep,
            size,
        } => rounds::run(&rounds::Settings {
            shape: size.shape(),
            load: size.load(),
            rounds,
            freeze: Duration::from_secs(freeze),
            down: Duration::from_secs(4),
            calm: Duration::from_secs(calm),
            whole_within: size.whole_within(),
            keep,
        }),
        Run::Frozen { seconds, size } => frozen::run(&frozen::Settings {
            shape: size.shape(),
            load: Plan {
                readers: 4,
                ..size.load()
            },
            measure: Duration::from_secs(seconds),
            whole_within: size.whole_within(),
        }),
        Run::Requests { kills, size } => {
            requests::run(&mut size.cluster()?, kills, size.whole_within())
        }
        Run::Operations { keep, size } => operations::run(&operations::Settings {
            shape: size.shape(),
            load: size.load(),
            calm: Duration::from_secs(5),
            whole_within: size.whole_within(),
            keep,
        }),
        Run::SlowDisk(limp) => slow_disk::run(&limp.settings()),
        Run::OneWay(limp) => {
            one_way::enter()?;
            one_way::run(&limp.settings())
        }
        Run::FullDisk(limp) => {
            full_disk::enter()?;
            full_disk::run(&limp.settings())
        }
        Run::SlowClients { callers, limp } => slow_clients::run(&limp.settings(), callers),
        Run::Judge { history } => judge(&history),
        Run::Schema { size } => schema::run(&mut size.cluster()?, size.whole_within()),
    }
}

fn judge(path: &Path) -> Result<Findings> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let history = History::read_jsonl(BufReader::new(file)).context("read the history")?;
    let report = checker::judge(&history).context("judge the history")?;
    let mut findings = Findings::default();
    findings.tell(report.judged.to_string());
    for violation in &report.violations {
        findings.violated(violation.to_string());
    }
    Ok(findings)
}
