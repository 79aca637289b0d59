//! One node's disk fills up: something else takes the space of the file system that its data lies on, and
//! gives it back after a while, once as that of a voter and once as that of the leader of the region's group.
//!
//! The node itself is well, and stays in the in-sync sets: writes of the shards that it holds are refused with
//! a reason that says so, those of all others go on, and no lookup may fail at any time. Once there is room
//! writes are taken again without anybody's doing.

mod refusals;
mod small;

pub use small::{NEEDS, enter};

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::Cluster,
    judge::GAP_LIMIT,
    limping::{self, Bout, Fault, Limping, Settings},
    report::Findings,
};
use anyhow::Result;
use refusals::{Met, Shards};
use small::{Ballast, Disks};
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

const POLL: Duration = Duration::from_millis(50);

/// Runs it and judges it, within a namespace of its own: see [`enter`]. An error says that there was nothing to
/// judge.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let disks = Disks::mount(settings.shape.nodes, settings.load.bulk_rows)?;
    let hosts = (0..settings.shape.nodes).map(|place| disks.host(place));
    let cluster = Cluster::found_on(Atoll::find()?, settings.shape, clock, hosts.collect())?;
    limping::run(settings, cluster, clock, |run| {
        for who in settings.whom.iter().copied() {
            let victim = run.choose(who)?;
            let held = run.held_by(victim)?;
            let shards = usize::from(settings.shape.shards);
            let mut full = Full {
                disks: &disks,
                ballast: None,
                shards,
            };
            let bout = run.happen(&format!("full disk of {who}"), victim, &mut full)?;
            run.tell(&bout);
            judge(run, &bout, &held, shards);
        }
        Ok(())
    })
}

struct Full<'a> {
    disks: &'a Disks,
    ballast: Option<Ballast>,
    shards: usize,
}

impl Fault for Full<'_> {
    fn begin(&mut self, _: &mut Limping, victim: usize) -> Result<()> {
        self.ballast = Some(self.disks.fill(victim)?);
        Ok(())
    }

    /// Comes back when every shard is written to again, or that took too long.
    fn end(&mut self, run: &mut Limping, _: usize) -> Result<()> {
        let from = run.clock().now();
        if let Some(ballast) = self.ballast.take() {
            ballast.let_go()?;
        }
        let end = Instant::now() + GAP_LIMIT;
        let are_taken = || refusals::taken_again(&run.load().beats(), self.shards, from).is_some();
        while !are_taken() && Instant::now() < end {
            thread::sleep(POLL);
        }
        Ok(())
    }
}

fn judge(run: &mut Limping, bout: &Bout, held: &BTreeSet<usize>, all: usize) {
    let met = Met::of(run.load().history().entries(), bout.begun, bout.ended);
    let shards = Shards::of(&run.load().beats(), (held, all), bout);
    let (title, still) = (&bout.title, bout.still_in_sync());
    let findings = run.findings();
    findings.tell(format!("          {met}"));
    findings.tell(format!("          {shards}"));
    if still != held.len() {
        let before = held.len();
        findings.violated(format!(
            "{title}: in sync of {still} shards, and of {before} before"
        ));
    }
    for what in met.faults().chain(shards.faults()) {
        findings.violated(format!("{title}: {what}"));
    }
}
