//! What this node has heard of the others: who lives, and their own account of themselves.
//!
//! Hearsay, for choosing between things that are all correct: which replica to ask first, which node
//! to show as reachable. Nothing that must be right hangs on it.

use super::facts::Facts;
use proto::id::NodeId;
use std::{collections::BTreeMap, sync::Arc};
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

    /// What was heard of a node, if anything ever was.
    #[must_use]
    pub fn of(&self, node: NodeId) -> Option<Heard> {
        self.0.borrow().get(&node).cloned()
    }
}
