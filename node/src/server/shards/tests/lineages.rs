//! What a token asks for that an accepted loss has cut is *lost*, also after restarts, and at replicas
//! that came later.

use super::{
    node::{Node, SHARD},
    world::World,
};
use crate::server::shards::head;
use proto::id::{Incarnation, PlacementId, RegionId, Sequence};
use replication::token::{Asked, Coverage, coverage};

const CUSTOMERS: i64 = 1_500;

/// What the store of a node says to a token of the first incarnation, and of the second.
fn judged(node: &Node, kept: Sequence) -> [Coverage; 3] {
    let stream = (RegionId(1), PlacementId(0));
    let store = &node.alive().store;
    let mark = store.stream(SHARD, stream).unwrap();
    let applied = head(&mark, store.start(SHARD, stream).as_deref());
    let asked = [(1, kept), (1, kept.next()), (2, Sequence(2))];
    asked.map(|(incarnation, sequence)| {
        let incarnation = Incarnation(incarnation);
        let asked = Asked {
            incarnation,
            sequence,
        };
        coverage(Some(&applied), asked)
    })
}

#[tokio::test(start_paused = true)]
async fn tokens_past_a_cut_say_lost_after_restarts_and_at_a_replica_from_a_snapshot() {
    let expected = [Coverage::Covered, Coverage::Lost, Coverage::Covered];
    let mut world = World::new(1).await;
    world.write_all(CUSTOMERS).await;
    let batch = world.batch(0..3);
    let kept = world.send(&batch).await.sequence;
    let survivor = (world.nodes[0].member(), world.nodes[0].boot);
    world.region.accept_loss(survivor.0, survivor.1).await;
    let batch = world.batch(0..3);
    let next = world.send(&batch).await;
    assert_eq!(
        (next.incarnation, next.sequence),
        (Incarnation(2), Sequence(2))
    );
    assert_eq!(judged(&world.nodes[0], kept), expected);

    world.nodes[0].crash();
    world.start(0).await;
    world.write_all(100).await;
    assert_eq!(
        judged(&world.nodes[0], kept),
        expected,
        "its entry is read again"
    );

    world.forget_log(CUSTOMERS).await;
    world.nodes[0].crash();
    world.start(0).await;
    world.write_all(100).await;
    assert_eq!(judged(&world.nodes[0], kept), expected, "its entry is gone");

    let members: Vec<_> = world.nodes[..2].iter().map(Node::member).collect();
    world.region.place(&members).await;
    world.settle().await;
    assert_eq!(judged(&world.nodes[1], kept), expected, "by snapshot");
    world.nodes[1].crash();
    world.start(1).await;
    world.settle().await;
    assert_eq!(
        judged(&world.nodes[1], kept),
        expected,
        "and after a restart"
    );
    world.promote(1).await;
    let batch = world.batch(0..3);
    assert_eq!(world.send(&batch).await.incarnation, Incarnation(2));
}
