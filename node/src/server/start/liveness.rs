//! The node's part in gossip: what it says of itself, and what it hears.

use super::held::Held;
use crate::{
    components::{Clock, Components, Socket},
    server::{
        gossip::{self, facts::Load, liveness::Liveness},
        running::Background,
        shards::{Board, Input},
    },
    settings::NodeSettings,
};
use proto::id::{ClusterId, NodeId};
use raft::placement::Member;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::Store;
use tokio::sync::mpsc;

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
    let liveness = gossip::start(parts, socket, background);
    background.spawn(tell_room(liveness.clone(), held.inputs.clone()));
    liveness
}

/// Tells the shards, each time that changes, which other nodes have no room for new writes.
async fn tell_room(mut liveness: Liveness, shards: mpsc::Sender<Input>) {
    let mut told: BTreeSet<NodeId> = BTreeSet::new();
    while liveness.changed().await {
        let full = liveness.nearly_full();
        if full == told {
            continue;
        }
        told.clone_from(&full);
        if shards.send(Input::NearlyFull(full)).await.is_err() {
            return;
        }
    }
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
        is_nearly_full: store.check_disk().is_err(),
    }
}
