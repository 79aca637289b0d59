//! Clocks that are given back.

use super::harness::at;
use proto::{
    hlc::Hlc,
    id::{BootId, ClusterId, NodeId, PlacementId, RegionId, ShardId},
    link::Heartbeat,
};
use replication::{
    Micros,
    link::{Echoes, Said, passed_on},
};

fn node(region: u16, boot: u64) -> Echoes {
    let node = NodeId(u64::from(region));
    Echoes::new(ClusterId(7), RegionId(region), node, BootId(boot))
}

fn said(sent_at: Option<u64>) -> Said {
    Said {
        shard: ShardId(3),
        placement: PlacementId(1),
        reached: at(1, 4),
        hlc: Hlc(9),
        sent_at: sent_at.map(Micros),
    }
}

fn instants(echoes: &Echoes, heartbeat: &Heartbeat) -> Vec<Option<Micros>> {
    let closes = echoes.closes(heartbeat);
    closes.map(|(_, close)| close.instant).collect()
}

/// Node 1 beats at 1,000 s of its clock; node 2 hears it at 7 s of its own.
fn heard() -> (Echoes, Echoes) {
    let (mut one, mut two) = (node(1, 5), node(2, 6));
    let beat = one.beat(Micros(1_000_000_000), [], []);
    two.hear(&beat, Micros(7_000_000));
    (one, two)
}

#[test]
fn an_instant_is_the_own_clock_moved_on_by_less_than_it_was_held_and_back_to_the_round() {
    let (one, mut two) = heard();
    // Held for a second, less a thousandth; the round was sent 100 ms before that, and a thousandth.
    let answer = two.beat(Micros(8_000_000), [said(Some(7_900_000))], []);
    let expected = 1_000_000_000 + (1_000_000 - 1_001) - (100_000 + 101);
    assert_eq!(instants(&one, &answer), [Some(Micros(expected))]);
}

#[test]
fn a_round_of_before_the_clock_was_heard_counts_too() {
    let (one, mut two) = heard();
    let answer = two.beat(Micros(7_100_000), [said(Some(6_000_000))], []);
    let expected = 1_000_000_000 + (100_000 - 101) - (1_100_000 + 1_101);
    assert_eq!(instants(&one, &answer), [Some(Micros(expected))]);
}

#[test]
fn another_runs_clock_says_nothing() {
    let (_, mut two) = heard();
    let answer = two.beat(Micros(8_000_000), [said(Some(7_900_000))], []);
    assert_eq!(instants(&node(1, 99), &answer), [None]);
    assert_eq!(instants(&node(3, 5), &answer), [None]);
}

#[test]
fn an_instant_of_before_this_run_is_none() {
    let (mut one, mut two) = (node(1, 5), node(2, 6));
    two.hear(&one.beat(Micros(500), [], []), Micros(7_000_000));
    let answer = two.beat(Micros(7_000_001), [said(Some(1_000_000))], []);
    assert_eq!(instants(&one, &answer), [None]);
}

#[test]
fn what_is_no_close_gives_no_instant() {
    let (one, mut two) = heard();
    let answer = two.beat(Micros(8_000_000), [said(None)], []);
    assert_eq!(instants(&one, &answer), [None]);
}

#[test]
fn a_heartbeat_that_was_long_under_way_makes_no_echo_older() {
    let (mut one, mut two) = heard();
    let late = one.beat(Micros(999_000_000), [], []);
    two.hear(&late, Micros(7_500_000));
    let answer = two.beat(Micros(8_000_000), [said(Some(8_000_000))], []);
    assert_eq!(
        instants(&one, &answer),
        [Some(Micros(1_000_000_000 + 1_000_000 - 1_001 - 1))]
    );
}

#[test]
fn a_run_that_is_not_heard_any_more_is_forgotten() {
    let (_, mut two) = heard();
    assert_eq!(two.beat(Micros(36_000_000), [], []).echoes.len(), 1);
    assert_eq!(two.beat(Micros(37_000_000), [], []).echoes.len(), 0);
}

#[test]
fn ages_add_from_replica_to_replica() {
    // A backup was complete for its primary as of 9 s on its clock, and the primary 2 s old then.
    assert_eq!(
        passed_on(Micros(9_000_000), Micros(2_000_000)),
        Some(Micros(7_000_000))
    );
    assert_eq!(
        passed_on(Micros(1_000_000), Micros(2_000_000)),
        None,
        "before this run"
    );
}
