//! A node that is neither well nor gone: one fault of one node under load, measured before, while and
//! after it lasts.
//!
//! Judged as [`crate::rounds`] are. Besides, the node must leave the in-sync sets while the fault lasts, unless the
//! scenario says what else is to come of it.

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
pub use figures::Figures;
use figures::Left;
use sim::history::Micros;
use std::{
    collections::BTreeSet,
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

/// A bout as it went.
#[derive(Debug, Clone)]
pub struct Bout {
    /// What happened, and to which node.
    pub title: String,
    /// The node's name.
    pub name: String,
    /// When measuring began.
    pub before: Micros,
    /// When the fault began.
    pub begun: Micros,
    /// When it was about to end.
    pub ended: Micros,
    /// When measuring ended.
    pub over: Micros,
    left: Left,
    whole: Duration,
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

    /// Of which shards a node is in sync, by their numbers.
    pub fn held_by(&self, victim: usize) -> Result<BTreeSet<usize>> {
        let state = self.cluster.state_by(usize::from(victim == 0))?;
        let name = self.cluster.nodes()[victim].name();
        Ok(held(&state, name))
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What the clients saw.
    #[must_use]
    pub const fn load(&self) -> &Load {
        &self.load
    }

    /// The run's clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What came of the run so far.
    pub const fn findings(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// Measures, lets a fault happen to a node that must leave for it, measures on, ends the fault, and tells
    /// figures.
    pub fn bout(&mut self, what: &str, victim: usize, fault: &mut dyn Fault) -> Result<()> {
        let bout = self.happen(what, victim, fault)?;
        self.tell(&bout);
        self.judge_leaving(&bout);
        Ok(())
    }

    /// The same, and judges nothing.
    pub fn happen(&mut self, what: &str, victim: usize, fault: &mut dyn Fault) -> Result<Bout> {
        let before = self.clock.now();
        thread::sleep(self.settings.before);
        let name = self.cluster.nodes()[victim].name().to_owned();
        let title = format!("{what}: {name}");
        self.load.note(&title)?;
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
        Ok(Bout {
            title,
            name,
            before,
            begun,
            ended,
            over: self.clock.now(),
            left,
            whole,
        })
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

    /// Tells figures of a bout.
    pub fn tell(&mut self, bout: &Bout) {
        let seconds = Duration::from_micros(bout.begun.0).as_secs_f64();
        self.findings
            .tell(format!("{seconds:6.1} s  {}", bout.title));
        let figures = Figures::of("writes", self.load.writes(bout.before, bout.begun));
        self.findings.tell(format!("          before: {figures}"));
        for (when, from, to) in bout.while_and_after() {
            let figures = Figures::of("writes", self.load.writes(from, to));
            let gap = self.load.longest_gap(from, to);
            self.findings
                .tell(format!("          {when:6}: {figures}, longest gap {gap}"));
        }
        let (left, whole) = (bout.left, bout.whole.as_secs_f64());
        self.findings.tell(format!(
            "          {left}; whole {whole:.1} s after its end"
        ));
        let asked = self.load.lookups();
        let found = judge::judge(self.cluster.timeline(), &asked, bout.begun, bout.over);
        self.findings.tell(format!("          {found}"));
    }

    fn judge_leaving(&mut self, bout: &Bout) {
        let Bout {
            title, name, left, ..
        } = bout;
        for (_, from, to) in bout.while_and_after() {
            let gap = self.load.longest_gap(from, to);
            if gap.length > GAP_LIMIT {
                let violated = format!("{title}: no write of some shard for {gap}");
                self.findings.violated(violated);
            }
        }
        if !left.is_out() {
            self.findings
                .violated(format!("{title}: {name} did not leave: {left}"));
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

impl Bout {
    fn while_and_after(&self) -> [(&'static str, Micros, Micros); 2] {
        [
            ("while", self.begun, self.ended),
            ("after", self.ended, self.over),
        ]
    }

    /// Of how many shards the node was still in sync when the fault was about to end.
    #[must_use]
    pub const fn still_in_sync(&self) -> usize {
        self.left.last_in_sync()
    }
}

/// Of which shards a node is in sync.
fn held(state: &State, name: &str) -> BTreeSet<usize> {
    let in_sync = state.shards.iter().filter(|shard| {
        let mut replicas = shard.replicas.iter();
        replicas.any(|replica| replica.node == name && replica.in_sync)
    });
    in_sync.map(|shard| shard.shard as usize).collect()
}

/// Of how many shards a node is in sync, and of how many primary.
fn parts_of(state: &State, name: &str) -> (usize, usize) {
    let primaries = state
        .shards
        .iter()
        .filter(|shard| shard.primary.as_deref() == Some(name));
    (held(state, name).len(), primaries.count())
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voter => "a voter",
            Self::Leader => "the leader",
        })
    }
}
