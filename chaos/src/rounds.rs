//! Rounds: a region under load loses a node, gets it back, and is whole again, over and over.
//!
//! At the end every row is read back through every gateway, and the history is judged by `sim`'s
//! checker; what is judged here besides stands in [`crate::judge`].

mod schedule;

pub use schedule::{Act, Round, Victim, schedule};

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    ending::Ending,
    judge::{self, GAP_LIMIT},
    load::{Load, Plan},
    report::Findings,
};
use anyhow::{Context as _, Result};
use sim::history::Micros;
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// What to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster.
    pub shape: Shape,
    /// The load.
    pub load: Plan,
    /// Rounds of a kill or a freeze; a wiped disk and a kill of all come on top.
    pub rounds: usize,
    /// How long a frozen node stands still.
    pub freeze: Duration,
    /// How long a killed node stays away.
    pub down: Duration,
    /// Load on the whole cluster after each round.
    pub calm: Duration,
    /// How long the cluster may take until it is whole again.
    pub whole_within: Duration,
    /// Where logs and the history are kept; by default only after a violation.
    pub keep: Option<PathBuf>,
}

struct Run<'a> {
    settings: &'a Settings,
    clock: Clock,
    cluster: Cluster,
    load: Load,
    findings: Findings,
}

/// Runs all rounds and judges them. An error says that there was nothing to judge.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let cluster = Cluster::found(Atoll::find()?, settings.shape, clock)?;
    println!("{:6.1} s  founded and whole", clock.elapsed().as_secs_f64());
    let load = Load::prepare(settings.load, &cluster, clock);
    let load = load.with_context(|| cluster.last_words())?;
    let rows = settings.load.bulk_rows;
    println!(
        "{:6.1} s  {rows} rows loaded",
        clock.elapsed().as_secs_f64()
    );
    let mut run = Run {
        settings,
        clock,
        cluster,
        load,
        findings: Findings::default(),
    };
    run.load.start();
    thread::sleep(settings.calm);
    let from = clock.now();
    for (number, round) in schedule(settings.rounds, settings.load.seed)
        .into_iter()
        .enumerate()
    {
        if let Err(error) = run.round(number + 1, round) {
            run.findings
                .violated(format!("round {}: {error:#}", number + 1));
            break;
        }
    }
    run.conclude(from)
}

impl Run<'_> {
    fn round(&mut self, number: usize, round: Round) -> Result<()> {
        let state = self.cluster.state()?;
        let victim = round.victim.of(&state)?;
        let place = self.cluster.place_of(&victim)?;
        let primaries = state.nodes.iter().filter(|node| node.name == victim);
        let primaries: u32 = primaries.map(|node| node.primaries).sum();
        let leads = state.regional_leader() == Some(&victim);
        self.load
            .note(&format!("round {number}: {round} {victim}"))?;
        let (from, began) = (self.clock.now(), Instant::now());
        self.act(round.act, place)?;
        let acted = began.elapsed();
        self.cluster.settle(self.settings.whole_within)?;
        let whole = began.elapsed();
        thread::sleep(self.settings.calm);
        let role = if leads { "leader" } else { "voter" };
        let what = format!(
            "{:6.1} s  round {number:2}: {:14} {victim} ({role}, primary of {primaries}), {:4.1} s, whole {:4.1} s later;",
            Duration::from_micros(from.0).as_secs_f64(),
            round.act.to_string(),
            acted.as_secs_f64(),
            (whole - acted).as_secs_f64(),
        );
        self.judge_round(&what, from);
        Ok(())
    }

    fn act(&mut self, act: Act, place: usize) -> Result<()> {
        let cluster = &mut self.cluster;
        match act {
            Act::Kill => {
                cluster.kill(place)?;
                thread::sleep(self.settings.down);
                cluster.start(place)
            }
            Act::Freeze => {
                cluster.freeze(place)?;
                thread::sleep(self.settings.freeze);
                cluster.wake(place)
            }
            Act::Wipe => {
                cluster.kill(place)?;
                cluster.wipe(place)?;
                thread::sleep(self.settings.down);
                cluster.start(place)
            }
            Act::KillAll => {
                let nodes = 0..cluster.nodes().len();
                nodes.clone().try_for_each(|node| cluster.kill(node))?;
                nodes.clone().try_for_each(|node| cluster.start(node))
            }
        }
    }

    fn judge_round(&mut self, what: &str, from: Micros) {
        let to = self.clock.now();
        let gap = self.load.longest_gap(from, to);
        let found = judge::judge(self.cluster.timeline(), &self.load.lookups(), from, to);
        self.findings
            .tell(format!("{what} write gap {gap}, {found}"));
        if gap.length > GAP_LIMIT {
            let from = gap.from;
            self.findings
                .violated(format!("no write of some shard for {gap} from {from}"));
        }
    }

    fn conclude(mut self, from: Micros) -> Result<Findings> {
        let ending = Ending {
            cluster: &mut self.cluster,
            load: &mut self.load,
            clock: self.clock,
            rows: self.settings.load.bulk_rows,
            whole_within: self.settings.whole_within,
            keep: self.settings.keep.as_deref(),
        };
        ending.conclude(from, &mut self.findings)?;
        Ok(self.findings)
    }
}
