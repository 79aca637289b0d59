//! What this node has heard of the others: who lives, and their own account of themselves.
//!
//! Hearsay, for choosing between things that are all correct: which replica to ask first, which node
//! to show as reachable. Nothing that must be right hangs on it.

use super::facts::Facts;
use proto::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::watch;

/// What was heard of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whether signs of life came lately.
    pub is_alive: bool,
    /// When it last did, by this node's monotonic clock; none before it was heard to live.
    pub alive_at_micros: Option<u64>,
    /// What it said last.
    pub facts: Arc<Facts>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Liveness(watch::Receiver<Arc<BTreeMap<NodeId, Heard>>>);

impl Liveness {
    pub(super) fn follow(heard: watch::Receiver<Arc<BTreeMap<NodeId, Heard>>>) -> Self {
        Self(heard)
    }

    /// Whether a node gives signs of life. A node that nobody has heard of does not.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.0
            .borrow()
            .get(&node)
            .is_some_and(|heard| heard.is_alive)
    }

    /// The living nodes that said last that their disks are nearly full.
    #[must_use]
    pub fn nearly_full(&self) -> BTreeSet<NodeId> {
        let heard = self.0.borrow();
        let full = heard
            .iter()
            .filter(|(_, heard)| heard.is_alive && heard.facts.load.is_nearly_full);
        full.map(|(node, _)| *node).collect()
    }

    /// Waits until more was heard; false once nothing more will be.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// What was heard of a node, if anything ever was.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<Heard> {
        self.0.borrow().get(&node).cloned()
    }
}
