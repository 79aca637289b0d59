//! What the controller chooses.

use super::{done, policy, region, replica};
use crate::placement::{
    Controller, Effect, Event, Placement, PlacementCommand, ShardChange,
    controller::{ControllerSettings, Health, Leadership, LogEnd, Report},
    state::Policy,
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, Position, ShardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The first placement waits so long for all nodes to appear, and is made then.
const PLACED_MILLIS: u64 = 2_300;

/// A region under a controller, with a clock and reports by hand.
pub(super) struct Bench {
    pub(super) placement: Placement,
    pub(super) controller: Controller,
    now_millis: u64,
    without_logs: Vec<u64>,
    leaving: BTreeSet<u64>,
    /// Nodes whose disks have lost something of the first shard.
    damaged: BTreeSet<u64>,
    /// Nodes whose disks have little room.
    pub(super) nearly_full: BTreeSet<u64>,
}

impl Bench {
    pub(super) fn new(nodes: u64, policy: Policy) -> Self {
        let placement = region(nodes, policy);
        let mut bench = Self {
            placement,
            controller: Controller::new(ControllerSettings::default()),
            now_millis: 50_000,
            without_logs: Vec::new(),
            leaving: BTreeSet::new(),
            damaged: BTreeSet::new(),
            nearly_full: BTreeSet::new(),
        };
        bench.step(Event::Leading(Leadership::Leader));
        bench
    }

    pub(super) fn forget_logs_of(&mut self, nodes: &[u64]) {
        self.without_logs = nodes.to_vec();
    }

    pub(super) fn leave(&mut self, node: u64) {
        self.leaving.insert(node);
    }

    pub(super) fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.controller.step(self.now_millis, event, &mut effects);
        effects
    }

    fn report(&mut self, node: u64, boot: u64, health: Health, position: u64) {
        let end = LogEnd {
            incarnation: Incarnation(1),
            epoch: Epoch(1),
            position: Position(position),
        };
        let logs = if self.without_logs.contains(&node) {
            BTreeMap::new()
        } else {
            [(ShardId(0), end)].into()
        };
        let is_damaged = self.damaged.contains(&node);
        self.step(Event::Report(Report {
            node: NodeId(node),
            boot: BootId(boot),
            health,
            logs,
            damaged: is_damaged.then_some(ShardId(0)).into_iter().collect(),
            is_nearly_full: self.nearly_full.contains(&node),
        }));
    }

    /// Lets time pass in ticks while `nodes` report; carries out what is proposed.
    pub(super) fn run(&mut self, millis: u64, nodes: &[u64]) -> Vec<ShardChange> {
        let mut changes = Vec::new();
        for _ in 0..millis / 100 {
            self.now_millis += 100;
            for node in nodes {
                let health = match self.leaving.contains(node) {
                    true => Health::Leaving,
                    false => Health::Writable,
                };
                self.report(*node, 200 + node, health, *node);
            }
            self.step(Event::Committed(Arc::new(self.placement.clone())));
            for effect in self.step(Event::Tick) {
                let Effect::Propose(command) = effect else {
                    continue;
                };
                let PlacementCommand::Change { shard, change, .. } = &command else {
                    panic!("{command:?}")
                };
                changes.push(change.clone());
                let shard = *shard;
                done(&mut self.placement, command);
                self.step(Event::Answered(shard));
            }
        }
        changes
    }
}

#[test]
fn shards_are_placed_evenly_over_zones() {
    let mut bench = Bench::new(3, policy(12, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let count = |primary_only: bool| {
        [1, 2, 3].map(|node| {
            let of_node = bench.placement.shards.values().filter(|config| {
                config.primary.node == NodeId(node)
                    || !primary_only
                        && config
                            .in_sync
                            .iter()
                            .any(|member| member.node == NodeId(node))
            });
            of_node.count()
        })
    };
    assert_eq!(count(true), [4, 4, 4]);
    assert_eq!(count(false), [8, 8, 8]);
}

#[test]
fn a_first_placement_waits_for_copies_and_then_takes_what_there_is() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    assert!(bench.run(1_900, &[1]).is_empty());
    assert_eq!(bench.run(200, &[1]).len(), 1);
    let mut single = Bench::new(1, policy(1, 1, 1));
    assert_eq!(
        single.run(100, &[1]).len(),
        1,
        "one copy needs no second node"
    );
}

#[test]
fn a_first_placement_waits_for_nodes_beyond_the_copies_and_is_spread_over_them() {
    let mut bench = Bench::new(3, policy(12, 2, 1));
    assert!(bench.run(1_000, &[1, 2]).is_empty());
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let on_three = |config: &Arc<crate::placement::ShardConfig>| {
        config.in_sync.iter().any(|member| member.node == NodeId(3))
    };
    let shards = bench.placement.shards.values();
    assert_eq!(shards.filter(|config| on_three(config)).count(), 8);
}

#[test]
fn a_leader_that_stood_still_does_not_take_its_own_pause_for_silence() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.now_millis += 5_000;
    assert!(bench.run(900, &[]).is_empty());
    assert_eq!(bench.run(300, &[2]).len(), 1);
}

