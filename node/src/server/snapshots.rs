//! Snapshots between nodes: how a replica that the log cannot bring up gets its rows.
//!
//! The cores decide who gets one and who may drop its log for one; the log's thread opens, begins and
//! ends them (`shards/snapshots.rs`). Here they travel: pieces in order, one call each, on connections
//! of their own, at a bounded pace. Any fault ends the whole snapshot, and the cores ask again.
//! `docs/catch-up-path.md` walks through it.

mod arriving;
mod piece;
mod progress;
mod sending;

pub use progress::{Progress, Sent};

use super::{
    methods::Call,
    peers::Peers,
    shards::{Input, SnapshotOrder},
};
use crate::peer::Mesh;
use arriving::Arriving;
use raft::group::Blocking;
use sending::Sending;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of rows in one piece: large enough to be efficient, small enough to share a connection.
const PIECE_BYTES: usize = 1 << 20;

/// Answers pieces that come from other nodes, and gives the task that sends to them what `orders` ask
/// for, and says in `progress` how far it is.
pub fn start(
    mesh: Arc<Mesh>,
    peers: &Peers,
    inputs: mpsc::Sender<Input>,
    (orders, progress): (mpsc::UnboundedReceiver<SnapshotOrder>, Progress),
    place: Blocking,
) -> impl Future<Output = ()> + Send + 'static {
    let arriving = Arriving::new(inputs.clone(), place);
    peers.offer(Call::Snapshot, Arc::new(arriving));
    Sending::new(mesh, inputs, place, progress).run(orders)
}
