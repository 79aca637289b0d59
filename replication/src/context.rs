//! What a step may look at besides its event: the time, and what the node's shards share.

use proto::{hlc::Clock, id::NodeId};
use std::collections::BTreeMap;

/// Microseconds of a monotonic clock that counts suspension; comparable within one boot only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// How long before `self` the instant `earlier` was.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// The instant `span` later.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// The time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For spans.
    pub monotonic: Micros,
    /// For stamps alone; may jump.
    pub wall_millis: u64,
}

/// What a step works with.
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// The node's hybrid clock.
    pub clock: &'a mut Clock,
    /// The node's limits in flight.
    pub budget: &'a mut Budget,
}

/// Bytes in flight, over all shards of a node.
#[derive(Debug, Default)]
pub struct Budget {
    pending: usize,
    in_flight: BTreeMap<NodeId, usize>,
}

impl Budget {
    /// Bytes appended here and not committed.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Bytes sent to `peer` and not acknowledged.
    #[must_use]
    pub fn in_flight(&self, peer: NodeId) -> usize {
        self.in_flight.get(&peer).copied().unwrap_or(0)
    }

    pub(crate) fn append(&mut self, bytes: usize) {
        self.pending += bytes;
    }

    pub(crate) fn settle(&mut self, bytes: usize) {
        self.pending -= bytes;
    }

    pub(crate) fn send(&mut self, peer: NodeId, bytes: usize) {
        *self.in_flight.entry(peer).or_default() += bytes;
    }

    pub(crate) fn arrived(&mut self, peer: NodeId, bytes: usize) {
        *self.in_flight.entry(peer).or_default() -= bytes;
    }
}
