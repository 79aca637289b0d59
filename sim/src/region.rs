//! A region of three real nodes with their gateways in the simulated world: clients write and look up
//! through all of them while nodes crash, lose power in the middle of a write, stand still, are cut off
//! from each other both ways and one way, lose a disk, and have wrong clocks. Then everything is
//! healed, every shard must be in sync again and every gateway take writes, all rows are read back
//! through every gateway and from every disk, and the whole history is judged.
//!
//! One seed decides all of it. Runs are made on a thread of [`crate::run::simulated`].

mod apart;
mod clients;
mod disks;
mod faults;
mod operator;
mod outcome;
pub mod rare;

pub use operator::{ANSWERS_WITHIN, IN_SYNC_WITHIN};
pub use outcome::Outcome;
pub use rare::Rare;

use crate::{
    checker,
    faults::{Fault, Host, Schedule},
    history::{History, Micros},
    random::Random,
    run,
    session::Shared,
    world::{
        self, HostClock, Journal, Line, Loss, Machine, Trace, World, components,
        node::{self, region_founding, region_node, run_in_region},
    },
};
use ::node::settings::Durability;
use faults::{Drawn, NODES, PowerLoss};
use replication::planted::{Bug, Planted};
use std::{cell::RefCell, error::Error, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// A rule that is taken out, to see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// One of replication's.
    Replication(Bug),
    /// A disk that is lost keeps its store's id.
    WipedDiskKeepsStoreId,
}

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What everything is drawn from.
    pub seed: u64,
    /// How long clients load the region.
    pub load: Duration,
    /// What "durable" means in the region.
    pub durability: Durability,
    /// The rule that is taken out, if one is.
    pub planted: Option<PlantedBug>,
}

impl Plan {
    /// The usual run of a seed: with forming and healing about 60 simulated seconds. In every fifth
    /// what is in memory counts.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            load: Duration::from_secs(45),
            durability: if seed.is_multiple_of(5) {
                Durability::Replicated
            } else {
                Durability::Fsync
            },
            planted: None,
        }
    }

    const fn planted(&self) -> Planted {
        match self.planted {
            Some(PlantedBug::Replication(bug)) => Planted::with(bug),
            Some(PlantedBug::WipedDiskKeepsStoreId) | None => Planted::NONE,
        }
    }

    fn times(&self) -> faults::Times {
        let end = FORMED_WITHIN + self.load;
        faults::Times {
            faults: FORMED_WITHIN..end,
            last_crashes: end + LAST_CRASHES_AFTER,
            healed: end + LAST_CRASHES_AFTER + LAST_CRASHES_LAST,
        }
    }
}

/// Nothing goes wrong before: the nodes found and join.
const FORMED_WITHIN: Duration = Duration::from_secs(10);
/// The last crashes come this long after the load: answers that were still on their way are there.
const LAST_CRASHES_AFTER: Duration = Duration::from_secs(1);
const LAST_CRASHES_LAST: Duration = Duration::from_millis(700);
/// A client waits at most this many microseconds between two operations.
const PAUSE_MICROS: u64 = 60_000;

/// A run gave nothing to judge.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The world stopped before its clients were done: a node stopped, or something did not heal.
    #[error("seed {seed}: {why}\n{schedule}")]
    World {
        /// The seed.
        seed: u64,
        /// Why.
        why: String,
        /// What was done to the nodes.
        schedule: Schedule,
    },
    /// A disk cannot be read.
    #[error("seed {seed}: {source}")]
    Disk {
        /// The seed.
        seed: u64,
        /// Why not.
        source: disks::Unreadable,
    },
    /// The history is not one that can be judged.
    #[error("seed {seed}: {source}")]
    History {
        /// The seed.
        seed: u64,
        /// Why not.
        source: checker::Unjudgeable,
    },
}

/// Runs a plan as a run of its own.
pub fn run(plan: &Plan) -> Result<Outcome, RunError> {
    run_with_journal(plan).0
}

/// The same, and what the nodes logged.
pub fn run_with_journal(plan: &Plan) -> (Result<Outcome, RunError>, Vec<Line>) {
    let journal = Journal::default();
    let outcome = run::simulated(plan.seed, || journal.keep(|| in_world(plan, &journal)));
    (outcome, journal.lines())
}

fn in_world(plan: &Plan, journal: &Journal) -> Result<Outcome, RunError> {
    let seed = plan.seed;
    let region = Region::new(plan);
    let trace = Trace::default();
    let mut world = World::new(&world::Settings::of(seed, region.limit()), trace.clone());
    region.add_nodes(&mut world);
    region.add_clients(&mut world);
    let schedule = region.drawn.schedule.clone();
    let may = |fault, now| region.may_suffer(fault, now);
    if let Err(failed) = world.run_where(&schedule, may, |fault| region.suffer(fault)) {
        let why = failed.to_string();
        return Err(RunError::World {
            seed,
            why,
            schedule,
        });
    }
    let ended = Micros(u64::try_from(world.elapsed().as_micros()).unwrap_or(u64::MAX));
    // Nodes let go of their disks.
    drop(world);
    let history = region.history(ended)?;
    let report = checker::judge(&history).map_err(|source| RunError::History { seed, source })?;
    let mut rare = Rare::of(&journal.lines());
    rare += &region.rare.borrow();
    Ok(Outcome::new(&trace, history, report, schedule, rare))
}

/// A region of a run: what lies outside of its hosts' software.
struct Region {
    plan: Plan,
    times: faults::Times,
    drawn: Drawn,
    machines: Vec<Machine>,
    clocks: Vec<HostClock>,
    shared: Shared,
    rare: Rc<RefCell<Rare>>,
    budget: apart::Budget,
}

