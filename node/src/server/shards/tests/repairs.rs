//! Rows that rotted in a settled segment are repaired one by one, from whoever has them.

use super::world::World;
use crate::server::shards::prepare::tests::set;
use replication::RoleName;
use std::time::Duration;
use store::RowState;
use tokio::time::sleep;

const CUSTOMERS: i64 = 400;

/// Two copies in sync whose rows lie in settled segments.
async fn world() -> World {
    let mut world = World::new(2).await;
    world.write_all(CUSTOMERS).await;
    world.settle().await;
    sleep(Duration::from_secs(3)).await;
    world.nodes[..2].iter().for_each(super::node::Node::keep);
    world
}

#[tokio::test(start_paused = true)]
async fn a_row_that_a_backup_cannot_read_comes_from_the_primary_and_the_shard_stays() {
    let world = world().await;
    let before = world.nodes[1].rows();
    world.nodes[1].rot_rows(&[7, 8, 300]);
    for customer in [7, 8, 300] {
        assert_eq!(world.nodes[1].read(customer), RowState::Damaged);
    }
    sleep(Duration::from_secs(2)).await;
    for customer in [7, 8, 300] {
        assert_eq!(world.nodes[1].read(customer), RowState::Found, "{customer}");
    }
    assert_eq!(world.nodes[1].rows(), before);
    let counts = world.nodes[1].alive().store.repair_counts();
    assert_eq!((counts.found, counts.repaired), (3, 3));
    assert_eq!(world.role(1), Some(RoleName::Backup));
    assert!(!world.nodes[1].began_from_a_snapshot());
}

#[tokio::test(start_paused = true)]
async fn a_write_over_a_row_that_its_primary_cannot_read_waits_for_the_backups_copy() {
    let mut world = world().await;
    world.nodes[0].rot_rows(&[7]);
    // One feature of it: what stands must be read.
    let batch = world.request(7..8, &|_| set(&[(0, 5)]));
    let written = world.send(&batch).await;
    assert_eq!(
        (written.outcome.accepted, written.outcome.rejected),
        (1, vec![])
    );
    world.settle().await;
    assert_eq!(world.nodes[0].alive().store.repair_counts().repaired, 1);
    assert!(!world.nodes[0].began_from_a_snapshot());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_nobody_can_read_is_refused_and_the_others_are_taken() {
    let mut world = world().await;
    world.nodes[..2].iter().for_each(|node| node.rot_rows(&[7]));
    assert_eq!(world.nodes[1].read(7), RowState::Damaged);
    let batch = world.request(6..9, &|_| set(&[(0, 5)]));
    let written = world.send(&batch).await;
    let rejected: Vec<_> = written
        .outcome
        .rejected
        .iter()
        .map(|row| row.refusal.reason)
        .collect();
    assert_eq!(
        (written.outcome.accepted, rejected),
        (2, vec![proto::reason::Reason::Damaged])
    );
    assert_eq!(
        world.nodes[0].read(7),
        RowState::Damaged,
        "it is never taken for absent"
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_overwritten_meanwhile_needs_no_repair() {
    let mut world = world().await;
    world.nodes[1].rot_rows(&[7]);
    assert_eq!(world.nodes[1].read(7), RowState::Damaged);
    world.write_all(20).await;
    world.settle().await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.nodes[1].read(7), RowState::Found);
    assert!(!world.nodes[1].alive().store.is_damaged());
    assert!(!world.nodes[1].began_from_a_snapshot());
}
