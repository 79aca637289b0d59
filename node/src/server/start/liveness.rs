//! The node's part in gossip: what it says of itself, and what it hears.

use super::held::Held;
use crate::{
    components::{Clock, Components, Socket},
    server::{
        gossip::{self, facts::Load, liveness::Liveness},
        running::Background,
        shards::Board,
    },
    settings::NodeSettings,
};
use proto::id::ClusterId;
use raft::placement::Member;
use std::{sync::Arc, time::Duration};
use store::Store;

/// Gossips in the name of `me`.
pub(super) fn follow(
    (settings, components): (&NodeSettings, &Components),
    (me, cluster): (Member, ClusterId),
    held: &Held,
    socket: Box<dyn Socket>,
    background: &mut Background,
) -> Liveness {
    let listen = settings.listen.gossip;
    let (store, board) = (Arc::clone(&held.store), held.board.clone());
    let clock = Arc::clone(&components.clock);
    let parts = gossip::Parts {
        me,
        cluster,
        listen,
        region: held.region.clone(),
        datagrams: Arc::clone(&components.datagrams),
        clock: Arc::clone(&clock),
        load: Box::new(move || load(&store, &board, &*clock)),
    };
    gossip::start(parts, socket, background)
}

fn load(store: &Store, board: &Board, clock: &dyn Clock) -> Load {
    let now_micros = clock.now().monotonic_micros();
    let standings = board.read();
    let ages = standings.values().map(|standing| standing.complete_at);
    // One shard of unknown age makes the oldest unknown.
    let oldest = ages.min().flatten();
    Load {
        store_bytes: store.used_and_live_bytes().0,
        index_bytes: store.index_bytes(),
        age: oldest.map(|at| Duration::from_micros(now_micros.saturating_sub(at.0))),
    }
}
