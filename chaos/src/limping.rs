//! A node that is neither well nor gone: one fault of one node under load, measured before, while and
//! after it lasts.
//!
//! Judged as [`crate::rounds`] are. Besides, the node must leave the in-sync sets while the fault lasts.

mod figures;

use crate::{
    clock::Clock,
    cluster::{Cluster, Shape, State},
    ending::Ending,
    judge::{self, GAP_LIMIT},
    load::{Load, Plan},
    report::Findings,
};
use anyhow::{Context as _, Result};
use figures::{Figures, Left};
use sim::history::Micros;
use std::{
    fmt,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster.
    pub shape: Shape,
    /// The load.
    pub load: Plan,
    /// Whom the faults meet, one after the other.
    pub whom: Vec<Who>,
    /// How long is measured before a fault.
    pub before: Duration,
    /// How long a fault lasts.
    pub fault: Duration,
    /// How long the cluster may take until it is whole again.
    pub whole_within: Duration,
    /// Where logs and the history are kept; by default only after a violation.
    pub keep: Option<PathBuf>,
}

/// Whom the fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A voter of the region's group that does not lead it, and is primary of most shards.
    Voter,
    /// The leader of the region's group.
    Leader,
}

/// What happens to a node.
pub trait Fault {
    /// Begins it.
    fn begin(&mut self, run: &mut Limping, victim: usize) -> Result<()>;
    /// Ends it.
    fn end(&mut self, run: &mut Limping, victim: usize) -> Result<()>;
}

/// A run under way.
pub struct Limping {
    settings: Settings,
    clock: Clock,
    cluster: Cluster,
    load: Load,
    findings: Findings,
}

/// Loads the cluster, lets `bouts` happen, and judges them.
pub fn run(
    settings: &Settings,
    cluster: Cluster,
    clock: Clock,
    bouts: impl FnOnce(&mut Limping) -> Result<()>,
) -> Result<Findings> {
    let load = Load::prepare(settings.load, &cluster, clock);
    let load = load.with_context(|| cluster.last_words())?;
    let mut run = Limping {
        settings: settings.clone(),
        clock,
        cluster,
        load,
        findings: Findings::default(),
    };
    run.load.start();
    // Connections and caches are there once the measuring begins.
    thread::sleep(settings.before / 4);
    let from = clock.now();
    if let Err(error) = bouts(&mut run) {
        run.findings.violated(format!("{error:#}"));
    }
    run.conclude(from)
}

impl Limping {
    /// The node that is `who` now.
    pub fn choose(&self, who: Who) -> Result<usize> {
        let state = self.cluster.state()?;
        let leader = state.regional_leader().context("nobody leads")?;
        let others = state.nodes.iter().filter(|node| node.name != leader);
        let busiest = others.max_by_key(|node| node.primaries);
        let name = match who {
            Who::Leader => leader,
            Who::Voter => busiest.context("there are several nodes")?.name.as_str(),
        };
        self.cluster.place_of(name)
    }

    /// From now on a node counts as one that stands still, until the cluster is settled.
    pub fn cut_off(&mut self, victim: usize) {
        self.cluster.cut_off(victim);
    }

    /// Measures, lets a fault happen to a node, measures on, ends the fault, and tells figures.
    pub fn bout(&mut self, what: &str, victim: usize, fault: &mut dyn Fault) -> Result<()> {
        let before = self.clock.now();
        thread::sleep(self.settings.before);
        let name = self.cluster.nodes()[victim].name().to_owned();
        self.load.note(&format!("{what}: {name}"))?;
        let begun = self.clock.now();
        fault.begin(self, victim)?;
        let left = self.watch(victim, &name);
        let ended = self.clock.now();
        fault.end(self, victim)?;
        let mending = Instant::now();
        let settled = self.cluster.settle(self.settings.whole_within);
        let whole = mending.elapsed();
        settled.with_context(|| format!("after {what}"))?;
        thread::sleep(self.settings.before / 4);
        let times = [before, begun, ended, self.clock.now()];
        self.tell(what, &name, times, &left, whole);
        Ok(())
    }

    /// Looks, while the fault lasts, when the node left the in-sync sets and was primary of nothing.
    fn watch(&self, victim: usize, name: &str) -> Left {
        let began = Instant::now();
        let observer = usize::from(victim == 0);
        let mut left = Left::default();
        while began.elapsed() < self.settings.fault {
            if let Ok(state) = self.cluster.state_by(observer) {
                left.look(parts_of(&state, name), began.elapsed());
            }
            thread::sleep(POLL);
        }
        left
    }

    fn tell(
        &mut self,
        what: &str,
        name: &str,
        [before, begun, ended, over]: [Micros; 4],
        left: &Left,
        whole: Duration,
    ) {
        let seconds = Duration::from_micros(begun.0).as_secs_f64();
        self.findings
            .tell(format!("{seconds:6.1} s  {what}: {name}"));
        let figures = Figures::of(self.load.writes(before, begun));
        self.findings.tell(format!("          before: {figures}"));
        for (when, from, to) in [("while", begun, ended), ("after", ended, over)] {
            let figures = Figures::of(self.load.writes(from, to));
            let gap = self.load.longest_gap(from, to);
            self.findings
                .tell(format!("          {when:6}: {figures}, longest gap {gap}"));
            if gap.length > GAP_LIMIT {
                let violated = format!("{what}: no write of some shard for {gap}");
                self.findings.violated(violated);
            }
        }
        self.findings.tell(format!(
            "          {left}; whole {:.1} s after its end",
            whole.as_secs_f64()
        ));
        if !left.is_out() {
            self.findings
                .violated(format!("{what}: {name} did not leave: {left}"));
        }
        let asked = self.load.lookups();
        let found = judge::judge(self.cluster.timeline(), &asked, begun, over);
        self.findings.tell(format!("          {found}"));
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

/// Of how many shards a node is in sync, and of how many primary.
fn parts_of(state: &State, name: &str) -> (usize, usize) {
    let in_sync = state.shards.iter().filter(|shard| {
        let mut replicas = shard.replicas.iter();
        replicas.any(|replica| replica.node == name && replica.in_sync)
    });
    let primaries = state
        .shards
        .iter()
        .filter(|shard| shard.primary.as_deref() == Some(name));
    (in_sync.count(), primaries.count())
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voter => "a voter",
            Self::Leader => "the leader",
        })
    }
}
