//! Operations under load: a node joins and gets its share; another is emptied, and while it is, each
//! party of the moves is killed; it stops and is removed; a disk is wiped and returns as a new node; and
//! every node is restarted, one after the other.
//!
//! Judged as [`crate::rounds`] are; besides, what the operator's commands say must be so, and no lookup
//! fails through a node that serves while another restarts in its own way.

mod commands;

pub use commands::Member;

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    ending::Ending,
    judge::{self, GAP_LIMIT},
    load::{Load, Plan},
    report::Findings,
};
use anyhow::{Context as _, Result, bail, ensure};
use sim::history::Micros;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(250);
/// How long a process may take to hand over, to answer what it took, and to end.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// How long a node that was killed in the middle of a move stays away.
const DOWN: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster at first.
    pub shape: Shape,
    /// The load.
    pub load: Plan,
    /// Load between two operations.
    pub calm: Duration,
    /// How long an operation may take.
    pub whole_within: Duration,
    /// Where logs and the history are kept; by default only after a violation.
    pub keep: Option<PathBuf>,
}

/// Who is killed while a node is emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    /// The node that is emptied.
    Emptied,
    /// A node that gets a copy.
    Receiver,
    /// The leader of the region's group, whose controller decides.
    Leader,
}

struct Run<'a> {
    settings: &'a Settings,
    clock: Clock,
    cluster: Cluster,
    load: Load,
    findings: Findings,
    sent: BTreeMap<usize, Sent>,
}

/// Bytes that a node sent to replicas that lagged.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    of_process: u64,
    of_earlier: u64,
}

/// Runs all of it and judges it. An error says that there was nothing to judge.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let mut cluster = Cluster::found(Atoll::find()?, settings.shape, clock)?;
    println!("{:6.1} s  founded and whole", clock.elapsed().as_secs_f64());
    let fourth = cluster.reserve()?;
    let load = Load::prepare(settings.load, &cluster, clock);
    let load = load.with_context(|| cluster.last_words())?;
    let mut run = Run {
        settings,
        clock,
        cluster,
        load,
        findings: Findings::default(),
        sent: BTreeMap::new(),
    };
    run.load.start();
    thread::sleep(settings.calm);
    let from = clock.now();
    if let Err(error) = run.operate(fourth) {
        run.findings.violated(format!("{error:#}"));
    }
    run.conclude(from)
}

