//! The stage of a play: what nodes have logged of their shards so far, and faults that are done at once.
//!
//! A scene is drawn before the run and hits its moment by luck. A play is directed while the region runs:
//! it waits for what nodes log, and does the next thing then. The seed decides both.

use super::{
    faults::NODES,
    operator,
    rare::{self, CONFIGURED, Rare},
    told::CLOSED,
};
use crate::{
    faults::{Fault, Host},
    random::Random,
    world::{Journal, Line, Loss, Machine, node},
};
use std::{
    cell::RefCell, collections::BTreeMap, error::Error, future::Future, ops::Range, pin::Pin,
    rc::Rc, time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How often the stage is looked at: with every tick of the world.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often it is asked whether all shards are whole, and whether a client may work.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What is done in a play, from a region that is whole until it ends. Whatever stands then is undone.
pub type Act = fn(Stage, Random) -> Pin<Box<dyn Future<Output = ()>>>;

/// A configuration of a shard, as a node logged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Its epoch.
    pub epoch: u64,
    /// Who is primary.
    pub primary: Option<Host>,
    /// How many are in sync.
    pub in_sync: u64,
}

/// What is known of all shards.
#[derive(Debug, Default)]
pub struct Shards {
    newest: BTreeMap<u64, Known>,
    by_host: BTreeMap<(usize, u64), Known>,
    /// By host and shard, how many closes it held for done.
    closes: BTreeMap<(usize, u64), usize>,
}

impl Shards {
    /// A shard as its newest configuration says, whoever knows it.
    #[must_use]
    pub fn newest(&self, shard: u64) -> Known {
        self.newest.get(&shard).copied().unwrap_or_default()
    }

    /// A shard as `host` knows it.
    #[must_use]
    pub fn known_to(&self, host: Host, shard: u64) -> Known {
        let known = self.by_host.get(&(host.0, shard));
        known.copied().unwrap_or_default()
    }

    /// The shards with rows of the load that a host leads.
    pub fn led_by(&self, host: Host) -> impl Iterator<Item = u64> + '_ {
        let leads = move |known: &Known| known.primary == Some(host);
        let loaded = self.newest.range(..u64::from(node::SHARDS));
        let led = loaded.filter(move |(_, known)| leads(known));
        led.map(|(shard, _)| *shard)
    }

    /// How many closes of a shard a host has held for done.
    #[must_use]
    pub fn closes(&self, host: Host, shard: u64) -> usize {
        self.closes
            .get(&(host.0, shard))
            .copied()
            .unwrap_or_default()
    }

    fn take(&mut self, line: &Line, machines: &[Machine]) {
        let number = |name| line.number(name).unwrap_or_default();
        let of_primary =
            |machine: &Machine| machine.node().map(|node| node.0) == line.number("primary");
        let known = Known {
            epoch: number("epoch"),
            primary: machines.iter().position(of_primary).map(Host),
            in_sync: number("in_sync"),
        };
        let Some(host) = (0..NODES).find(|place| node::name(*place) == line.host) else {
            return;
        };
        let shard = number("shard");
        if line.message == CLOSED {
            *self.closes.entry((host, shard)).or_default() += 1;
            return;
        }
        self.by_host.insert((host, shard), known);
        let newest = self.newest.entry(shard).or_default();
        if known.epoch > newest.epoch {
            *newest = known;
        }
    }
}

/// See the module; clones are the same stage.
#[derive(Clone)]
pub struct Stage {
    machines: Vec<Machine>,
    journal: Journal,
    exchanged: Loss,
    rare: Rc<RefCell<Rare>>,
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    /// How many lines were read.
    read: usize,
    shards: Shards,
    /// What is to be done at once.
    ordered: Vec<Fault>,
    /// What undoes all that was done, the newest last.
    undoing: Vec<Fault>,
    resting: [bool; NODES],
}

impl Stage {
    /// The stage of a run; `exchanged` is what a machine loses whose store's disk is
    /// exchanged, and `rare` counts it.
    #[must_use]
    pub fn new(
        machines: Vec<Machine>,
        journal: Journal,
        exchanged: Loss,
        rare: Rc<RefCell<Rare>>,
    ) -> Self {
        Self {
            machines,
            journal,
            exchanged,
            rare,
            state: Rc::default(),
        }
    }

    /// What was ordered since the last call.
    #[must_use]
    pub fn take_orders(&self) -> Vec<Fault> {
        std::mem::take(&mut self.state.borrow_mut().ordered)
    }

