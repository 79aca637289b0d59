//! The simulated world: time, network, the regional group, three nodes, and what befalls them.

use crate::{
    client::Client,
    node::{Naming, Node},
    oracle::Oracle,
    rng::Rng,
    service::Service,
};
use proto::{
    hlc::Hlc,
    id::{BootId, NodeId, Position},
};
use replication::{
    Base, Configuration, Event, Fence, Member, Proposal, Ticket,
    planted::{Bug, Planted},
};
use std::collections::BTreeMap;

/// Which rule is taken out of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    Core(Bug),
    WipedDiskKeepsStoreId,
    /// What is in memory counts, and members are named by their disks.
    MemoryOfWhoeverRestarts,
}

#[derive(Clone)]
pub enum Action {
    Deliver {
        to: usize,
        event: Event,
    },
    Synced {
        node: usize,
        boot: BootId,
        records: usize,
        through: Ticket,
    },
    Written {
        node: usize,
        boot: BootId,
        through: Ticket,
    },
    Bound {
        node: usize,
        boot: BootId,
        bound: Hlc,
    },
    Tick {
        node: usize,
        boot: BootId,
    },
    Local {
        node: usize,
        boot: BootId,
        event: Event,
    },
    Propose(Proposal),
    Snapshot(Snapshot),
    Install {
        snapshot: Snapshot,
        boot: BootId,
    },
    Write,
    Fault,
    Control,
    Gossip,
    Restart(usize),
    Resume(usize),
    Heal(usize, usize),
}

#[derive(Clone)]
pub struct Snapshot {
    pub from: usize,
    pub from_boot: BootId,
    pub to: usize,
    pub boot: BootId,
    pub fence: Fence,
    pub session: u32,
    pub base: Base,
}

/// How rough a run is.
pub struct Weather {
    pub loss: u64,
    pub repeat: u64,
    pub late: u64,
    pub slow_sync: u64,
    pub log_kept: u64,
    pub write_gap: u64,
    pub fault_gap: u64,
    /// How long news of a configuration, and a proposal, may be under way.
    pub news: u64,
    /// How likely the clock's bound is raised before anybody needs it, in thousandths.
    pub eager_bound: u64,
    pub min_in_sync: usize,
}

impl Weather {
    fn draw(rng: &mut Rng) -> Self {
        let of = |rng: &mut Rng, values: &[u64]| *rng.pick(values).expect("there are values");
        Self {
            loss: of(rng, &[0, 5, 30, 100]),
            repeat: of(rng, &[0, 10, 50]),
            late: of(rng, &[0, 10, 50]),
            slow_sync: of(rng, &[0, 20, 200]),
            log_kept: of(rng, &[4, 20, 1_000]),
            write_gap: of(rng, &[20_000, 80_000, 300_000]),
            fault_gap: of(rng, &[100_000, 300_000, 800_000, 2_000_000]),
            news: of(rng, &[5_000, 50_000, 600_000]),
            eager_bound: of(rng, &[0, 1_000]),
            min_in_sync: of(rng, &[1, 1, 2]) as usize,
        }
    }

    pub fn calm(&mut self) {
        (self.loss, self.repeat, self.late, self.slow_sync) = (0, 0, 0, 0);
        (self.write_gap, self.news) = (100_000, 5_000);
    }
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub weather: Weather,
    pub calm: bool,
    pub nodes: Vec<Node>,
    pub service: Service,
    pub oracle: Oracle,
    pub client: Client,
    pub proposals: Vec<Proposal>,
    pub cut: [[bool; 3]; 3],
    pub rare: BTreeMap<&'static str, u64>,
    pub trace: u64,
    pub plant: Plant,
    pub primary_missed_at: Option<u64>,
    queue: BTreeMap<(u64, u64), Action>,
    scheduled: u64,
}

