//! The controller on the regional group's leader: from reports and the clock to proposals.
//!
//! It proposes, the state machine judges: a wrong or late proposal changes nothing, because every
//! change names the configuration it was made for. So no decision here is one of safety; what is
//! decided is who leads and who should join, and when.

mod balance;
mod choose;
mod decide;
mod leave;
mod vote;

use super::{
    command::PlacementCommand,
    state::{Placement, Replica},
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, Position, ShardId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Numbers of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControllerSettings {
    /// A node is lost when it was silent, or could not write, for this long.
    pub lost_after_millis: u64,
    /// A new leader gives each node at least this long to be heard: nodes report to all voters, so it
    /// knows who was silent before it led, and those that were cut off from it alone say so by then.
    pub first_word_millis: u64,
    /// A lost copy is replaced after this long: most nodes come back from a restart before.
    pub refill_after_millis: u64,
    /// Copies and primaries are evened out once every shard was whole for this long.
    pub balance_after_millis: u64,
    /// Copies that are moved to even them out at once, and off each node that is emptied.
    pub moves: usize,
    /// Primaries that nodes which are emptied hand over in one round.
    pub hand_overs: usize,
    /// A joiner that is silent for this long is given up.
    pub dismiss_after_millis: u64,
    /// How long a first placement waits for more nodes than the minimum.
    pub settle_millis: u64,
    /// A proposal without an answer may be made again after this long.
    pub answer_within_millis: u64,
    /// A voter that is silent for this long may be replaced.
    pub voter_lost_after_millis: u64,
    /// Ticks further apart mean that this node itself stood still: nobody else was silent then.
    pub own_pause_millis: u64,
    /// Proposals under way at once.
    pub proposals: usize,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self {
            lost_after_millis: 1_000,
            first_word_millis: 400,
            refill_after_millis: 5_000,
            balance_after_millis: 5_000,
            moves: 4,
            hand_overs: 4,
            dismiss_after_millis: 10_000,
            settle_millis: 2_000,
            answer_within_millis: 2_000,
            voter_lost_after_millis: 60_000,
            own_pause_millis: 600,
            proposals: 64,
        }
    }
}

/// What the controller learns.
#[derive(Debug, Clone)]
pub enum Event {
    /// This node began or ceased to lead the group.
    Leading(Leadership),
    /// A newer state is committed.
    Committed(Arc<Placement>),
    /// A node told how it is; several times a second.
    Report(Report),
    /// A proposal about a shard was answered, or failed.
    Answered(ShardId),
    /// The group's voters are these; also when a change of them failed.
    Voters(BTreeSet<NodeId>),
    /// Time passed; several times a second.
    Tick,
}

/// Whether this node leads the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// It does.
    Leader,
    /// It does not.
    Follower,
}

/// How a node is. Sent between nodes of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub node: NodeId,
    /// The run of its process.
    pub boot: BootId,
    /// Whether its store takes writes.
    pub health: Health,
    /// How far its logs reach, for the shards it has anything of.
    pub logs: BTreeMap<ShardId, LogEnd>,
    /// The shards of which its disk has lost what was durable.
    #[serde(default)]
    pub damaged: BTreeSet<ShardId>,
    /// Whether its disk has so little room that it takes no writes for now.
    #[serde(default)]
    pub is_nearly_full: bool,
}

/// Whether a node's store takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It does.
    Writable,
    /// It does not: a full, slow or failed disk.
    Stuck,
    /// It does, but its process is about to stop: others should lead, and nobody wait for it.
    Leaving,
}

/// The end of one shard's log on one node. The order is the one "longest" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct LogEnd {
    /// The life of the shard it belongs to.
    pub incarnation: Incarnation,
    /// The epoch of the last entry.
    pub epoch: Epoch,
    /// Its position.
    pub position: Position,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Propose this; report [`Event::Answered`] whatever comes of it.
    Propose(PlacementCommand),
    /// Change the group's voters to these; report [`Event::Voters`] whatever comes of it.
    SetVoters(BTreeSet<NodeId>),
}

/// What is known of a node by its reports.
#[derive(Debug, Clone)]
struct Heard {
    report: Report,
    /// When it reported last.
    at_millis: u64,
    /// When it first reported under this boot.
    booted_at_millis: u64,
    /// When it last reported that it can write; before that, when it first reported.
    writable_at_millis: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Controller {
    settings: ControllerSettings,
    placement: Arc<Placement>,
    leading_since_millis: Option<u64>,
    /// Since when it has listened without a pause of its own.
    listening_since_millis: Option<u64>,
    last_tick_millis: u64,
    heard: BTreeMap<NodeId, Heard>,
    /// Shards with a proposal under way, and since when.
    proposed: BTreeMap<ShardId, u64>,
    /// Shards that name fewer replicas than there should be, and since when.
    short_since_millis: BTreeMap<ShardId, u64>,
    /// Since when every shard is whole.
    whole_since_millis: Option<u64>,
    voters: BTreeSet<NodeId>,
    voters_proposed_millis: Option<u64>,
}

impl Controller {
    /// A controller that follows.
    #[must_use]
    pub fn new(settings: ControllerSettings) -> Self {
        Self {
            settings,
            placement: Arc::default(),
            leading_since_millis: None,
            listening_since_millis: None,
            last_tick_millis: 0,
            heard: BTreeMap::new(),
            proposed: BTreeMap::new(),
            short_since_millis: BTreeMap::new(),
            whole_since_millis: None,
            voters: BTreeSet::new(),
            voters_proposed_millis: None,
        }
    }