#[test]
fn the_longest_reachable_member_leads_a_second_after_the_primary_fell_silent() {
    let mut bench = Bench::new(3, policy(1, 3, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let leader = bench.placement.shards[&ShardId(0)].primary.node;
    assert_eq!(leader, NodeId(1));
    assert!(bench.run(900, &[2, 3]).is_empty());
    let expected = ShardChange::Promote {
        to: replica(3, 103),
        boot: BootId(203),
        drop: [replica(1, 101)].into(),
    };
    assert_eq!(bench.run(200, &[2, 3]), [expected]);
}

#[test]
fn a_primary_that_cannot_write_for_a_second_is_replaced() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    let mut changes = Vec::new();
    for _ in 0..12 {
        bench.report(1, 201, Health::Stuck, 9);
        changes.extend(bench.run(100, &[2]));
    }
    assert_eq!(
        changes,
        [ShardChange::Promote {
            to: replica(2, 102),
            boot: BootId(202),
            drop: [replica(1, 101)].into()
        }]
    );
}

#[test]
fn a_primary_whose_disk_lost_something_is_replaced_at_once_and_asked_to_join() {
    let mut bench = Bench::new(3, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.damaged.insert(1);
    let promoted = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: [replica(1, 101)].into(),
    };
    let invited = ShardChange::Invite {
        joiner: replica(1, 101),
    };
    assert_eq!(bench.run(300, &[1, 2]), [promoted, invited]);
    assert!(
        bench.run(1_000, &[1, 2]).is_empty(),
        "it joins, damaged as it is"
    );
}

#[test]
fn a_member_whose_disk_lost_something_never_leads_and_does_not_count_as_a_copy() {
    let mut bench = Bench::new(3, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.damaged.insert(2);
    let invited = ShardChange::Invite {
        joiner: replica(3, 103),
    };
    assert_eq!(bench.run(300, &[1, 2, 3]), [invited]);
    assert!(
        bench.run(3_000, &[2, 3]).is_empty(),
        "nobody else has all that was acknowledged"
    );
}

#[test]
fn with_a_minimum_the_member_whose_disk_lost_something_goes_before_a_silent_one() {
    let mut bench = Bench::new(3, policy(1, 3, 2));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    bench.run(900, &[2, 3]);
    bench.damaged.insert(3);
    let promoted = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: [replica(3, 103)].into(),
    };
    assert_eq!(bench.run(200, &[2, 3])[0], promoted);
}

#[test]
fn a_new_leader_listens_before_it_judges() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.controller = Controller::new(ControllerSettings::default());
    bench.now_millis += 60_000;
    bench.step(Event::Leading(Leadership::Leader));
    assert!(bench.run(900, &[2]).is_empty());
    assert_eq!(bench.run(200, &[2]).len(), 1);
}

#[test]
fn a_new_leader_that_listened_before_gives_each_node_time_for_a_word_more() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.step(Event::Leading(Leadership::Follower));
    assert!(bench.run(1_200, &[2]).is_empty(), "it does not lead");
    bench.step(Event::Leading(Leadership::Leader));
    assert!(bench.run(300, &[2]).is_empty());
    assert_eq!(bench.run(200, &[2]).len(), 1);
}

