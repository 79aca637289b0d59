//! A node is emptied, and at each step of it each party crashes: the node itself, the primary that takes
//! over, the joiner, the leader of the group. What stands in the group's log is enough to go on from.

use super::model::World;
use crate::placement::PlacementCommand;
use proto::id::{NodeId, ShardId};
use std::collections::BTreeSet;

/// Ticks until everything is placed, and until everything is over.
const ENOUGH_TICKS: usize = 600;
/// How long a crashed node is away: longer than a second, so that it is found to be silent.
const AWAY_TICKS: usize = 15;

/// Who crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Leader,
    Emptied,
    Primary,
    Joiner,
}

/// A world without faults in which every shard has its copies.
fn placed() -> World {
    let mut world = World::new(2);
    (0..ENOUGH_TICKS).for_each(|_| world.tick(false));
    world
}

fn place_of(world: &World, node: NodeId) -> usize {
    let mut nodes = world.nodes.iter();
    nodes.position(|other| other.id == node.0).unwrap()
}

/// The node that is to be emptied: one that leads.
fn emptied(world: &World) -> NodeId {
    world.committed.shards[&ShardId(0)].primary.node
}

fn drain(world: &mut World, node: NodeId) {
    world.carry_out(PlacementCommand::Drain {
        node,
        draining: true,
        fewer_copies: false,
    });
}

/// Which node a party is now, of the first shard; none where there is none.
fn node_of(world: &World, party: Party, emptied: NodeId) -> Option<NodeId> {
    let config = &world.committed.shards[&ShardId(0)];
    match party {
        Party::Leader => None,
        Party::Emptied => Some(emptied),
        Party::Primary => Some(config.primary.node),
        Party::Joiner => config.joining.first().map(|joiner| joiner.node),
    }
}

/// The revisions that emptying a node makes.
fn revisions_of_a_drain() -> u64 {
    let mut world = placed();
    let node = emptied(&world);
    drain(&mut world, node);
    let from = world.committed.revision;
    (0..ENOUGH_TICKS).for_each(|_| world.tick(false));
    assert!(world.committed.is_drained(node));
    world.committed.revision.0 - from.0
}

fn check(party: Party, after: u64) -> bool {
    let mut world = placed();
    let node = emptied(&world);
    drain(&mut world, node);
    let at = world.committed.revision.0 + after;
    while world.committed.revision.0 < at {
        world.tick(false);
    }
    let crashed = node_of(&world, party, node);
    match (party, crashed) {
        (Party::Leader, _) => world.change_leader(),
        (_, None) => return false,
        (_, Some(crashed)) => {
            let place = place_of(&world, crashed);
            world.nodes[place].up = false;
            (0..AWAY_TICKS).for_each(|_| world.tick(false));
            world.start(place);
        }
    }
    (0..ENOUGH_TICKS).for_each(|_| world.tick(false));
    let before = world.acknowledged.iter();
    let before = before.map(|(shard, writes)| (*shard, writes.len()));
    let before = before.collect();
    (0..10).for_each(|_| world.tick(false));
    world.check_recovered(&before);
    assert!(world.committed.is_drained(node), "{party:?} after {after}");
    let sizes = world.committed.shards.values();
    let sizes: BTreeSet<usize> = sizes.map(|config| config.in_sync.len()).collect();
    assert_eq!(sizes, BTreeSet::from([2]), "no copy too many is left");
    true
}

#[test]
fn a_crash_of_any_party_at_any_step_of_a_move_loses_nothing_and_the_move_goes_on() {
    let steps = revisions_of_a_drain();
    assert!(steps >= 4, "hand over, invite, grow, shrink: {steps}");
    for party in [Party::Leader, Party::Emptied, Party::Primary, Party::Joiner] {
        let tried = (0..=steps).filter(|after| check(party, *after)).count();
        assert!(tried > 0, "{party:?} never crashed");
    }
}

#[test]
fn a_drain_that_is_taken_back_leaves_the_node_in_use() {
    let mut world = placed();
    let node = emptied(&world);
    drain(&mut world, node);
    world.tick(false);
    world.carry_out(PlacementCommand::Drain {
        node,
        draining: false,
        fewer_copies: false,
    });
    (0..ENOUGH_TICKS).for_each(|_| world.tick(false));
    let held = world.committed.shards_of(node).count();
    assert!(held > 0);
    assert!(!world.committed.members[&node].draining);
}