    /// Takes in an event at a time of this node's monotonic clock.
    pub fn step(&mut self, now_millis: u64, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Leading(Leadership::Leader) => {
                self.leading_since_millis.get_or_insert(now_millis);
            }
            Event::Leading(Leadership::Follower) => {
                // What others were told to do is not ours to wait for any more.
                self.leading_since_millis = None;
                self.proposed.clear();
                self.short_since_millis.clear();
                self.whole_since_millis = None;
                self.voters_proposed_millis = None;
            }
            Event::Committed(placement) => {
                if placement.revision >= self.placement.revision {
                    self.placement = placement;
                }
            }
            Event::Report(report) => self.hear(now_millis, report),
            Event::Answered(shard) => {
                self.proposed.remove(&shard);
            }
            Event::Voters(voters) => {
                self.voters = voters;
                self.voters_proposed_millis = None;
            }
            Event::Tick => {
                let stood_still = now_millis.saturating_sub(self.last_tick_millis)
                    >= self.settings.own_pause_millis;
                self.last_tick_millis = now_millis;
                if stood_still {
                    self.listening_since_millis = Some(now_millis);
                    let leading = self.leading_since_millis.as_mut();
                    leading.into_iter().for_each(|since| *since = now_millis);
                }
                if let Some(since) = self.leading_since_millis {
                    self.decide(now_millis, since, effects);
                }
            }
        }
    }

    fn hear(&mut self, now_millis: u64, report: Report) {
        let before = self
            .heard
            .get(&report.node)
            .filter(|heard| heard.report.boot == report.boot);
        let writable_at_millis = match (report.health, before) {
            (Health::Writable | Health::Leaving, _) | (Health::Stuck, None) => now_millis,
            (Health::Stuck, Some(heard)) => heard.writable_at_millis,
        };
        let booted_at_millis = before.map_or(now_millis, |heard| heard.booted_at_millis);
        let heard = Heard {
            at_millis: now_millis,
            booted_at_millis,
            writable_at_millis,
            report,
        };
        self.heard.insert(heard.report.node, heard);
    }

    /// Before this nobody's silence counts: a leader that is new, or stood still, has to listen first.
    fn silence_counts_from(&self, since_millis: u64) -> u64 {
        let settings = &self.settings;
        let heard_before = settings
            .lost_after_millis
            .saturating_sub(settings.first_word_millis);
        let listening = self.listening_since_millis.unwrap_or(since_millis);
        since_millis.saturating_sub(heard_before).max(listening)
    }

    /// How long a node was silent, or unable to write, under one boot; not from before `since_millis`.
    fn silent_millis(&self, now_millis: u64, since_millis: u64, node: NodeId, boot: BootId) -> u64 {
        let last = match self.heard.get(&node) {
            Some(heard) if heard.report.boot == boot => heard.writable_at_millis,
            // Another run reports: this one had ended by then.
            Some(heard) => heard.booted_at_millis,
            None => 0,
        };
        now_millis.saturating_sub(last.max(since_millis))
    }

    /// Whether a node can take part now: heard of lately, able to write, registered as it runs.
    fn is_fit(&self, now_millis: u64, node: NodeId) -> bool {
        let Some(heard) = self.heard.get(&node) else {
            return false;
        };
        let registered = self
            .placement
            .members
            .get(&node)
            .is_some_and(|member| member.boot == heard.report.boot);
        registered
            && heard.report.health == Health::Writable
            && now_millis.saturating_sub(heard.at_millis) < self.settings.lost_after_millis
    }

    /// Whether a node said, under this boot, that its process is about to stop.
    fn is_leaving(&self, node: NodeId, boot: BootId) -> bool {
        let heard = self.heard.get(&node);
        heard.is_some_and(|heard| {
            heard.report.boot == boot && heard.report.health == Health::Leaving
        })
    }

    /// Whether a node's disk can take a shard that it has nothing of.
    fn has_room(&self, node: NodeId) -> bool {
        let heard = self.heard.get(&node);
        heard.is_none_or(|heard| !heard.report.is_nearly_full)
    }

    /// Whether what a replica has of a shard is not to be built on.
    fn is_damaged(&self, replica: Replica, shard: ShardId) -> bool {
        let heard = self.heard.get(&replica.node);
        heard.is_some_and(|heard| heard.report.damaged.contains(&shard))
    }

    fn log_end(&self, replica: Replica, shard: ShardId) -> LogEnd {
        let heard = self.heard.get(&replica.node);
        heard
            .and_then(|heard| heard.report.logs.get(&shard))
            .copied()
            .unwrap_or_default()
    }
}
