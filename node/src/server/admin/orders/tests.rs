//! Orders on small regions, in the words that an operator reads.

use super::*;
use crate::server::admin::examples::region as placement;
use proto::id::StoreId;
use std::sync::Arc;

fn plan(placement: &Placement, alive: &[u64], node: u64, order: Order) -> Result<Planned, Refusal> {
    let voters: BTreeSet<NodeId> = [1, 2, 3].map(NodeId).into();
    let region = Region {
        placement,
        voters: voters.clone(),
        global_voters: voters,
        alive: alive.iter().copied().map(NodeId).collect(),
    };
    region.plan(NodeId(node), order)
}

#[track_caller]
fn check_refused(planned: Result<Planned, Refusal>, words: &str) {
    let refusal = planned.expect_err("it cannot be carried out");
    assert_eq!(refusal.reason, Reason::StillNeeded);
    assert!(refusal.message.contains(words), "{}", refusal.message);
}

#[test]
fn a_drain_says_what_happens_to_every_shard_and_vote() {
    let region = placement(4, &[&[1, 2], &[3, 1], &[2, 3]]);
    let planned = plan(&region, &[1, 2, 3, 4], 1, Order::Drain).unwrap();
    assert_eq!(
        planned.steps,
        [
            "shard 0: eu-2 leads; a copy is made on eu-4; eu-4 is in sync; the copy on eu-1 goes",
            "shard 1: a copy is made on eu-4; eu-4 is in sync; the copy on eu-1 goes",
            "the region's voters are eu-2, eu-3, eu-4",
            "eu-1 is drained: its process may be stopped",
        ]
    );
    assert!(planned.notes.is_empty(), "{:?}", planned.notes);
}

#[test]
fn a_drain_without_room_is_refused_unless_fewer_copies_will_do() {
    let region = placement(2, &[&[1, 2], &[2, 1]]);
    let refused = plan(&region, &[1, 2], 1, Order::Drain);
    check_refused(
        refused,
        "shards 0, 1 would stay on it, since 2 copies are wanted and 1 other nodes",
    );
    let planned = plan(&region, &[1, 2], 1, Order::DrainToFewerCopies).unwrap();
    assert_eq!(planned.steps[1], "shard 1: the copy on eu-1 goes");
    assert!(
        planned.notes[1].contains("1 nodes are left"),
        "{:?}",
        planned.notes
    );
    let alone = placement(1, &[&[1]]);
    let refused = plan(&alone, &[1], 1, Order::DrainToFewerCopies);
    check_refused(refused, "0 other nodes can take copies");
    let away = plan(&region, &[2], 1, Order::Drain);
    check_refused(away, "not reachable");
}

#[test]
fn what_would_be_lost_with_a_node_is_named_and_keeps_it() {
    let region = placement(3, &[&[3], &[1, 2], &[3]]);
    check_refused(
        plan(&region, &[1, 2], 3, Order::Remove),
        "eu-3 holds the only copy of shards 0, 2: what was acknowledged there would be lost",
    );
    let counted = placement(3, &[&[1, 3], &[1, 2]]);
    check_refused(
        plan(&counted, &[1, 2], 3, Order::Remove),
        "eu-3 still counts as a copy of shard 0",
    );
    check_refused(
        plan(&counted, &[1, 2, 3], 3, Order::Remove),
        "eu-3 serves and holds 1 shards; empty it first",
    );
}

#[test]
fn a_lost_node_is_taken_out_with_its_vote_and_its_store() {
    let region = placement(3, &[&[1, 2], &[2, 1]]);
    let planned = plan(&region, &[1, 2], 3, Order::Remove).unwrap();
    assert_eq!(
        planned.command,
        PlacementCommand::Remove { node: NodeId(3) }
    );
    let store = StoreId(3);
    assert_eq!(
        planned.steps,
        [
            "the region's voters are eu-1, eu-2".to_owned(),
            "eu-3 votes no more in the global group".to_owned(),
            format!("store {store} is retired: what it holds never counts as a copy again"),
            "eu-3 is no member of the region any more".to_owned(),
        ]
    );
}

#[test]
fn a_node_is_found_by_id_or_by_a_name_of_its_own() {
    let mut placement = placement(3, &[&[1, 2]]);
    let mut twin = Member::clone(&placement.members[&NodeId(3)]);
    twin.name = "eu-2".into();
    placement.members.insert(NodeId(3), Arc::new(twin));
    let region = Region {
        placement: &placement,
        voters: BTreeSet::new(),
        global_voters: BTreeSet::new(),
        alive: BTreeSet::new(),
    };
    assert_eq!(region.find("eu-1"), Ok(NodeId(1)));
    assert_eq!(region.find(&NodeId(3).to_string()), Ok(NodeId(3)));
    let several = region.find("eu-2").unwrap_err();
    assert!(several.message.contains("several nodes"), "{several}");
    assert_eq!(region.find("us-1").unwrap_err().reason, Reason::UnknownNode);
}

#[test]
fn many_shards_are_counted() {
    let all: Vec<ShardId> = (0..20).map(ShardId).collect();
    assert_eq!(shards(&all[..1]), "shard 0");
    assert!(
        shards(&all).ends_with("10, 11 and 8 more"),
        "{}",
        shards(&all)
    );
}
