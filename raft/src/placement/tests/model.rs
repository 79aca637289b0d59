//! A region at random: nodes that crash, are wiped and cut off, primaries that act on old state,
//! proposals that are late, lost or repeated. Replication itself is reduced to what placement must
//! hold up: a write is acknowledged when every member of the in-sync set, as its primary knows it,
//! has it, and members refuse older epochs.
//!
//! Judged: I3 (a primary that acknowledges has all that was acknowledged before), I8 (one boot per
//! epoch), minimum, wiped disks; and that everything recovers when the faults end.

use super::{member, policy, replica};
use crate::placement::{
    Controller, Effect, Event, Placement, PlacementCommand, Replica, ShardChange, ShardConfig,
    controller::{ControllerSettings, Health, Leadership, LogEnd, Report},
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, Position, ShardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const SHARDS: u16 = 3;
const TICK_MILLIS: u64 = 100;

/// Entries of one shard on one disk: the epoch and the write.
type Log = Vec<(Epoch, u64)>;

pub(super) struct Node {
    pub(super) id: u64,
    boot: u64,
    store: u64,
    pub(super) up: bool,
    cut_off: bool,
    /// It is about to stop, and says so.
    pub(super) leaving: bool,
    logs: BTreeMap<ShardId, Log>,
    /// Shards of which the disk lost something: nothing is taken or led until a copy comes.
    damaged: BTreeSet<ShardId>,
    seen: Arc<Placement>,
    /// A joiner that commits need, from before its proposal until the outcome is known.
    growing: BTreeMap<ShardId, (Epoch, Replica)>,
}

pub(super) struct World {
    random: u64,
    pub(super) now_millis: u64,
    next_id: u64,
    minimum: usize,
    pub(super) committed: Arc<Placement>,
    pub(super) controller: Controller,
    pub(super) nodes: Vec<Node>,
    proposals: Vec<PlacementCommand>,
    pub(super) acknowledged: BTreeMap<ShardId, Vec<u64>>,
    owners: BTreeMap<(ShardId, Incarnation, Epoch), (Replica, BootId)>,
    pub(super) seen_states: BTreeSet<&'static str>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let (copies, minimum) = match seed % 6 {
            0 | 3 => (3, 2),
            1 => (3, 1),
            _ => (2, 1),
        };
        let mut placement = Placement::default();
        placement.apply(PlacementCommand::Follow(policy(SHARDS, copies, minimum)));
        let node = |id| Node {
            id,
            boot: 1_000 + id,
            store: 2_000 + id,
            up: true,
            cut_off: false,
            leaving: false,
            logs: BTreeMap::new(),
            damaged: BTreeSet::new(),
            seen: Arc::default(),
            growing: BTreeMap::new(),
        };
        let mut controller = Controller::new(ControllerSettings::default());
        controller.step(0, Event::Leading(Leadership::Leader), &mut Vec::new());
        Self {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now_millis: 0,
            next_id: 10_000,
            minimum: usize::from(minimum),
            committed: Arc::new(placement),
            controller,
            nodes: (1..=4).map(node).collect(),
            proposals: Vec::new(),
            acknowledged: BTreeMap::new(),
            owners: BTreeMap::new(),
            seen_states: BTreeSet::new(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// One tick: faults (in the bad times), reports, decisions, writes, the log of the group.
    pub(super) fn tick(&mut self, faults: bool) {
        self.now_millis += TICK_MILLIS;
        if faults {
            self.fault();
        }
        for place in 0..self.nodes.len() {
            if self.nodes[place].up && !self.nodes[place].cut_off {
                if !faults || self.draw(3) > 0 {
                    self.nodes[place].seen = self.committed.clone();
                }
                self.report(place);
            }
            if self.nodes[place].up {
                (0..SHARDS)
                    .map(ShardId)
                    .for_each(|shard| self.act(place, shard));
            }
        }
        self.lead();
        self.commit(faults);
    }

    fn fault(&mut self) {
        let place = usize::try_from(self.draw(4)).unwrap();
        match self.draw(60) {
            0 | 1 => self.nodes[place].up = false,
            2 | 12 | 13 if self.may_be_wiped(place) => {
                let store = self.fresh();
                self.seen_states.insert("a disk was wiped");
                self.nodes[place].store = store;
                self.nodes[place].logs.clear();
                self.nodes[place].damaged.clear();
                self.start(place);
            }
            14..=16 if self.may_be_wiped(place) => {
                let shard = ShardId(u16::try_from(self.draw(u64::from(SHARDS))).unwrap());
                if self.nodes[place].logs.remove(&shard).is_some() {
                    self.seen_states.insert("a disk lost something");
                    self.nodes[place].damaged.insert(shard);
                }
                self.start(place);
            }
            17 => self.drain(place),
            18 => {
                self.seen_states.insert("a node was leaving");
                self.nodes[place].leaving = true;
            }
            19 if self.nodes[place].leaving => self.nodes[place].up = false,
            3..=6 if !self.nodes[place].up => self.start(place),
            7 => self.nodes[place].cut_off = true,
            8..=10 => self.nodes[place].cut_off = false,
            11 => self.change_leader(),
            _ => {}
        }
    }

    /// Another node leads, and knows nothing but what is committed.
    pub(super) fn change_leader(&mut self) {
        self.controller = Controller::new(ControllerSettings::default());
        self.controller.step(
            self.now_millis,
            Event::Leading(Leadership::Leader),
            &mut Vec::new(),
        );
    }

    /// An operator empties a node and wants the others back, so that copies can be held.
    fn drain(&mut self, place: usize) {
        for other in 0..self.nodes.len() {
            let drain = PlacementCommand::Drain {
                node: NodeId(self.nodes[other].id),
                draining: other == place,
                fewer_copies: false,
            };
            self.proposals.push(drain);
        }
        self.seen_states.insert("a node was to be emptied");
    }

    /// The budget: of each in-sync set another disk must be left, on a node that runs. For within
    /// the second in which silence is found out, the wiped one may be promoted and the silent one
    /// dropped; then a person has to name the survivor. A set that someone already asked to shrink
    /// counts as shrunk.
    fn may_be_wiped(&self, place: usize) -> bool {
        let node = &self.nodes[place];
        let shrinks = |command: &PlacementCommand| match command {
            PlacementCommand::Change {
                change: ShardChange::Shrink { .. } | ShardChange::Leave { .. },
                ..
            } => true,
            PlacementCommand::Change {
                change: ShardChange::Promote { drop, .. },
                ..
            } => !drop.is_empty(),
            _ => false,
        };
        if self.proposals.iter().any(shrinks) {
            return false;
        }
        let kept = |shard: &ShardId, member: &Replica| {
            self.nodes.iter().any(|other| {
                other.id == member.node.0
                    && !other.damaged.contains(shard)
                    && other.store == member.store.0
                    && other.id != node.id
                    && other.up
                    && !other.cut_off
            })
        };
        self.committed
            .shards
            .iter()
            .all(|(shard, config)| config.in_sync.iter().any(|member| kept(shard, member)))
    }

    pub(super) fn start(&mut self, place: usize) {
        let boot = self.fresh();
        let node = &mut self.nodes[place];
        (node.up, node.boot, node.leaving) = (true, boot, false);
        node.growing.clear();
    }

    fn report(&mut self, place: usize) {
        let node = &self.nodes[place];
        let registered = node.seen.members.get(&NodeId(node.id));
        if registered.is_none_or(|member| member.boot != BootId(node.boot)) {
            self.proposals.push(PlacementCommand::Register(member(
                node.id,
                node.store,
                node.boot,
                &format!("z{}", node.id % 3),
            )));
        }
        let logs = node.logs.iter().map(|(shard, log)| {
            let (epoch, position) = (
                log.last().map_or(Epoch(0), |entry| entry.0),
                Position(log.len() as u64),
            );
            (
                *shard,
                LogEnd {
                    incarnation: Incarnation(1),
                    epoch,
                    position,
                },
            )
        });
        let report = Report {
            node: NodeId(node.id),
            boot: BootId(node.boot),
            health: if node.leaving {
                Health::Leaving
            } else {
                Health::Writable
            },
            logs: logs.collect(),
            damaged: node.damaged.clone(),
            is_nearly_full: false,
        };
        self.controller
            .step(self.now_millis, Event::Report(report), &mut Vec::new());
    }

    /// What a node does that takes itself for a shard's primary.
    fn act(&mut self, place: usize, shard: ShardId) {
        let node = &self.nodes[place];
        let Some(config) = node.seen.shards.get(&shard).cloned() else {
            return;
        };
        if config.primary != replica(node.id, node.store) || node.damaged.contains(&shard) {
            return;
        }
        let change = |change| PlacementCommand::Change {
            shard,
            expect: Some((config.incarnation, config.epoch)),
            change,
        };
        if config.boot != BootId(node.boot) {
            let restart = change(ShardChange::Restart {
                boot: BootId(node.boot),
            });
            return self.proposals.push(restart);
        }
        let grown = node
            .growing
            .get(&shard)
            .filter(|(epoch, _)| *epoch == config.epoch)
            .map(|(_, joiner)| *joiner);
        let needed: BTreeSet<_> = config.in_sync.iter().copied().chain(grown).collect();
        let silent: Vec<_> = needed
            .iter()
            .filter(|member| !self.takes(place, **member, shard, &config))
            .copied()
            .collect();
        let mut log = node.logs.get(&shard).cloned().unwrap_or_default();
        let write = self.fresh();
        log.push((config.epoch, write));
        for member in needed.iter().filter(|member| !silent.contains(member)) {
            let target = self
                .nodes
                .iter_mut()
                .find(|other| other.id == member.node.0)
                .unwrap();
            target.logs.insert(shard, log.clone());
        }
        // A joiner that holds the whole log may be proposed before the tail is committed. It must:
        // a member that is gone for good cannot leave a set at its minimum before another came.
        self.grow(place, shard, &config, &log);
        if silent.is_empty() {
            self.acknowledge(shard, &config, &log, write);
            return;
        }
        // As many as can be spared, as a core proposes it.
        let spare = config.in_sync.len() - self.minimum;
        let leavers = silent
            .iter()
            .filter(|member| config.in_sync.contains(member));
        let leavers: BTreeSet<_> = leavers.copied().take(spare.max(1)).collect();
        match leavers.len() {
            0 => {}
            1 => self.proposals.push(change(ShardChange::Shrink {
                leaver: leavers.into_iter().next().expect("there is one"),
            })),
            _ => self.proposals.push(change(ShardChange::Leave { leavers })),
        }
    }

    /// Whether a member takes entries of this configuration from a node now.
    fn takes(&self, from: usize, member: Replica, shard: ShardId, config: &ShardConfig) -> bool {
        let Some(target) = self.nodes.iter().find(|node| node.id == member.node.0) else {
            return false;
        };
        let is_self = target.id == self.nodes[from].id;
        let linked = is_self || !target.cut_off && !self.nodes[from].cut_off;
        let newer = target
            .seen
            .shards
            .get(&shard)
            .is_some_and(|seen| seen.epoch > config.epoch);
        let fenced = target
            .logs
            .get(&shard)
            .and_then(|log| log.last())
            .is_some_and(|entry| entry.0 > config.epoch);
        let lost = config.in_sync.contains(&member) && target.damaged.contains(&shard);
        target.up && target.store == member.store.0 && linked && !newer && !fenced && !lost
    }

    fn acknowledge(&mut self, shard: ShardId, config: &ShardConfig, log: &Log, write: u64) {
        let owner = self.owners.insert(
            (shard, config.incarnation, config.epoch),
            (config.primary, config.boot),
        );
        assert!(
            owner.is_none_or(|owner| owner == (config.primary, config.boot)),
            "I8: two primaries of one epoch"
        );
        let acknowledged = self.acknowledged.entry(shard).or_default();
        // Writes are numbered in the order in which they are made, so one pass finds them all.
        let mut held = log.iter().map(|entry| entry.1);
        assert!(
            acknowledged
                .iter()
                .all(|write| held.any(|other| other == *write)),
            "I3: an acknowledged write is gone"
        );
        acknowledged.push(write);
    }

    fn grow(&mut self, place: usize, shard: ShardId, config: &ShardConfig, log: &Log) {
        let Some(joiner) = config
            .joining
            .iter()
            .find(|joiner| self.takes(place, **joiner, shard, config))
            .copied()
        else {
            return;
        };
        let target = self
            .nodes
            .iter_mut()
            .find(|node| node.id == joiner.node.0)
            .unwrap();
        target.logs.insert(shard, log.clone());
        if target.damaged.remove(&shard) {
            self.seen_states
                .insert("a copy came to a disk that lost something");
        }
        self.nodes[place]
            .growing
            .insert(shard, (config.epoch, joiner));
        let expect = Some((config.incarnation, config.epoch));
        self.proposals.push(PlacementCommand::Change {
            shard,
            expect,
            change: ShardChange::Grow { joiner },
        });
    }

    fn lead(&mut self) {
        let mut effects = Vec::new();
        self.controller.step(
            self.now_millis,
            Event::Committed(self.committed.clone()),
            &mut effects,
        );
        self.controller
            .step(self.now_millis, Event::Tick, &mut effects);
        for effect in effects {
            match effect {
                Effect::Propose(command) => self.proposals.push(command),
                Effect::SetVoters(_) => {}
            }
        }
    }

    /// Commits some of the proposals, in any order; loses and repeats some.
    fn commit(&mut self, faults: bool) {
        let mut left = std::mem::take(&mut self.proposals);
        let mut later = Vec::new();
        while !left.is_empty() {
            let which = usize::try_from(self.draw(left.len() as u64)).unwrap();
            let command = left.swap_remove(which);
            match if faults { self.draw(8) } else { 7 } {
                0 => continue,
                1 => later.push(command),
                2 => {
                    later.push(command.clone());
                    self.carry_out(command);
                }
                _ => self.carry_out(command),
            }
        }
        later.truncate(30);
        self.proposals = later;
    }

    pub(super) fn carry_out(&mut self, command: PlacementCommand) {
        let mut next = Placement::clone(&self.committed);
        let shard = if let PlacementCommand::Change { shard, change, .. } = &command {
            self.note(change);
            Some(*shard)
        } else {
            None
        };
        next.apply(command);
        for (shard, config) in &next.shards {
            let before = self.committed.shards.get(shard);
            let owner = self
                .owners
                .entry((*shard, config.incarnation, config.epoch))
                .or_insert((config.primary, config.boot));
            assert_eq!(
                *owner,
                (config.primary, config.boot),
                "I8: one boot per epoch"
            );
            assert!(
                config.in_sync.len() >= self.minimum,
                "the set fell below its minimum"
            );
            assert!(config.in_sync.contains(&config.primary));
            assert!(
                before.is_none_or(|before| before.epoch <= config.epoch),
                "an epoch fell"
            );
            let kept =
                |member: &&Replica| before.is_some_and(|before| before.in_sync.contains(member));
            let added = config.in_sync.iter().filter(|member| !kept(member));
            assert!(
                { added }.all(|member| !next.retired.contains(&member.store)),
                "a wiped disk counts as a copy"
            );
        }
        self.committed = Arc::new(next);
        if let Some(shard) = shard {
            self.controller
                .step(self.now_millis, Event::Answered(shard), &mut Vec::new());
        }
    }

    fn note(&mut self, change: &ShardChange) {
        let state = match change {
            ShardChange::Place { .. } => "placed",
            ShardChange::Promote { .. } => "promoted",
            ShardChange::Restart { .. } => "restarted",
            ShardChange::Renew { .. } => "renewed",
            ShardChange::Grow { joiner } if !self.committed.is_present(*joiner) => {
                "joiner wiped in flight"
            }
            ShardChange::Grow { .. } => "grown",
            ShardChange::Shrink { .. } => "shrunk",
            ShardChange::Leave { .. } => "several left at once",
            ShardChange::Invite { .. } => "invited",
            ShardChange::Dismiss { .. } => "dismissed",
            ShardChange::AcceptLoss { .. } => "loss accepted",
        };
        self.seen_states.insert(state);
    }

    pub(super) fn heal(&mut self) {
        for place in 0..self.nodes.len() {
            (self.nodes[place].cut_off, self.nodes[place].leaving) = (false, false);
            if !self.nodes[place].up {
                self.start(place);
            }
        }
    }

    pub(super) fn check_recovered(&self, before: &BTreeMap<ShardId, usize>) {
        for shard in (0..SHARDS).map(ShardId) {
            let config = &self.committed.shards[&shard];
            let copies = self.committed.policy.unwrap().copies;
            let present = config
                .in_sync
                .iter()
                .filter(|member| self.committed.is_present(**member))
                .count();
            // Orders get lost, so several nodes may be emptied at once: then there are too few others for all
            // copies, and what is on those that are emptied stays there.
            let members = self.committed.members.values();
            let staying = members.filter(|member| !member.draining).count();
            assert!(
                present >= usize::from(copies).min(staying),
                "{shard} has {present} copies: {config:?}"
            );
            let emptied = |member: &Replica| self.committed.members[&member.node].draining;
            assert!(
                staying < usize::from(copies) || !config.in_sync.iter().any(emptied),
                "{shard} is not off the node that was to be emptied: {config:?}"
            );
            let count = self.acknowledged.get(&shard).map_or(0, Vec::len);
            assert!(
                count > before.get(&shard).copied().unwrap_or(0),
                "{shard} takes no writes: {config:?}"
            );
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_everything_recovers() {
    let mut states = BTreeSet::new();
    for seed in 0..60 {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..500).for_each(|_| world.tick(true));
            world.heal();
            (0..300).for_each(|_| world.tick(false));
            let before = world
                .acknowledged
                .iter()
                .map(|(shard, writes)| (*shard, writes.len()))
                .collect();
            (0..10).for_each(|_| world.tick(false));
            world.check_recovered(&before);
            world.seen_states
        });
        states.extend(run.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    let rare = [
        "a disk was wiped",
        "a disk lost something",
        "a copy came to a disk that lost something",
        "promoted",
        "restarted",
        "grown",
        "joiner wiped in flight",
        "shrunk",
        "dismissed",
        "a node was to be emptied",
        "a node was leaving",
    ];
    for state in rare {
        assert!(
            states.contains(state),
            "{state:?} never happened: {states:?}"
        );
    }
}
