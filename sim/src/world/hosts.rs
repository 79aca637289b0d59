//! Hosts, clients and the loop that moves them tick by tick, with the faults that are due.

use super::{
    links::{Change, Cut, Link, Links},
    node::GaveUp,
    trace::Trace,
};
use crate::{
    entropy,
    faults::{Fault, Schedule},
    run,
};
use std::{future::Future, ops::Range, time::Duration};

/// What a host's software ends with; an error ends the run.
pub type Ended = Result<(), Box<dyn std::error::Error>>;

/// Numbers of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What everything is drawn from.
    pub seed: u64,
    /// How far each host runs at a time: the grain of the order of events between hosts.
    pub tick: Duration,
    /// How long a message travels.
    pub latency: Range<Duration>,
    /// When the run is over whether its clients are done or not; not to be done is an error.
    pub limit: Duration,
}

impl Settings {
    /// The usual world of a seed, for at most `limit`.
    #[must_use]
    pub const fn of(seed: u64, limit: Duration) -> Self {
        let latency = Duration::from_micros(200)..Duration::from_millis(5);
        Self {
            seed,
            tick: Duration::from_millis(1),
            latency,
            limit,
        }
    }
}

/// A run ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A host or client ended with an error or panicked, or the clients were not done in time.
    #[error("the world stopped at {at:?}: {source}")]
    Stopped {
        /// When.
        at: Duration,
        /// Why.
        source: Box<dyn std::error::Error>,
    },
}

impl Failed {
    /// Whether a node gave up though its machine was well.
    #[must_use]
    pub fn is_a_node_giving_up(&self) -> bool {
        let Self::Stopped { source, .. } = self;
        source.is::<GaveUp>()
    }
}

/// A world on a thread of [`run::simulated`].
pub struct World {
    sim: turmoil::Sim<'static>,
    trace: Trace,
    /// Hosts first, in the order of a schedule's numbers, then clients.
    names: Vec<String>,
    hosts: usize,
    links: Links,
    latency: Range<Duration>,
}

impl World {
    /// An empty world.
    ///
    /// # Panics
    /// On a thread that is not under a seed: the run could not be repeated.
    #[must_use]
    pub fn new(settings: &Settings, trace: Trace) -> Self {
        assert!(
            entropy::is_taken_over(),
            "a world lives on a thread of run::simulated"
        );
        // openraft draws its election timeouts by way of a seam of its own.
        raft::group::runtime::seed_thread(settings.seed);
        let sim = turmoil::Builder::new()
            .rng_seed(settings.seed)
            .epoch(std::time::UNIX_EPOCH + run::EPOCH)
            .tick_duration(settings.tick)
            .simulation_duration(settings.limit)
            .min_message_latency(settings.latency.start)
            .max_message_latency(settings.latency.end)
            // The default of 64 segments breaks connections that production would slow down.
            .tcp_capacity(4096)
            .enable_random_order()
            .build();
        Self {
            sim,
            trace,
            names: Vec::new(),
            hosts: 0,
            links: Links::default(),
            latency: settings.latency.clone(),
        }
    }

    /// Adds a host: `software` is called at its start and again after each crash, so what survives a
    /// crash lies outside and is cloned in.
    ///
    /// # Panics
    /// After a client was added: a schedule counts hosts, and clients come behind them.
    pub fn host<F>(&mut self, name: &str, software: impl Fn() -> F + 'static)
    where
        F: Future<Output = Ended> + 'static,
    {
        assert_eq!(
            self.hosts,
            self.names.len(),
            "hosts are added before clients"
        );
        self.names.push(name.to_owned());
        self.hosts += 1;
        self.sim.host(name, software);
    }

    /// Adds a client; the run is over when all clients are done. Clients do not crash.
    pub fn client(&mut self, name: &str, software: impl Future<Output = Ended> + 'static) {
        self.names.push(name.to_owned());
        self.sim.client(name, software);
    }

    /// How long the world has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Runs until all clients are done. `on_fault` is called after each fault was done to the hosts:
    /// disks lose there what was not synced.
    pub fn run(&mut self, schedule: &Schedule, on_fault: impl FnMut(Fault)) -> Result<(), Failed> {
        self.run_where(schedule, |_, due| due, on_fault)
    }

    /// The same, where `decide` says which faults happen at a time, by those that are due.
    pub fn run_where(
        &mut self,
        schedule: &Schedule,
        mut decide: impl FnMut(Duration, Vec<Fault>) -> Vec<Fault>,
        mut on_fault: impl FnMut(Fault),
    ) -> Result<(), Failed> {
        loop {
            let before = self.sim.elapsed();
            entropy::set_clocks(run::at(before));
            match self.sim.step() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(source) => {
                    return Err(Failed::Stopped {
                        at: self.sim.elapsed(),
                        source,
                    });
                }
            }
            let now = self.sim.elapsed();
            let due = schedule.between(before, now).collect();
            for fault in decide(now, due) {
                self.trace.event_at(now, fault);
                self.fail(fault);
                on_fault(fault);
            }
        }
    }

    fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(host) | Fault::LoseDisk(host) | Fault::LoseStore(host) => {
                self.sim.crash(&self.names[host.0][..]);
            }
            Fault::Restart(host) => self.sim.bounce(&self.names[host.0][..]),
            // A paused host's messages are held both ways. Its timers go on, so it may act on what
            // it knew; a process that is truly stopped is the business of tests on real processes.
            Fault::Pause(_)
            | Fault::Resume(_)
            | Fault::Partition(..)
            | Fault::Repair(..)
            | Fault::PartitionOneWay(..)
            | Fault::RepairOneWay(..) => {}
            Fault::Slow(one, other, millis) => {
                let (one, other) = (&self.names[one.0][..], &self.names[other.0][..]);
                let latency = Duration::from_millis(millis.unsigned_abs());
                self.sim.set_link_latency(one, other, latency);
            }
            Fault::Fast(one, other) => {
                let (one, other) = (&self.names[one.0][..], &self.names[other.0][..]);
                self.sim.set_link_latency(one, other, self.latency.start);
                let most = self.latency.end;
                self.sim.set_link_max_message_latency(one, other, most);
            }
            // Clocks belong to the hosts' components, as disks do.
            Fault::SetClock(..) => {}
        }
        for Change { ends, from, to } in self.links.follow(fault, self.names.len()) {
            let (one, other) = (&self.names[ends.0][..], &self.names[ends.1][..]);
            if from != Link::default() {
                // Whatever it was: both ways are whole, and what was held is delivered.
                self.sim.release(one, other);
            }
            if to.is_held {
                self.sim.hold(one, other);
            }
            match to.cut {
                Cut::Whole => {}
                Cut::OneWay(from, to) => {
                    let (from, to) = (&self.names[from][..], &self.names[to][..]);
                    self.sim.partition_oneway(from, to);
                }
                Cut::Both => self.sim.partition(one, other),
            }
        }
    }
}
