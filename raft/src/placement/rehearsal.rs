//! What an operator's command would lead to: the controller itself, run on a copy of the placement with
//! a clock of its own, until it has nothing more to do.
//!
//! Joiners are taken as in sync at once and every node that lives as well, so a rehearsal shows which
//! steps would be taken, not how long they need; and not what other faults would change in them.

use super::{
    command::{PlacementCommand, PlacementOutcome, PlacementRefusal, ShardChange},
    controller::{
        Controller, ControllerSettings, Effect, Event, Health, Leadership, LogEnd, Report,
    },
    state::Placement,
};
use proto::id::{Epoch, NodeId, Position, ShardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How often the rehearsed controller looks.
const TICK_MILLIS: u64 = 200;
/// Nothing for so long, and it has nothing more to do: longer than anything it waits for.
const IDLE_TICKS: u64 = 60;
/// Enough for every shard of a large cluster to be moved several times.
const MOST_TICKS: u64 = 20_000;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A shard changes.
    Shard(ShardId, ShardChange),
    /// The group's voters change to these.
    Voters(BTreeSet<NodeId>),
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The placement after them.
    pub end: Placement,
    /// The voters after them.
    pub voters: BTreeSet<NodeId>,
}

/// Rehearses `command` on `placement`, with the voters and the living nodes of now.
pub fn rehearse(
    placement: &Placement,
    voters: &BTreeSet<NodeId>,
    alive: &BTreeSet<NodeId>,
    command: PlacementCommand,
) -> Result<Rehearsal, PlacementRefusal> {
    let mut end = placement.clone();
    if let PlacementOutcome::Refused { refusal, .. } = end.apply(command) {
        return Err(refusal);
    }
    let settings = ControllerSettings {
        // What is evened out afterwards is no part of the command.
        balance_after_millis: u64::MAX,
        ..ControllerSettings::default()
    };
    let mut rehearsing = Rehearsing {
        controller: Controller::new(settings),
        alive,
        now_millis: 0,
        result: Rehearsal {
            steps: Vec::new(),
            end,
            voters: voters.clone(),
        },
    };
    rehearsing.run();
    Ok(rehearsing.result)
}

struct Rehearsing<'a> {
    controller: Controller,
    alive: &'a BTreeSet<NodeId>,
    now_millis: u64,
    result: Rehearsal,
}

impl Rehearsing<'_> {
    fn run(&mut self) {
        self.step(Event::Leading(Leadership::Leader));
        self.step(Event::Voters(self.result.voters.clone()));
        let (mut ticks, mut idle) = (0, 0);
        while idle < IDLE_TICKS && ticks < MOST_TICKS {
            ticks += 1;
            idle = if self.tick() { 0 } else { idle + 1 };
        }
    }

    /// Whether anything was done.
    fn tick(&mut self) -> bool {
        self.now_millis += TICK_MILLIS;
        for report in self.reports() {
            self.step(Event::Report(report));
        }
        self.step(Event::Committed(Arc::new(self.result.end.clone())));
        let effects = self.step(Event::Tick);
        let mut is_busy = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Propose(command) => self.carry_out(command),
                Effect::SetVoters(voters) => {
                    self.result.steps.push(Step::Voters(voters.clone()));
                    self.result.voters = voters.clone();
                    self.step(Event::Voters(voters));
                }
            }
        }
        is_busy |= self.take_joiners_in();
        is_busy
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.controller.step(self.now_millis, event, &mut effects);
        effects
    }

    /// What living nodes would say: each has what it is a member of.
    fn reports(&self) -> Vec<Report> {
        let end = &self.result.end;
        let living = end.members.values();
        let living = living.filter(|member| self.alive.contains(&member.node));
        let report = |node: NodeId| {
            let holds = |config: &&Arc<_>| is_member(config, node);
            let held = end.shards.iter().filter(|(_, config)| holds(config));
            held.map(|(shard, config)| {
                let log = LogEnd {
                    incarnation: config.incarnation,
                    epoch: Epoch(1),
                    position: Position(1),
                };
                (*shard, log)
            })
            .collect::<BTreeMap<ShardId, LogEnd>>()
        };
        living
            .map(|member| Report {
                node: member.node,
                boot: member.boot,
                health: Health::Writable,
                logs: report(member.node),
                damaged: BTreeSet::new(),
                is_nearly_full: false,
            })
            .collect()
    }

    fn carry_out(&mut self, command: PlacementCommand) {
        let PlacementCommand::Change { shard, change, .. } = command.clone() else {
            return;
        };
        if let PlacementOutcome::Done { .. } = self.result.end.apply(command) {
            self.result.steps.push(Step::Shard(shard, change));
        }
        self.step(Event::Answered(shard));
    }

    /// The part of the shards' primaries.
    fn take_joiners_in(&mut self) -> bool {
        let mut ready = Vec::new();
        for (shard, config) in &self.result.end.shards {
            let living = config.joining.iter();
            let mut living = living.filter(|joiner| self.alive.contains(&joiner.node));
            if let Some(joiner) = living.next() {
                let expect = Some((config.incarnation, config.epoch));
                ready.push((*shard, expect, *joiner));
            }
        }
        for (shard, expect, joiner) in &ready {
            let change = ShardChange::Grow { joiner: *joiner };
            self.carry_out(PlacementCommand::Change {
                shard: *shard,
                expect: *expect,
                change,
            });
        }
        !ready.is_empty()
    }
}

fn is_member(config: &super::ShardConfig, node: NodeId) -> bool {
    config.in_sync.iter().any(|member| member.node == node)
}
