//! Evening out: it comes to an end, from wherever it begins, and does nothing while something is
//! wrong.

use super::{controller::Bench, done, policy, replica};
use crate::placement::{PlacementCommand, ShardChange};
use proptest::prelude::*;
use proto::id::{BootId, NodeId, ShardId};
use std::collections::BTreeSet;

const SHARDS: u16 = 12;
/// Ticks that any placement of these tests needs at most.
const ENOUGH_SECONDS: u64 = 60;

/// Places every shard on two of the nodes.
fn place(bench: &mut Bench, members: &[(u64, u64)]) {
    for (shard, (primary, backup)) in (0..SHARDS).map(ShardId).zip(members) {
        let of = |node: u64| replica(node, 100 + node);
        let change = ShardChange::Place {
            primary: of(*primary),
            boot: BootId(200 + primary),
            members: BTreeSet::from([of(*primary), of(*backup)]),
        };
        done(
            &mut bench.placement,
            PlacementCommand::Change {
                shard,
                expect: None,
                change,
            },
        );
    }
}

/// Lets joiners get in sync, as their primaries propose it.
fn grow(bench: &mut Bench) {
    let joining: Vec<_> = bench
        .placement
        .shards
        .iter()
        .filter_map(|(shard, config)| {
            let joiner = *config.joining.first()?;
            Some((*shard, (config.incarnation, config.epoch), joiner))
        })
        .collect();
    for (shard, expect, joiner) in joining {
        let change = ShardChange::Grow { joiner };
        done(
            &mut bench.placement,
            PlacementCommand::Change {
                shard,
                expect: Some(expect),
                change,
            },
        );
    }
}

/// What was proposed in the last ten seconds of a long time.
fn settle(bench: &mut Bench, nodes: &[u64]) -> Vec<ShardChange> {
    let mut last = Vec::new();
    for tick in 0..ENOUGH_SECONDS * 10 {
        let changes = bench.run(100, nodes);
        grow(bench);
        if tick >= (ENOUGH_SECONDS - 10) * 10 {
            last.extend(changes);
        }
    }
    last
}

/// How many copies and primaries each node has.
fn carried(bench: &Bench, nodes: &[u64]) -> (Vec<usize>, Vec<usize>) {
    let shards = || bench.placement.shards.values();
    let copies = |node: &u64| {
        let holds = |member: &crate::placement::Replica| member.node == NodeId(*node);
        shards()
            .filter(|config| config.in_sync.iter().any(holds))
            .count()
    };
    let primaries = |node: &u64| {
        shards()
            .filter(|config| config.primary.node == NodeId(*node))
            .count()
    };
    (
        nodes.iter().map(copies).collect(),
        nodes.iter().map(primaries).collect(),
    )
}

#[test]
fn a_node_that_joins_gets_its_share_of_copies_and_primaries() {
    let mut bench = Bench::new(3, policy(SHARDS, 2, 1));
    place(&mut bench, &[(1, 2); SHARDS as usize]);
    assert!(
        settle(&mut bench, &[1, 2, 3]).is_empty(),
        "it comes to an end"
    );
    assert_eq!(carried(&bench, &[1, 2, 3]), (vec![8, 8, 8], vec![4, 4, 4]));
    let sets = bench.placement.shards.values();
    assert!(
        sets.map(|config| config.in_sync.len())
            .all(|members| members == 2)
    );
}

#[test]
fn a_node_whose_disk_is_nearly_full_gets_nothing_new_until_there_is_room() {
    let mut bench = Bench::new(3, policy(SHARDS, 2, 1));
    bench.forget_logs_of(&[3]);
    bench.nearly_full.insert(3);
    place(&mut bench, &[(1, 2); SHARDS as usize]);
    assert_eq!(settle(&mut bench, &[1, 2, 3]), [], "nothing is evened out");
    let invited = |change: &ShardChange| matches!(change, ShardChange::Invite { .. });
    let changes = bench.run(20_000, &[1, 3]);
    assert!(!changes.iter().any(invited), "node 2 is gone: {changes:?}");

    bench.nearly_full.clear();
    assert!(bench.run(20_000, &[1, 3]).iter().any(invited));
}

#[test]
fn first_copies_go_where_there_is_room() {
    let mut bench = Bench::new(3, policy(SHARDS, 2, 1));
    bench.nearly_full.insert(1);
    bench.run(2_300, &[1, 2, 3]);
    assert_eq!(carried(&bench, &[1, 2, 3]).0, [0, 12, 12]);
}

#[test]
fn nothing_moves_while_a_member_is_silent() {
    let mut bench = Bench::new(3, policy(SHARDS, 2, 2));
    let mut members = [(1, 2); SHARDS as usize];
    members[0] = (1, 3);
    place(&mut bench, &members);
    let moved = |change: &ShardChange| !matches!(change, ShardChange::Invite { .. });
    let changes = bench.run(20_000, &[1, 2]);
    assert!(!changes.iter().any(moved), "{changes:?}");
    assert!(
        changes.len() <= 1,
        "only the silent copy is replaced: {changes:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn from_any_placement_it_settles_evenly(
        places in prop::collection::vec((1_u64..5, 1_u64..4), usize::from(SHARDS)),
    ) {
        let nodes = [1, 2, 3, 4];
        let mut bench = Bench::new(4, policy(SHARDS, 2, 1));
        // The second one is another node than the first.
        let members: Vec<_> = places
            .into_iter()
            .map(|(primary, step)| (primary, (primary - 1 + step) % 4 + 1))
            .collect();
        place(&mut bench, &members);
        prop_assert!(settle(&mut bench, &nodes).is_empty());
        let (copies, primaries) = carried(&bench, &nodes);
        let spread = |counts: &[usize]| counts.iter().max().unwrap() - counts.iter().min().unwrap();
        prop_assert!(spread(&copies) < 2, "copies {copies:?}");
        prop_assert!(spread(&primaries) <= 2, "primaries {primaries:?}");
    }
}