    /// Waits until there is something to see.
    pub async fn until<T>(&self, see: impl Fn(&Shards) -> Option<T>) -> T {
        loop {
            self.look();
            if let Some(seen) = see(&self.state.borrow().shards) {
                return seen;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it holds.
    pub async fn until_so(&self, holds: impl Fn(&Shards) -> bool) {
        self.until(|shards| holds(shards).then_some(())).await;
    }

    fn look(&self) {
        let mut state = self.state.borrow_mut();
        let lines = self.journal.lines_from(state.read);
        state.read += lines.len();
        let is_told = |line: &&Line| [CONFIGURED, CLOSED].contains(&&line.message[..]);
        for line in lines.iter().filter(is_told) {
            state.shards.take(line, &self.machines);
        }
    }

    /// Does something, and knows how to undo it.
    pub fn do_until_undone(&self, fault: Fault, undone_by: Fault) {
        let mut state = self.state.borrow_mut();
        state.ordered.push(fault);
        state.undoing.push(undone_by);
    }

    /// Undoes what `fault` would undo, if that stands.
    pub fn undo(&self, fault: Fault) {
        let mut state = self.state.borrow_mut();
        if let Some(place) = state.undoing.iter().position(|standing| *standing == fault) {
            state.undoing.remove(place);
            state.ordered.push(fault);
        }
    }

    /// Waits until every shard has all its copies, as every gateway says.
    pub async fn until_whole(&self) {
        while !operator::is_whole_now().await {
            sleep(ASK_EVERY).await;
        }
    }

    /// Undoes all, and lets all clients work.
    pub fn end(&self) {
        let mut state = self.state.borrow_mut();
        let State {
            ordered, undoing, ..
        } = &mut *state;
        ordered.append(undoing);
        state.resting = [false; NODES];
    }

    /// A host crashes.
    pub fn crash(&self, host: Host) {
        self.do_until_undone(Fault::Crash(host), Fault::Restart(host));
    }

    /// A host that is down comes back.
    pub fn restart(&self, host: Host) {
        self.undo(Fault::Restart(host));
    }

    /// A host crashes, and its store's disk is exchanged for an empty one.
    pub async fn exchange_disk(&self, host: Host) {
        self.do_until_undone(Fault::LoseStore(host), Fault::Restart(host));
        // By then it is down.
        sleep(LOOK_EVERY * 2).await;
        self.machines[host.0].lose(self.exchanged);
        self.rare.borrow_mut().add(rare::LOST_DISK, 1);
    }

    /// A host stands still.
    pub fn pause(&self, host: Host) {
        self.do_until_undone(Fault::Pause(host), Fault::Resume(host));
    }

    /// Nothing passes between a host and the other nodes.
    pub fn isolate(&self, host: Host) {
        for other in others(host) {
            self.do_until_undone(Fault::Partition(host, other), Fault::Repair(host, other));
        }
    }

    /// It passes again.
    pub fn reconnect(&self, host: Host) {
        for other in others(host) {
            self.undo(Fault::Repair(host, other));
        }
    }

    /// Messages between a host and the other nodes take their time.
    pub fn slow_down(&self, host: Host, millis: i64) {
        for other in others(host) {
            self.do_until_undone(Fault::Slow(host, other, millis), Fault::Fast(host, other));
        }
    }

    /// Clients do nothing from now on. What they have open stays open.
    pub fn rest(&self) {
        self.state.borrow_mut().resting = [true; NODES];
    }

    /// All clients but that of `host` go on.
    pub fn wake_all_but(&self, host: Host) {
        let resting = &mut self.state.borrow_mut().resting;
        (0..NODES).for_each(|client| resting[client] &= client == host.0);
    }

    /// Waits until a client is to rest.
    pub async fn asks_for_rest(&self, client: usize) {
        while !self.state.borrow().resting[client] {
            sleep(ASK_EVERY).await;
        }
    }

    /// Waits until a client may go on.
    pub async fn lets_work(&self, client: usize) {
        while self.state.borrow().resting[client] {
            sleep(ASK_EVERY).await;
        }
    }
}

/// All nodes but one.
pub fn others(host: Host) -> impl Iterator<Item = Host> + Clone {
    (0..NODES).map(Host).filter(move |other| *other != host)
}

/// Plays again and again, each time on a region that is whole, as long as `during` lasts.
pub async fn direct(
    stage: Stage,
    act: Act,
    seed: u64,
    during: Range<Duration>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    sleep_until(start + during.start).await;
    let playing = async {
        for number in 0_u64.. {
            stage.until_whole().await;
            let random = Random::of_purpose(seed, &format!("play {number}"));
            act(stage.clone(), random).await;
            stage.end();
        }
    };
    // Where it is in the middle of something, that ends here.
    let _ = timeout_at(start + during.end, playing).await;
    stage.end();
    Ok(())
}