#[test]
fn a_node_that_a_new_leader_hears_at_once_is_not_lost() {
    let mut bench = Bench::new(2, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.step(Event::Leading(Leadership::Follower));
    // Its way to this voter alone was broken.
    bench.run(5_000, &[2]);
    bench.step(Event::Leading(Leadership::Leader));
    bench.run(300, &[2]);
    assert!(bench.run(1_500, &[1, 2]).is_empty());
}

#[test]
fn a_lost_copy_is_replaced_in_a_free_zone_after_a_while() {
    let mut bench = Bench::new(3, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    assert_eq!(bench.placement.shards[&ShardId(0)].in_sync.len(), 2);
    assert!(bench.run(4_900, &[1, 3]).is_empty());
    assert_eq!(
        bench.run(200, &[1, 3]),
        [ShardChange::Invite {
            joiner: replica(3, 103)
        }]
    );
    assert!(bench.run(1_000, &[1, 3]).is_empty(), "one joiner is enough");
}

#[test]
fn a_member_that_was_let_go_keeps_its_place_for_a_while_and_is_taken_back_at_once() {
    let mut bench = Bench::new(3, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let config = bench.placement.shards[&ShardId(0)].clone();
    let expect = Some((config.incarnation, config.epoch));
    let gone = config
        .in_sync
        .iter()
        .find(|member| **member != config.primary);
    let leaver = *gone.unwrap();
    let others: Vec<u64> = (1..=3)
        .filter(|node| NodeId(*node) != leaver.node)
        .collect();
    // Who else is there has nothing of the shard.
    bench.forget_logs_of(&others);
    assert!(bench.run(1_200, &others).is_empty());
    let change = ShardChange::Shrink { leaver };
    done(
        &mut bench.placement,
        PlacementCommand::Change {
            shard: ShardId(0),
            expect,
            change,
        },
    );
    assert!(bench.run(4_000, &others).is_empty());
    let back = bench.run(200, &[1, 2, 3]);
    assert_eq!(back, [ShardChange::Invite { joiner: leaver }]);
}

#[test]
fn with_a_minimum_of_two_a_lost_primary_stays_a_member() {
    let mut bench = Bench::new(2, policy(1, 2, 2));
    bench.run(PLACED_MILLIS, &[1, 2]);
    let expected = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: BTreeSet::new(),
    };
    assert_eq!(bench.run(1_200, &[2]), [expected]);
}

#[test]
fn a_draining_node_hands_over_and_leaves_once_others_are_in_sync() {
    let mut bench = Bench::new(3, policy(1, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    done(
        &mut bench.placement,
        PlacementCommand::Drain {
            node: NodeId(1),
            draining: true,
            fewer_copies: false,
        },
    );
    let changes = bench.run(500, &[1, 2, 3]);
    let hand_over = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: BTreeSet::new(),
    };
    assert_eq!(
        changes,
        [
            hand_over,
            ShardChange::Invite {
                joiner: replica(3, 103)
            }
        ]
    );
    let config = &bench.placement.shards[&ShardId(0)];
    let grow = ShardChange::Grow {
        joiner: replica(3, 103),
    };
    let expect = Some((config.incarnation, config.epoch));
    done(
        &mut bench.placement,
        PlacementCommand::Change {
            shard: ShardId(0),
            expect,
            change: grow,
        },
    );
    assert_eq!(
        bench.run(300, &[1, 2, 3]),
        [ShardChange::Shrink {
            leaver: replica(1, 101)
        }]
    );
}

#[test]
fn voters_grow_to_three_when_three_can_vote() {
    let mut bench = Bench::new(3, policy(1, 1, 1));
    bench.step(Event::Voters([NodeId(1)].into()));
    bench.step(Event::Committed(Arc::new(bench.placement.clone())));
    for node in 1..=3 {
        bench.report(node, 200 + node, Health::Writable, 0);
    }
    let effects = bench.step(Event::Tick);
    assert!(
        effects.contains(&Effect::SetVoters([1, 2, 3].map(NodeId).into())),
        "{effects:?}"
    );
    assert!(
        !bench
            .step(Event::Tick)
            .iter()
            .any(|effect| matches!(effect, Effect::SetVoters(_))),
        "once at a time"
    );
}

#[test]
fn a_silent_voter_is_replaced_at_once_by_whoever_came_back_under_its_name() {
    let mut bench = Bench::new(3, policy(1, 1, 1));
    bench.step(Event::Voters([1, 2, 3].map(NodeId).into()));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let set_voters = |bench: &mut Bench, nodes: &[u64]| {
        let mut wanted = None;
        for _ in 0..15 {
            bench.now_millis += 100;
            for node in nodes {
                bench.report(*node, 200 + node, Health::Writable, *node);
            }
            bench.step(Event::Committed(Arc::new(bench.placement.clone())));
            let effects = bench.step(Event::Tick);
            wanted = wanted.or(effects.into_iter().find_map(|effect| match effect {
                Effect::SetVoters(voters) => Some(voters),
                Effect::Propose(_) => None,
            }));
        }
        wanted
    };
    let mut other = super::member(4, 104, 204, "z4");
    done(
        &mut bench.placement,
        PlacementCommand::Register(other.clone()),
    );
    assert_eq!(
        set_voters(&mut bench, &[1, 2, 4]),
        None,
        "node 3 may come back"
    );
    other.name = "n3".into();
    done(&mut bench.placement, PlacementCommand::Register(other));
    assert_eq!(
        set_voters(&mut bench, &[1, 2, 3, 4]),
        None,
        "node 3 answers"
    );
    let replaced = Some([1, 2, 4].map(NodeId).into());
    assert_eq!(set_voters(&mut bench, &[1, 2, 4]), replaced);
}
