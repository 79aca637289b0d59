//! Replicas that only a snapshot brings up, with either side dying at each step of it.

use super::{
    node::{Node, SHARD},
    world::World,
};
use replication::RoleName;
use std::{sync::Arc, time::Duration};
use store::{Condition, LogRead, RowState, disk::Fault};
use tokio::time::sleep;

const CUSTOMERS: i64 = 1_500;

/// A world whose second node must be brought up by snapshot, which has just been invited.
async fn invited() -> World {
    let mut world = World::new(1).await;
    world.forget_log(CUSTOMERS).await;
    let members: Vec<_> = world.nodes[..2].iter().map(Node::member).collect();
    world.region.place(&members).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_joiner_beyond_the_log_is_brought_up_by_snapshot_under_writes() {
    let mut world = invited().await;
    for first in (0..CUSTOMERS).step_by(10) {
        let batch = world.batch(first..first + 10);
        world.send(&batch).await;
        sleep(Duration::from_millis(3)).await;
    }
    world.settle().await;
    assert_eq!(world.role(1), Some(RoleName::Backup));
    assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize);
    let files = world.nodes[1].disk.files();
    assert!(files.iter().any(|(name, _)| name.ends_with(".carried")));
}

#[tokio::test(start_paused = true)]
async fn a_joiner_that_loses_power_anywhere_in_a_snapshot_is_brought_up_by_the_next() {
    let mut world = invited().await;
    let mut ends = 0;
    for at in 0.. {
        world.nodes[1].wipe();
        world.start(1).await;
        let disk = world.nodes[1].disk.clone();
        disk.fail_change(disk.changes() + at, Fault::PowerLoss);
        let members = [world.nodes[0].member(), world.nodes[1].member()];
        world.region.place(&members).await;
        sleep(Duration::from_secs(3)).await;
        let joined = world.nodes[1].member();
        let is_whole = world.region.configuration().in_sync.contains(&joined);
        world.nodes[1].crash();
        world.start(1).await;
        world.settle().await;
        assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize, "at {at}");
        ends += usize::from(is_whole);
        if ends == 3 {
            assert!(at > 20, "a snapshot takes more steps than {at}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_dies_anywhere_in_a_snapshot_sends_another_one_after_it() {
    for at in 0..24 {
        let mut world = invited().await;
        sleep(Duration::from_millis(at * 10)).await;
        world.nodes[0].crash();
        sleep(Duration::from_millis(300)).await;
        world.start(0).await;
        world.settle().await;
        assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize, "at {at}");
        assert_eq!(world.role(1), Some(RoleName::Backup), "at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_known_to_a_replica_from_a_snapshot_also_after_its_restart() {
    let mut world = World::new(1).await;
    world.forget_log(CUSTOMERS).await;
    let batch = world.batch(0..3);
    let first = world.send(&batch).await;
    let members: Vec<_> = world.nodes[..2].iter().map(Node::member).collect();
    world.region.place(&members).await;
    world.settle().await;
    let store = &world.nodes[1].alive().store;
    let entry = store.read_log(SHARD, first.position, 1).unwrap();
    assert_eq!(
        entry,
        LogRead::Gone,
        "it knows the answer from the snapshot"
    );
    world.promote(1).await;
    assert_eq!(world.send(&batch).await, first, "after a failover");
    world.nodes[1].crash();
    world.start(1).await;
    assert_eq!(world.send(&batch).await, first, "after a restart too");
}

#[tokio::test(start_paused = true)]
async fn the_log_behind_a_snapshot_is_kept_for_its_receiver_and_not_for_ever() {
    let mut world = invited().await;
    let primary = Arc::clone(&world.nodes[0].alive().store);
    let next = primary.applied(SHARD).next();
    sleep(Duration::from_millis(500)).await;
    world.nodes[1].crash();
    world.forget_requests(CUSTOMERS).await;
    let entry = primary.read_log(SHARD, next, 1).unwrap();
    assert!(matches!(entry, LogRead::Entries(_)), "{entry:?}");
    sleep(Duration::from_secs(60)).await;
    world.forget_requests(CUSTOMERS).await;
    assert_eq!(primary.read_log(SHARD, next, 1).unwrap(), LogRead::Gone);
}

/// A world of two copies in sync.
async fn two_copies() -> World {
    let mut world = World::new(2).await;
    world.write_all(CUSTOMERS).await;
    world.settle().await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_backup_whose_log_rotted_begins_damaged_and_comes_back_by_a_snapshot() {
    let mut world = two_copies().await;
    world.nodes[1].crash();
    let disk = &world.nodes[1].disk;
    let (log, _) = disk
        .files()
        .into_iter()
        .find(|(name, _)| name.ends_with(".log"))
        .unwrap();
    disk.flip_bit(&log, 20_000, 3);
    world.start(1).await;
    let store = Arc::clone(&world.nodes[1].alive().store);
    assert_eq!(store.condition(SHARD), Condition::Quarantined);
    world.write_all(100).await;
    world.settle().await;
    assert_eq!(store.condition(SHARD), Condition::Whole);
    assert_eq!(world.role(1), Some(RoleName::Backup));
    assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_primary_whose_log_rotted_does_not_lead_again_before_it_was_brought_up() {
    let mut world = two_copies().await;
    world.nodes[0].crash();
    let disk = &world.nodes[0].disk;
    let (log, _) = disk
        .files()
        .into_iter()
        .find(|(name, _)| name.ends_with(".log"))
        .unwrap();
    disk.flip_bit(&log, 20_000, 3);
    world.start(0).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.role(0), Some(RoleName::Idle), "it proposes nothing");
    assert!(world.nodes[0].reports_damage().await);
    world.promote(1).await;
    world.settle().await;
    assert!(!world.nodes[0].reports_damage().await);
    assert_eq!(world.nodes[0].rows().len(), CUSTOMERS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_cannot_read_a_row_gets_all_rows_anew_where_nobody_gives_a_copy() {
    let mut world = two_copies().await;
    world.nodes[0].crash();
    world.nodes[0].gives_copies = false;
    world.start(0).await;
    world.promote(0).await;
    world.write_all(100).await;
    world.settle().await;
    world.nodes[1].keep();
    let before = world.nodes[1].rows();
    world.nodes[1].rot_rows(&[7]);
    assert_eq!(world.nodes[1].read(7), RowState::Damaged);
    sleep(Duration::from_secs(15)).await;
    world.settle().await;
    assert_eq!(world.nodes[1].read(7), RowState::Found);
    assert_eq!(world.nodes[1].rows(), before);
    assert!(world.nodes[1].began_from_a_snapshot());
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_shard_that_moved_away_are_dropped_and_come_back_with_it() {
    let mut world = two_copies().await;
    let members: Vec<_> = world.nodes.iter().map(Node::member).collect();
    world.region.place(&members).await;
    world.settle().await;
    world.region.remove(members[1]).await;
    sleep(Duration::from_secs(50)).await;
    assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize, "not yet");
    sleep(Duration::from_secs(15)).await;
    assert_eq!((world.nodes[1].rows().len(), world.role(1)), (0, None));
    world.nodes[1].crash();
    world.start(1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((world.nodes[1].rows().len(), world.role(1)), (0, None));
    world.region.place(&members).await;
    world.write_all(100).await;
    world.settle().await;
    assert_eq!(world.role(1), Some(RoleName::Backup));
    assert_eq!(world.nodes[1].rows().len(), CUSTOMERS as usize);
}
