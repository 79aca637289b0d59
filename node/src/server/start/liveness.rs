//! The node's part in gossip: what it says of itself, and what it hears.

use super::{StartError, held::Held, io};
use crate::{
    components::{Clock, Components, Socket},
    security::Seal,
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
pub(super) async fn follow(
    (settings, components): (&NodeSettings, &Components),
    (me, cluster): (Member, ClusterId),
    held: &Held,
    (socket, seal): (Box<dyn Socket>, Seal),
    background: &mut Background,
) -> Result<Liveness, StartError> {
    let listen = settings.listen.gossip;
    let (store, board) = (Arc::clone(&held.store), held.board.clone());
    let clock = Arc::clone(&components.clock);
    let parts = gossip::Parts {
        me,
        cluster,
        listen,
        region: held.region.clone(),
        seal,
        datagrams: Arc::clone(&components.datagrams),
        clock: Arc::clone(&clock),
        load: Box::new(move || load(&store, &board, &*clock)),
    };
    // The address was taken before anybody knew whether the cluster is secured.
    let socket = match &parts.seal {
        Seal::Open => socket,
        Seal::Keyed(_) => {
            drop(socket);
            let sealed = parts.datagrams.open(listen, &parts.seal).await;
            sealed.map_err(io(format!("listen for gossip at {listen}")))?
        }
    };
    let liveness = gossip::start(parts, socket, background);
    background.spawn(tell_room(liveness.clone(), held.inputs.clone()));
    Ok(liveness)
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