impl Run<'_> {
    fn operate(&mut self, fourth: usize) -> Result<()> {
        self.step("a fourth node joins", |run| run.join(fourth))?;
        let leaver = self.leaver(fourth)?;
        for party in [Party::Emptied, Party::Receiver, Party::Leader] {
            let what = format!("a node is emptied, and its {party:?} killed");
            self.step(&what, |run| run.drain(leaver, party))?;
            if party != Party::Leader {
                self.step("it is taken back", |run| run.take_back(leaver))?;
            }
        }
        self.step("it stops and is removed", |run| run.remove(leaver))?;
        let victim = (0..fourth)
            .find(|place| *place != leaver)
            .context("there are three nodes")?;
        self.step("a disk is wiped", |run| run.wipe(victim))?;
        for place in 0..self.cluster.nodes().len() {
            if place != leaver {
                let what = format!("{} restarts", self.cluster.nodes()[place].name());
                self.restart(&what, place)?;
            }
        }
        Ok(())
    }

    /// Does one thing, and judges its time: what it took, what it moved, how long writes stood still.
    fn step(&mut self, what: &str, act: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.load.note(what)?;
        let (from, began, before) = (self.clock.now(), Instant::now(), self.moved());
        act(self).with_context(|| what.to_owned())?;
        self.cluster.settle(self.settings.whole_within)?;
        let took = began.elapsed();
        thread::sleep(self.settings.calm);
        let moved = self.moved().saturating_sub(before);
        let what = format!("{what}: {:.1} s, {moved} bytes moved", took.as_secs_f64());
        self.judge(&what, from);
        Ok(())
    }

    fn judge(&mut self, what: &str, from: Micros) -> judge::Lookups {
        let to = self.clock.now();
        let gap = self.load.longest_gap(from, to);
        let found = judge::judge(self.cluster.timeline(), &self.load.lookups(), from, to);
        self.findings.tell(format!(
            "{:6.1} s  {what}; write gap {gap}, {found}",
            self.clock.elapsed().as_secs_f64()
        ));
        if gap.length > GAP_LIMIT {
            let from = gap.from;
            self.findings
                .violated(format!("no write of some shard for {gap} from {from}"));
        }
        found
    }

    /// Bytes that nodes sent to replicas that lagged, so far. A process that is killed takes what it sent
    /// since it was last asked along.
    fn moved(&mut self) -> u64 {
        for (place, node) in self.cluster.nodes().iter().enumerate() {
            let known = self.sent.entry(place).or_default();
            match node.sent_bytes() {
                // Another process than the one that was asked before began anew.
                Some(bytes) if bytes < known.of_process => {
                    known.of_earlier += known.of_process;
                    known.of_process = bytes;
                }
                Some(bytes) => known.of_process = bytes,
                None => {}
            }
        }
        let sent = self.sent.values();
        sent.map(|sent| sent.of_earlier + sent.of_process).sum()
    }

    fn join(&mut self, place: usize) -> Result<()> {
        self.cluster.start(place)?;
        self.cluster
            .await_ready(place, self.settings.whole_within)?;
        let name = self.cluster.nodes()[place].name().to_owned();
        self.share(&name)
    }

    /// Waits until one of four nodes has its share, and nothing moves any more.
    fn share(&self, name: &str) -> Result<()> {
        let Shape { copies, shards, .. } = self.settings.shape;
        // Counts of copies differ by less than two between any nodes at the end.
        let share = u32::from(shards) * u32::from(copies) / 4;
        self.wait("its share of the copies", |run| {
            let members = run.members()?;
            let own = members.iter().find(|member| member.name == name);
            let own = own.context("it is no member")?;
            let moving = members.iter().any(|member| member.joining > 0);
            Ok(own.copies() + 1 >= share && !moving)
        })
    }

    /// Who is emptied: the leader of the region's group, so that its part moves as well.
    fn leaver(&self, fourth: usize) -> Result<usize> {
        let state = self.cluster.state()?;
        let leader = state.regional_leader().context("nobody leads")?;
        let place = self.cluster.place_of(leader)?;
        Ok(if place == fourth { 0 } else { place })
    }

    fn drain(&mut self, leaver: usize, party: Party) -> Result<()> {
        let name = self.cluster.nodes()[leaver].name().to_owned();
        let asked = self.asked(leaver)?;
        let said = self
            .cluster
            .run(asked, &["node", "drain", &name, "--dry-run"])?;
        let plan = said.done()?;
        ensure!(plan.contains("is drained"), "a plan without an end: {plan}");
        let done = self.cluster.run(asked, &["node", "drain", &name])?;
        done.done()?;
        match self.find(party, leaver)? {
            Some(victim) => self.interrupt(party, victim)?,
            None => self.findings.tell(format!(
                "          all was moved before {party:?} was killed"
            )),
        }
        self.wait("it is drained", |run| {
            let members = run.members()?;
            let own = members.iter().find(|member| member.name == name);
            Ok(own.context("it is no member")?.state == "drained")
        })
    }

    fn take_back(&mut self, leaver: usize) -> Result<()> {
        let name = self.cluster.nodes()[leaver].name().to_owned();
        let asked = self.asked(leaver)?;
        let said = self
            .cluster
            .run(asked, &["node", "drain", &name, "--cancel"])?;
        said.done()?;
        self.share(&name)
    }

    /// Which node is a party of the moves that are under way now; none once there are none.
    fn find(&self, party: Party, leaver: usize) -> Result<Option<usize>> {
        let end = Instant::now() + self.settings.whole_within;
        let leaver_name = self.cluster.nodes()[leaver].name();
        while Instant::now() < end {
            let members = self.members()?;
            let own = members.iter().find(|member| member.name == leaver_name);
            if own.is_none_or(|own| own.copies() == 0) {
                return Ok(None);
            }
            let receiver = members.iter().find(|member| member.joining > 0);
            if let Some(receiver) = receiver {
                return Ok(Some(match party {
                    Party::Emptied => leaver,
                    Party::Receiver => self.cluster.place_of(&receiver.name)?,
                    Party::Leader => {
                        let state = self.cluster.state()?;
                        let leader = state.regional_leader().context("nobody leads")?;
                        self.cluster.place_of(leader)?
                    }
                }));
            }
            thread::sleep(POLL / 5);
        }
        bail!("no copy is on its way off {leaver_name}")
    }

    fn interrupt(&mut self, party: Party, victim: usize) -> Result<()> {
        let name = self.cluster.nodes()[victim].name().to_owned();
        self.load.note(&format!("kill {party:?} {name}"))?;
        self.cluster.kill(victim)?;
        thread::sleep(DOWN);
        self.cluster.start(victim)?;
        self.cluster
            .await_ready(victim, self.settings.whole_within)?;
        self.findings
            .tell(format!("          {party:?} {name} was killed on the way"));
        Ok(())
    }

    fn remove(&mut self, leaver: usize) -> Result<()> {
        let name = self.cluster.nodes()[leaver].name().to_owned();
        let asked = self.asked(leaver)?;
        self.cluster.stop(leaver, STOP_WITHIN)?;
        self.cluster.left(leaver);
        self.take_out(asked, &name)
    }

    /// `atoll node remove`, once it may: the node must be known to be away.
    fn take_out(&self, asked: usize, node: &str) -> Result<()> {
        let mut last = String::new();
        let taken = self.wait("it is removed", |run| {
            let said = run.cluster.run(asked, &["node", "remove", node])?;
            last = said.err.clone();
            Ok(said.status == Some(0))
        });
        taken.with_context(|| last)
    }

    fn wipe(&mut self, victim: usize) -> Result<()> {
        let name = self.cluster.nodes()[victim].name().to_owned();
        let asked = self.asked(victim)?;
        let members = self.members()?;
        let old = members.iter().find(|member| member.name == name);
        let old = old.context("it is no member")?.id.clone();
        self.cluster.kill(victim)?;
        self.cluster.wipe(victim)?;
        thread::sleep(DOWN);
        self.cluster.start(victim)?;
        self.cluster
            .await_ready(victim, self.settings.whole_within)?;
        self.take_out(asked, &old)?;
        let members = self.members()?;
        ensure!(
            members.iter().all(|member| member.id != old),
            "a removed member is listed still"
        );
        Ok(())
    }

    /// One node restarts as a service manager restarts it.
    fn restart(&mut self, what: &str, place: usize) -> Result<()> {
        self.load.note(what)?;
        let (from, began) = (self.clock.now(), Instant::now());
        self.cluster.stop(place, STOP_WITHIN)?;
        let stopped = began.elapsed();
        let handed_over = self.clock.now();
        thread::sleep(DOWN);
        let gap = self.load.longest_gap(from, self.clock.now());
        self.cluster.start(place)?;
        self.cluster.settle(self.settings.whole_within)?;
        let whole = began.elapsed();
        thread::sleep(self.settings.calm);
        let what = format!(
            "{what}: stopped in {:.1} s, whole after {:.1} s, write gap while it went {gap}",
            stopped.as_secs_f64(),
            whole.as_secs_f64(),
        );
        let found = self.judge(&what, from);
        if found.failed_in_failover > 0 {
            self.findings.violated(format!(
                "{} lookups failed around a restart at {handed_over}",
                found.failed_in_failover
            ));
        }
        Ok(())
    }

    fn wait(&self, what: &str, mut is_so: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let end = Instant::now() + self.settings.whole_within;
        let mut why = String::new();
        while Instant::now() < end {
            match is_so(self) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => why = format!(": {error:#}"),
            }
            thread::sleep(POLL);
        }
        bail!(
            "not in {:?}: {what}{why}\n{}",
            self.settings.whole_within,
            self.shown()
        )
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