impl Region {
    fn new(plan: &Plan) -> Self {
        let times = plan.times();
        let machine = |place: u64| Machine::new(plan.seed.wrapping_mul(31).wrapping_add(place));
        Self {
            plan: *plan,
            drawn: match plan.durability {
                Durability::Fsync => faults::draw(plan.seed, &times),
                Durability::Replicated => apart::draw(plan.seed, &times),
            },
            times,
            machines: (0..NODES as u64).map(machine).collect(),
            clocks: (0..NODES).map(|_| HostClock::default()).collect(),
            shared: Shared::default(),
            rare: Rc::default(),
            budget: apart::Budget::default(),
        }
    }

    /// Until when the last client must be done.
    fn limit(&self) -> Duration {
        self.times.healed + IN_SYNC_WITHIN + 6 * ANSWERS_WITHIN + Duration::from_secs(10)
    }

    fn add_nodes(&self, world: &mut World) {
        // Two copies on three nodes leave room for one that takes over; three need every node.
        let copies = if Random::of_purpose(self.plan.seed, "copies").percent(50) {
            2
        } else {
            3
        };
        for (place, machine) in self.machines.iter().enumerate() {
            let host = node::name(place);
            let storage = std::sync::Arc::new(machine.clone());
            let mut parts = components(self.plan.seed, &host, &self.clocks[place], storage);
            parts.planted = self.plan.planted();
            let machine = machine.clone();
            let durability = self.plan.durability;
            world.host(&host, move || {
                // Whoever comes back with an empty disk joins the others, the first node too.
                let founds = place == 0 && !machine.has_lost_all();
                let founding = founds.then(|| region_founding(copies));
                let settings = region_node(place, NODES, durability);
                run_in_region(machine.clone(), settings, founding, parts.clone())
            });
        }
    }

    fn add_clients(&self, world: &mut World) {
        let seed = self.plan.seed;
        let shared = || self.shared.clone();
        for place in 0..NODES {
            let until = self.times.faults.end;
            let loading = clients::load(seed, place, until, PAUSE_MICROS, shared());
            world.client(&format!("client-{}", place + 1), loading);
        }
        let watching = clients::watch(seed, self.watch_times(), shared());
        world.client("watcher", watching);
        let times = operator::Times {
            formed: FORMED_WITHIN,
            healed: self.times.healed,
        };
        let operating = operator::operate(seed, self.machines[0].clone(), times, shared());
        world.client("operator", operating);
        let power = lose_power(self.drawn.power_losses.clone(), self.machines.clone());
        world.client("power", power);
        if self.plan.durability == Durability::Replicated {
            let watching = self.budget.clone().watch(self.times.last_crashes);
            world.client("budget", watching);
        }
        if let Some(lost) = self.drawn.lost_disk {
            let loss = match (lost.only_store, self.plan.planted) {
                (_, Some(PlantedBug::WipedDiskKeepsStoreId)) => Loss::StoreButNotItsId,
                (true, _) => Loss::Store,
                (false, _) => Loss::Everything,
            };
            let machine = self.machines[lost.host.0].clone();
            let losing = operator::lose_disk(lost, loss, machine, Rc::clone(&self.rare));
            world.client("disks", losing);
        }
    }

    /// A while after whatever went wrong.
    fn watch_times(&self) -> Vec<Duration> {
        let mut random = Random::of_purpose(self.plan.seed, "when all is looked at");
        let events = self.drawn.schedule.events().iter();
        let during = events.filter(|event| self.times.faults.contains(&event.at));
        let mut times: Vec<Duration> = during
            .filter(|event| !matches!(event.fault, Fault::SetClock(..)))
            .map(|event| event.at + Duration::from_micros(random.within(10_000..1_500_000)))
            .collect();
        times.sort();
        times
    }

    /// Where memory counts, a crash is spared unless all copies are there.
    fn may_suffer(&self, fault: Fault, now: Duration) -> bool {
        self.plan.durability == Durability::Fsync || self.budget.allows(fault, now)
    }

    /// Disks and clocks follow a fault.
    fn suffer(&self, fault: Fault) {
        match fault {
            Fault::Crash(Host(host))
            | Fault::LoseDisk(Host(host))
            | Fault::LoseStore(Host(host)) => {
                let lost = self.machines[host].crash();
                self.rare
                    .borrow_mut()
                    .add(rare::LOSS, usize::from(lost > 0));
            }
            Fault::SetClock(Host(host), millis) => {
                self.clocks[host].set_offset_micros(millis * 1_000);
            }
            Fault::Restart(_)
            | Fault::Partition(..)
            | Fault::Repair(..)
            | Fault::PartitionOneWay(..)
            | Fault::RepairOneWay(..)
            | Fault::Pause(_)
            | Fault::Resume(_) => {}
        }
    }

    /// What clients recorded, and what the disks hold in the end.
    fn history(&self, ended: Micros) -> Result<History, RunError> {
        let seed = self.plan.seed;
        let mut history = self.shared.history();
        let held = disks::read(&self.machines);
        for event in held.map_err(|source| RunError::Disk { seed, source })? {
            history
                .push(ended, event)
                .expect("only calls are refused by a full history");
        }
        Ok(history)
    }
}

/// Takes the machines' power at the given times, in the middle of what they write then.
async fn lose_power(losses: Vec<PowerLoss>, machines: Vec<Machine>) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    for loss in losses {
        sleep_until(start + loss.at).await;
        machines[loss.host.0].lose_power_after(loss.after_changes);
    }
    Ok(())
}
