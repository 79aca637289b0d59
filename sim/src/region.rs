//! A region of three real nodes with their gateways in the simulated world: clients write and look up
//! through all of them while nodes crash, lose power in the middle of a write, stand still, are cut off
//! from each other both ways and one way, lose a disk, and have wrong clocks. Then everything is
//! healed, every shard must be in sync again and every gateway take writes, all rows are read back
//! through every gateway and from every disk, and the whole history is judged, closes included.
//!
//! One seed decides all of it. Runs are made on a thread of [`crate::run::simulated`].

mod apart;
mod clients;
mod disks;
mod faults;
mod operator;
pub mod rare;
mod told;
mod traps;

pub use crate::outcome::RunError;
pub use operator::{ANSWERS_WITHIN, IN_SYNC_WITHIN};
pub use rare::Rare;

use crate::{
    faults::{Fault, Host},
    history::{Event, History, Micros},
    outcome,
    random::Random,
    run,
    session::Shared,
    world::{
        self, HostClock, Journal, Line, Loss, Machine, Trace, World, components, lose_power,
        node::{self, region_founding, region_node, run_in_region},
    },
};
use ::node::settings::Durability;
pub use faults::Drawn;
use faults::NODES;
use replication::planted::{Bug, Planted};
use std::{cell::RefCell, rc::Rc, time::Duration};
use traps::Traps;

/// What came of a run.
pub type Outcome = outcome::Outcome<Rare>;

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

    /// How many copies its shards have: two on three nodes leave room for one that takes over; three
    /// need every node.
    #[must_use]
    pub fn copies(&self) -> u8 {
        if Random::of_purpose(self.seed, "copies").percent(50) {
            2
        } else {
            3
        }
    }

    /// What is done to the region, without doing it.
    #[must_use]
    pub fn drawn(&self) -> Drawn {
        match self.durability {
            Durability::Fsync => faults::draw(self.seed, &self.times()),
            Durability::Replicated => apart::draw(self.seed, &self.times()),
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
    region.add_clients(&mut world, journal);
    let schedule = region.drawn.schedule.clone();
    let sprung = Rc::<RefCell<usize>>::default();
    let mut traps = Traps::new(
        region.drawn.traps.clone(),
        region.machines.clone(),
        journal.clone(),
        Rc::clone(&sprung),
    );
    let decide = |now, due: Vec<Fault>| {
        let due = due
            .into_iter()
            .filter(|fault| region.may_suffer(*fault, now));
        due.chain(traps.react(now)).collect()
    };
    let ran = world.run_where(&schedule, decide, |fault| region.suffer(fault));
    let ended = Micros(u64::try_from(world.elapsed().as_micros()).unwrap_or(u64::MAX));
    // Nodes let go of their disks.
    drop(world);
    let lines = journal.lines();
    let history = region.history(ended, &lines);
    if let Err(failed) = ran {
        // A disk may be as broken as the world is; what clients saw is judged in any case.
        let history = history.ok().or_else(|| region.shared.history());
        return Err(RunError::world(seed, &failed, schedule, history.as_ref()));
    }
    let mut rare = Rare::of(&lines);
    rare += &Rare::done(&region.drawn);
    rare.add(rare::TRAP, *sprung.borrow());
    rare += &region.rare.borrow();
    rare.sum_up();
    Outcome::of(&trace, history?, schedule, rare)
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
            drawn: plan.drawn(),
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
        let copies = self.plan.copies();
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

    fn add_clients(&self, world: &mut World, journal: &Journal) {
        let seed = self.plan.seed;
        let shared = || self.shared.clone();
        for place in 0..NODES {
            let rests = self.drawn.rests.iter();
            let rests = rests.filter(|rest| rest.client == place);
            let working = clients::Working {
                until: self.times.faults.end,
                rests: rests.map(|rest| rest.span.clone()).collect(),
                pause_micros: PAUSE_MICROS,
            };
            let loading = clients::load(seed, place, working, shared());
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
            let losing = operator::lose_disk(operator::Losing {
                lost,
                loss,
                machine: self.machines[lost.host.0].clone(),
                journal: journal.clone(),
                rare: Rc::clone(&self.rare),
            });
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

    /// What clients recorded, what nodes told, and what the disks hold in the end.
    fn history(&self, ended: Micros, lines: &[Line]) -> Result<History, RunError> {
        let Some(mut history) = self.shared.history() else {
            return Err(RunError::Formed {
                seed: self.plan.seed,
            });
        };
        let held = disks::read(&self.machines);
        let held = held.map_err(|disks::Unreadable { host, why }| RunError::Disk {
            seed: self.plan.seed,
            host,
            why,
        })?;
        let told = told::closes(lines).map(Event::Closed);
        for event in held.into_iter().chain(told) {
            history
                .push(ended, event)
                .expect("only calls are refused by a full history");
        }
        Ok(history)
    }
}
