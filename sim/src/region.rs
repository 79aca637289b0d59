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
mod plays;
pub mod rare;
mod stage;
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
use faults::NODES;
pub use faults::{Drawn, NoScene, SceneName};
use plays::Play;
use proto::limits::REQUEST_ID_WINDOW;
use replication::planted::{Bug, Planted};
use stage::Stage;
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
    /// The one scene or play that is played, if it is not scenes of all kinds.
    pub scene: Option<SceneName>,
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
            scene: None,
            planted: None,
        }
    }

    /// The run of a seed in which one scene is played again and again, or a play. Plays go straight to
    /// their point, so theirs are shorter.
    #[must_use]
    pub fn playing(seed: u64, scene: SceneName) -> Self {
        let usual = Self::of(seed);
        Self {
            scene: Some(scene),
            durability: Durability::Fsync,
            load: scene.play().map_or(usual.load, |_| PLAYS_LAST),
            ..usual
        }
    }

    /// How many copies its shards have: two on three nodes leave room for one that takes over; three
    /// need every node.
    #[must_use]
    pub fn copies(&self) -> u8 {
        if let Some(play) = self.play() {
            play.copies
        } else if Random::of_purpose(self.seed, "copies").percent(50) {
            2
        } else {
            3
        }
    }

    /// How far back nodes keep their log: in a third of the usual runs not long.
    #[must_use]
    pub fn log(&self) -> LogKept {
        let is_short = || Random::of_purpose(self.seed, "how long the log is kept").percent(33);
        match self.play() {
            Some(play) => play.log,
            None if is_short() => LogKept::Short,
            None => LogKept::Usual,
        }
    }

    /// What is done to the region, without doing it.
    #[must_use]
    pub fn drawn(&self) -> Drawn {
        match self.durability {
            Durability::Fsync => faults::draw(self.seed, &self.times(), self.scene),
            Durability::Replicated => apart::draw(self.seed, &self.times()),
        }
    }

    fn play(&self) -> Option<Play> {
        self.scene.and_then(SceneName::play)
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

/// How far back nodes keep their log for requests that are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKept {
    /// As in production, longer than a run: a new disk is filled from it.
    Usual,
    /// So short that a new disk takes a snapshot, and still longer than any client tries.
    Short,
}

impl LogKept {
    const fn remembered(self) -> Duration {
        match self {
            Self::Usual => REQUEST_ID_WINDOW,
            Self::Short => REMEMBERED_SHORTLY,
        }
    }
}

/// Nothing goes wrong before: the nodes found and join.
const FORMED_WITHIN: Duration = Duration::from_secs(10);
/// How long clients load a region in which a play is played.
const PLAYS_LAST: Duration = Duration::from_secs(26);
/// Beyond a client's attempts, with jumps of the clocks that stamp the log.
const REMEMBERED_SHORTLY: Duration = Duration::from_secs(10);
/// The last crashes come this long after the load: answers that were still on their way are there.
const LAST_CRASHES_AFTER: Duration = Duration::from_secs(1);
const LAST_CRASHES_LAST: Duration = Duration::from_millis(700);
/// A client waits at most this many microseconds between two operations.
const PAUSE_MICROS: u64 = 60_000;

/// The names of all plays: [`SceneName`] reads them.
pub fn plays() -> impl Iterator<Item = &'static str> {
    plays::PLAYS.iter().map(|play| play.name)
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
    let stage = Stage::new(
        region.machines.clone(),
        journal.clone(),
        region.loss(Loss::Store),
        Rc::clone(&region.rare),
    );
    region.add_clients(&mut world, journal, &stage);
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
        let caught = traps.react(now);
        due.chain(caught).chain(stage.take_orders()).collect()
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
            let kept = (self.plan.durability, self.plan.log().remembered());
            world.host(&host, move || {
                // Whoever comes back with an empty disk joins the others, the first node too.
                let founds = place == 0 && !machine.has_lost_all();
                let founding = founds.then(|| region_founding(copies));
                let settings = region_node(place, NODES, kept);
                run_in_region(machine.clone(), settings, founding, parts.clone())
            });
        }
    }

    fn add_clients(&self, world: &mut World, journal: &Journal, stage: &Stage) {
        let seed = self.plan.seed;
        let shared = || self.shared.clone();
        let play = self.plan.play();
        for place in 0..NODES {
            let rests = self.drawn.rests.iter();
            let rests = rests.filter(|rest| rest.client == place);
            let working = clients::Working {
                until: self.times.faults.end,
                rests: rests.map(|rest| rest.span.clone()).collect(),
                pause_micros: PAUSE_MICROS,
                stage: play.map(|_| stage.clone()),
            };
            let loading = clients::load(seed, place, working, shared());
            world.client(&format!("client-{}", place + 1), loading);
        }
        if let Some(play) = play {
            let during = self.times.faults.clone();
            let directing = stage::direct(stage.clone(), play.act, seed, during);
            world.client("director", directing);
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
            let loss = self.loss(if lost.only_store {
                Loss::Store
            } else {
                Loss::Everything
            });
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

    /// What a lost disk takes: by the rules, or by the planted bug.
    fn loss(&self, by_the_rules: Loss) -> Loss {
        match self.plan.planted {
            Some(PlantedBug::WipedDiskKeepsStoreId) => Loss::StoreButNotItsId,
            Some(PlantedBug::Replication(_)) | None => by_the_rules,
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
            | Fault::Slow(..)
            | Fault::Fast(..)
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