impl World {
    pub fn new(seed: u64, plant: Plant) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::draw(&mut rng);
        let naming = naming(seed, plant);
        let nodes: Vec<_> = (1..=3)
            .map(|number| Node::new(number, naming, &mut rng))
            .collect();
        let first_run = |node: &Node| Member {
            boot: node.member().boot.map(|boot| BootId(boot.0 + 1)),
            ..node.member()
        };
        let members: Vec<_> = nodes.iter().map(first_run).collect();
        let boot = BootId(nodes[0].boot.0 + 1);
        let mut world = Self {
            now: 0,
            weather,
            calm: false,
            service: Service::found(&members, boot, 1),
            nodes,
            oracle: Oracle::default(),
            client: Client::new(),
            proposals: Vec::new(),
            cut: [[false; 3]; 3],
            rare: BTreeMap::new(),
            trace: seed,
            plant,
            primary_missed_at: None,
            queue: BTreeMap::new(),
            scheduled: 0,
            rng,
        };
        world.service.current.min_in_sync = world.weather.min_in_sync;
        for node in 0..3 {
            world.nodes[node].skew(&mut world.rng);
            world.start(node);
        }
        world.after(10_000, Action::Write);
        world.after(500_000, Action::Fault);
        world.after(300_000, Action::Control);
        world.after(1_000, Action::Gossip);
        world
    }

    pub fn after(&mut self, delay: u64, action: Action) {
        self.scheduled += 1;
        self.queue
            .insert((self.now + delay, self.scheduled), action);
    }

    pub fn count(&mut self, rare: &'static str) {
        *self.rare.entry(rare).or_default() += 1;
    }

    pub fn at(&self, node: NodeId) -> usize {
        (node.0 - 1) as usize
    }

    pub fn planted(&self) -> Planted {
        match self.plant {
            Plant::Core(bug) => Planted::with(bug),
            Plant::Nothing | Plant::WipedDiskKeepsStoreId | Plant::MemoryOfWhoeverRestarts => {
                Planted::NONE
            }
        }
    }

    /// Runs until `end` or the first contradiction.
    pub fn run_until(&mut self, end: u64) -> Result<(), String> {
        while let Some(((at, _), _)) = self.queue.first_key_value() {
            if *at > end {
                break;
            }
            let ((at, _), action) = self.queue.pop_first().expect("it is not empty");
            self.now = at;
            self.act(action)?;
        }
        self.now = end;
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Deliver { to, event } => self.step(to, event),
            Action::Synced {
                node,
                boot,
                records,
                through,
            } => self.synced(node, boot, records, through),
            Action::Written {
                node,
                boot,
                through,
            } => self.written(node, boot, through),
            Action::Bound { node, boot, bound } if self.runs(node, boot) => {
                self.nodes[node].bound_is_durable(bound);
                self.step(node, Event::ClockRaised)
            }
            Action::Tick { node, boot } if self.runs(node, boot) => self.tick(node),
            Action::Local { node, boot, event } if self.runs(node, boot) => self.step(node, event),
            Action::Bound { .. } | Action::Tick { .. } | Action::Local { .. } => Ok(()),
            Action::Propose(proposal) => {
                self.accept(&proposal);
                Ok(())
            }
            Action::Snapshot(snapshot) => self.begin_snapshot(snapshot),
            Action::Install { snapshot, boot } => self.install_snapshot(snapshot, boot),
            Action::Write => self.write(),
            Action::Fault => self.fault(),
            Action::Control => {
                self.control();
                Ok(())
            }
            Action::Gossip => {
                (0..3).for_each(|node| self.tell(node));
                self.after(400_000, Action::Gossip);
                Ok(())
            }
            Action::Restart(node) => self.restart(node),
            Action::Resume(node) => self.resume(node),
            Action::Heal(a, b) => {
                (self.cut[a][b], self.cut[b][a]) = (false, false);
                self.tell_stream(a, b, Event::PeerUp);
                Ok(())
            }
        }
    }

    pub fn runs(&self, node: usize, boot: BootId) -> bool {
        self.nodes[node].replica.is_some() && self.nodes[node].boot == boot
    }

    pub fn start(&mut self, node: usize) {
        let planted = self.planted();
        self.nodes[node].start(self.now, planted);
        let boot = self.nodes[node].boot;
        let phase = self.rng.between(0, 50_000);
        self.after(phase, Action::Tick { node, boot });
        self.tell(node);
    }

    /// A restarted node registers: where members are named by boot it is another one now.
    fn restart(&mut self, node: usize) -> Result<(), String> {
        if self.nodes[node].replica.is_some() {
            return Ok(());
        }
        self.start(node);
        if self.nodes[node].naming == Naming::Boot {
            let placed: Vec<_> = self.nodes.iter().map(Node::member).collect();
            self.service.place(&placed);
        }
        let replica = self.nodes[node].replica.as_ref().expect("it was started");
        self.oracle.holds(replica.committed())
    }

    fn resume(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].paused = false;
        for event in std::mem::take(&mut self.nodes[node].backlog) {
            self.step(node, event)?;
        }
        Ok(())
    }

    fn tick(&mut self, node: usize) -> Result<(), String> {
        let boot = self.nodes[node].boot;
        self.after(50_000, Action::Tick { node, boot });
        if self.nodes[node].paused {
            return Ok(());
        }
        let eager = self.rng.chance(self.weather.eager_bound);
        if eager && self.nodes[node].bound_is_near(self.now) {
            self.raise(node, Hlc::ZERO);
        }
        self.step(node, Event::Tick)
    }

    /// The newest configuration, on its way to a node.
    pub fn tell(&mut self, node: usize) {
        let lost = !self.calm && self.rng.chance(100);
        let delay = self.rng.between(500, self.weather.news);
        if !lost {
            let event = Event::Configuration(self.service.current.clone());
            self.after(delay, Action::Deliver { to: node, event });
        }
    }

    fn accept(&mut self, proposal: &Proposal) {
        if let Some(place) = self.proposals.iter().position(|own| own == proposal) {
            self.proposals.remove(place);
        }
        let before = self.service.current.clone();
        let placed: Vec<_> = self.nodes.iter().map(Node::member).collect();
        if !self.service.take(proposal.clone(), &placed) {
            return;
        }
        self.note_change(&before, &placed);
        for node in 0..3 {
            let member = self.nodes[node].member();
            self.nodes[node].tainted &= self.service.current.in_sync.contains(&member);
            self.tell(node);
        }
    }

    fn note_change(&mut self, before: &Configuration, placed: &[Member]) {
        let after = self.service.current.clone();
        let grew = after.in_sync.len() > before.in_sync.len();
        let taken_in = |member: &&Member| !before.in_sync.contains(member);
        let mut taken_in = after.in_sync.iter().filter(taken_in);
        if taken_in.any(|member| !placed.contains(member)) {
            self.count("wiped joiner was taken in");
        }
        if grew {
            self.count("grown");
        } else if after.in_sync.len() < before.in_sync.len() {
            self.count("shrunk");
        } else if after.primary == before.primary {
            self.count("fenced");
        }
        if after.primary == before.primary {
            return;
        }
        self.count("promoted");
        let ends = self.nodes.iter().map(|node| {
            let end = node.replica.as_ref().map(replication::Replica::log_end);
            (node.id, end.map_or(Position(0), |end| end.position))
        });
        let ends: Vec<_> = ends.collect();
        let own = ends.iter().find(|(node, _)| *node == after.primary.node);
        if own.is_some_and(|(_, own)| ends.iter().any(|(_, other)| other > own)) {
            self.count("stale longer tail");
        }
    }
}

/// A third of the seeds runs with members named by boot; what a bug is found by, by its own nature.
const fn naming(seed: u64, plant: Plant) -> Naming {
    match plant {
        Plant::MemoryOfWhoeverRestarts => Naming::Disk,
        _ if seed % 3 == 2 => Naming::Boot,
        _ => Naming::Disk,
    }
}
