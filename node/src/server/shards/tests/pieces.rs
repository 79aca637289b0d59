//! Parts whose rows outgrow one entry: they are carried out in several, once.

use super::{node::SHARD, world::World};
use crate::server::shards::prepare::tests::set;
use gateway::write::writer::WriteBatch;
use proto::{id::Revision, limits::ROWS_PER_ENTRY};
use replication::requests::Written;
use std::sync::Arc;

/// Each row that is merged takes two records, so these take one entry and a part of another.
const ROWS: i64 = 5_000;
const FIRST_PIECE: i64 = ROWS_PER_ENTRY as i64 / 2;

/// A world in which every row has one feature, and a request that sets the other one in all of them.
async fn world() -> (World, Arc<WriteBatch>) {
    let mut world = World::with_segments(2, 4 << 20).await;
    let first = world.request(0..ROWS, &|number| set(&[(0, number)]));
    world.send(&first).await;
    world.settle().await;
    let second = world.request(0..ROWS, &|number| set(&[(1, number)]));
    (world, second)
}

/// The same request, as far as its first `rows`. It is of another revision: what was sent is compared with
/// its number of rows, and only requests of one revision are.
fn cut(batch: &Arc<WriteBatch>, rows: i64) -> Arc<WriteBatch> {
    let mut batch = WriteBatch::clone(batch);
    batch.parts[0].rows.truncate(rows as usize);
    batch.revision = Revision(batch.revision.0 + 1);
    Arc::new(batch)
}

fn position(world: &World) -> u64 {
    world.nodes[world.primary()].alive().store.applied(SHARD).0
}

fn rows_of(written: &Written) -> (u32, usize) {
    (written.outcome.accepted, written.outcome.rejected.len())
}

#[tokio::test(start_paused = true)]
async fn a_part_that_outgrows_an_entry_becomes_two_and_a_repeat_gets_the_first_answer() {
    let (mut world, batch) = world().await;
    let before = position(&world);
    let written = world.send(&batch).await;
    assert_eq!(rows_of(&written), (ROWS as u32, 0));
    assert_eq!(
        (written.position.0, position(&world)),
        (before + 2, before + 2)
    );
    assert_eq!(world.send(&batch).await, written);

    world.settle().await;
    world.promote(1).await;
    assert_eq!(world.send(&batch).await, written, "after a failover");
    world.settle().await;
    world.nodes[1].crash();
    world.start(1).await;
    assert_eq!(world.send(&batch).await, written, "after a restart");
    let entries = world.entries_of(&batch);
    assert_eq!(entries, 2, "nothing of it was carried out twice");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_goes_on_behind_the_pieces_that_survived() {
    let (world, batch) = world().await;
    // A primary that died between its two appends leaves the first piece.
    let first = world.send(&cut(&batch, FIRST_PIECE)).await;
    assert_eq!(rows_of(&first), (FIRST_PIECE as u32, 0));
    world.settle().await;
    world.promote(1).await;
    let written = world.send(&batch).await;
    assert_eq!(rows_of(&written), (ROWS as u32, 0));
    assert!(written.sequence > first.sequence);
    world.settle().await;
    assert_eq!(world.entries_of(&batch), 2);
}
