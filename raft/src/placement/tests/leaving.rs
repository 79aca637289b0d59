//! Nodes that go: emptied by an operator, about to stop, removed.

use super::{controller::Bench, done, policy, replica};
use crate::placement::{
    Effect, Event, PlacementCommand, PlacementOutcome, ShardChange,
    command::PlacementRefusal,
    rehearsal::{Rehearsal, Step, rehearse},
};
use proto::id::{BootId, NodeId, ShardId};
use std::{collections::BTreeSet, sync::Arc};

const PLACED_MILLIS: u64 = 2_300;

fn drain(node: u64, fewer_copies: bool) -> PlacementCommand {
    PlacementCommand::Drain {
        node: NodeId(node),
        draining: true,
        fewer_copies,
    }
}

fn grow_all(bench: &mut Bench) {
    for (shard, config) in bench.placement.shards.clone() {
        for joiner in &config.joining {
            let change = ShardChange::Grow { joiner: *joiner };
            let expect = Some((config.incarnation, config.epoch));
            done(
                &mut bench.placement,
                PlacementCommand::Change {
                    shard,
                    expect,
                    change,
                },
            );
        }
    }
}

fn joining(bench: &Bench) -> usize {
    let shards = bench.placement.shards.values();
    shards.map(|config| config.joining.len()).sum()
}

#[test]
fn a_node_is_emptied_a_few_copies_at_a_time_and_at_once() {
    let mut bench = Bench::new(3, policy(24, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    done(&mut bench.placement, drain(1, false));
    let first = bench.run(100, &[1, 2, 3]);
    let handed = first
        .iter()
        .filter(|change| matches!(change, ShardChange::Promote { .. }));
    assert_eq!(handed.count(), 4, "{first:?}");
    bench.run(2_000, &[1, 2, 3]);
    assert_eq!(joining(&bench), 4);
    for _ in 0..40 {
        grow_all(&mut bench);
        bench.run(100, &[1, 2, 3]);
        assert!(joining(&bench) <= 4);
    }
    assert!(bench.placement.is_drained(NodeId(1)));
    let sets = bench.placement.shards.values();
    assert!(
        sets.map(|config| config.in_sync.len())
            .all(|count| count == 2)
    );
}

#[test]
fn a_copy_leaves_a_node_without_another_place_only_when_a_person_said_so() {
    for (fewer_copies, left) in [(false, 2), (true, 1)] {
        let mut bench = Bench::new(2, policy(4, 2, 1));
        bench.run(PLACED_MILLIS, &[1, 2]);
        done(&mut bench.placement, drain(1, fewer_copies));
        bench.run(20_000, &[1, 2]);
        let sets = bench.placement.shards.values();
        assert!(
            sets.map(|config| config.in_sync.len())
                .all(|count| count == left)
        );
    }
}

#[test]
fn who_is_about_to_stop_hands_over_within_a_tick_and_leaves_the_sets_of_others() {
    let mut bench = Bench::new(2, policy(2, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.leave(1);
    let changes = bench.run(200, &[1, 2]);
    let led = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: [replica(1, 101)].into(),
    };
    let followed = ShardChange::Shrink {
        leaver: replica(1, 101),
    };
    assert_eq!(changes, [led, followed]);
    assert_eq!(bench.placement.to_hand_over(NodeId(1)).count(), 0);
    assert!(
        bench.run(1_000, &[1, 2]).is_empty(),
        "it is not asked back before it was away"
    );
}

#[test]
fn who_is_about_to_stop_stays_where_nobody_else_can_be_counted_on() {
    let mut bench = Bench::new(2, policy(2, 2, 1));
    bench.run(PLACED_MILLIS, &[1, 2]);
    bench.leave(1);
    bench.leave(2);
    assert!(bench.run(800, &[1, 2]).is_empty());
    assert_eq!(bench.placement.to_hand_over(NodeId(1)).count(), 2);
    let mut strict = Bench::new(2, policy(2, 2, 2));
    strict.run(PLACED_MILLIS, &[1, 2]);
    strict.leave(1);
    let changes = strict.run(800, &[1, 2]);
    let led = ShardChange::Promote {
        to: replica(2, 102),
        boot: BootId(202),
        drop: BTreeSet::new(),
    };
    assert_eq!(changes, [led], "the minimum keeps it in both sets");
    assert_eq!(strict.placement.to_hand_over(NodeId(1)).count(), 0);
}

#[test]
fn a_removed_voter_leaves_the_group_also_when_nobody_takes_its_place() {
    let mut bench = Bench::new(3, policy(1, 1, 1));
    bench.run(PLACED_MILLIS, &[1, 2, 3]);
    let all: BTreeSet<NodeId> = [1, 2, 3].map(NodeId).into();
    bench.step(Event::Voters(all.clone()));
    let gone = NodeId(3);
    done(
        &mut bench.placement,
        PlacementCommand::Remove { node: gone },
    );
    bench.step(Event::Committed(Arc::new(bench.placement.clone())));
    let effects = bench.step(Event::Tick);
    let left = [1, 2].map(NodeId).into();
    assert!(effects.contains(&Effect::SetVoters(left)), "{effects:?}");
}

fn rehearsed(nodes: u64, command: PlacementCommand) -> Result<Rehearsal, PlacementRefusal> {
    let mut bench = Bench::new(nodes, policy(2, 2, 1));
    let all: Vec<u64> = (1..=nodes).collect();
    bench.run(PLACED_MILLIS, &all);
    let alive = all.iter().copied().map(NodeId).collect();
    let voters = [1, 2, 3].map(NodeId).into();
    rehearse(&bench.placement, &voters, &alive, command)
}

#[test]
fn a_rehearsal_says_every_step_of_a_drain() {
    let rehearsal = rehearsed(4, drain(1, false)).unwrap();
    assert!(rehearsal.end.is_drained(NodeId(1)));
    assert_eq!(rehearsal.voters, [2, 3, 4].map(NodeId).into());
    let voters = Step::Voters([2, 3, 4].map(NodeId).into());
    assert!(rehearsal.steps.contains(&voters), "{:?}", rehearsal.steps);
    let of_first: Vec<&ShardChange> = rehearsal
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Shard(ShardId(0), change) => Some(change),
            Step::Shard(..) | Step::Voters(_) => None,
        })
        .collect();
    let is_whole = matches!(
        of_first.as_slice(),
        [
            ShardChange::Promote { .. },
            ShardChange::Invite { .. },
            ShardChange::Grow { .. },
            ShardChange::Shrink { .. }
        ]
    );
    assert!(is_whole, "{of_first:?}");
}

#[test]
fn a_rehearsal_shows_what_would_stay() {
    let kept = rehearsed(2, drain(1, false)).unwrap();
    assert_eq!(kept.end.shards_of(NodeId(1)).count(), 2);
    let let_go = rehearsed(2, drain(1, true)).unwrap();
    assert_eq!(let_go.end.shards_of(NodeId(1)).count(), 0);
    let refused = rehearsed(2, PlacementCommand::Remove { node: NodeId(1) });
    assert!(matches!(refused, Err(PlacementRefusal::StillNeeded { .. })));
}

#[test]
fn a_node_that_registers_again_is_still_to_be_emptied() {
    let mut bench = Bench::new(2, policy(1, 1, 1));
    done(&mut bench.placement, drain(1, true));
    let again = super::member(1, 101, 999, "z1");
    let outcome = bench.placement.apply(PlacementCommand::Register(again));
    assert!(matches!(outcome, PlacementOutcome::Done { .. }));
    let member = &bench.placement.members[&NodeId(1)];
    assert!(member.draining && member.fewer_copies);
}
