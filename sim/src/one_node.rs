//! One real node with its gateway in the simulated world: clients write and look up while it
//! crashes, loses power in the middle of a write, stands still and is cut off; then it crashes once
//! more, every row is read back, and the whole history is judged.
//!
//! One seed decides all of it. Runs are made on a thread of [`crate::run::simulated`].

mod clients;
mod faults;
mod seen;

pub use crate::outcome::RunError;
pub use seen::Seen;

use crate::{
    faults::Fault,
    outcome,
    random::Random,
    run,
    session::Shared,
    world::{
        self, Between, HostClock, Machine, Trace, World, components, lose_power,
        node::{GRPC_PORT, run_single},
    },
};
use clients::{load, set_up_and_read_back};
use std::{cell::Cell, sync::Arc, time::Duration};

/// What came of a run.
pub type Outcome = outcome::Outcome<Seen>;

/// The node's host.
const NODE: &str = "node";
/// How many clients load it.
const CLIENTS: u64 = 3;
/// The last crash comes this long after the load: answers that were still on their way are there.
const LAST_CRASH_AFTER: Duration = Duration::from_secs(1);
/// How long the last restart and the reading back may take.
const END_WITHIN: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Clone)]
pub struct Plan {
    /// What everything is drawn from.
    pub seed: u64,
    /// Until when clients load the node.
    pub load: Duration,
    /// Something between the node and its disk, for tests that break what it keeps.
    pub between: Option<Between>,
}

impl Plan {
    /// The usual run of a seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            load: Duration::from_secs(12),
            between: None,
        }
    }
}

/// Runs a plan as a run of its own.
pub fn run(plan: &Plan) -> Result<Outcome, RunError> {
    let trace = Trace::default();
    run::simulated(plan.seed, || in_world(plan, &trace))
}

fn in_world(plan: &Plan, trace: &Trace) -> Result<Outcome, RunError> {
    let seed = plan.seed;
    let mut machine = Machine::new(seed);
    if let Some(between) = &plan.between {
        machine = machine.with_between(Arc::clone(between));
    }
    let drawn = faults::draw(seed, plan.load, LAST_CRASH_AFTER);
    let limit = plan.load + LAST_CRASH_AFTER + END_WITHIN;
    let mut world = World::new(&world::Settings::of(seed, limit), trace.clone());
    add_node(&mut world, seed, &machine);
    let shared = Shared::default();
    for client in 0..CLIENTS {
        let loading = load(seed, client, plan.load, shared.clone());
        world.client(&format!("client-{client}"), loading);
    }
    let last_restart = drawn
        .schedule
        .events()
        .last()
        .map_or(plan.load, |end| end.at);
    let reading = set_up_and_read_back(seed, machine.clone(), last_restart, shared.clone());
    world.client("reader", reading);
    world.client(
        "power",
        lose_power(drawn.power_losses, vec![machine.clone()]),
    );
    let crashes_with_loss = Cell::new(0);
    let on_fault = |fault| {
        if let Fault::Crash(_) = fault {
            let lost = machine.crash();
            crashes_with_loss.set(crashes_with_loss.get() + usize::from(lost > 0));
        }
    };
    if let Err(failed) = world.run(&drawn.schedule, on_fault) {
        let history = shared.history();
        return Err(RunError::world(
            seed,
            &failed,
            drawn.schedule,
            history.as_ref(),
        ));
    }
    let history = shared
        .history()
        .expect("a run that ended defined its views");
    let seen = Seen::of(&history, &drawn.schedule, crashes_with_loss.get());
    Outcome::of(trace, history, drawn.schedule, seen)
}

fn add_node(world: &mut World, seed: u64, machine: &Machine) {
    let clock = HostClock::default();
    let parts = components(seed, NODE, &clock, Arc::new(machine.clone()));
    let machine = machine.clone();
    world.host(NODE, move || run_single(machine.clone(), parts.clone()));
}

fn node_address() -> String {
    format!("{NODE}:{GRPC_PORT}")
}

fn random(seed: u64, client: u64) -> Random {
    Random::of_purpose(seed, &format!("pauses of client {client}"))
}
