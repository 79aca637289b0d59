//! How far the snapshots are that this node sends, for people.

use parking_lot::Mutex;
use proto::id::{NodeId, ShardId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How much of a snapshot was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Rows.
    pub rows: u64,
    /// Rows that there were when it began.
    pub of_rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// See the module. Clones are one.
#[derive(Clone, Default)]
pub struct Progress {
    under_way: Arc<Mutex<BTreeMap<(ShardId, NodeId), Sent>>>,
    /// Bytes of all snapshots since the start.
    sent_bytes: Arc<AtomicU64>,
}

impl Progress {
    /// What is under way now, by shard and receiver.
    #[must_use]
    pub fn read(&self) -> BTreeMap<(ShardId, NodeId), Sent> {
        self.under_way.lock().clone()
    }

    /// Bytes of all of them since the start.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self, shard: ShardId, to: NodeId, sent: Sent) {
        let before = self.under_way.lock().insert((shard, to), sent);
        let before = before.map_or(0, |before| before.bytes);
        let more = sent.bytes.saturating_sub(before);
        self.sent_bytes.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, shard: ShardId, to: NodeId) {
        self.under_way.lock().remove(&(shard, to));
    }
}
