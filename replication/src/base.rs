//! What the committed part of a shard's log amounts to: what a snapshot carries and a restart needs.

use crate::{
    entry::{Entry, Mark},
    requests::RequestTable,
    streams::Heads,
};
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{Incarnation, Position},
};

/// The state of a shard at its commit point. A store rebuilds it when it opens, by following every
/// committed entry; a snapshot is taken and installed with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// The last committed entry.
    pub committed: Mark,
    /// The last incarnation that an epoch entry opened.
    pub incarnation: Incarnation,
    /// How far the own streams reach.
    pub heads: Heads,
    /// Requests carried out.
    pub requests: RequestTable,
    /// The largest stamp in the log.
    pub hlc: Hlc,
    /// Lookups are answered from this position on: rows of a snapshot are as new as its scan's end.
    pub serves_from: Position,
}

impl Base {
    /// Follows the next committed entry.
    pub fn follow(&mut self, entry: &Entry) {
        let header = entry.header();
        self.committed = entry.mark();
        if header.kind == EntryKind::Epoch {
            self.incarnation = header.incarnation;
        }
        self.heads.advance(entry);
        self.hlc = self.hlc.max(header.hlc);
        self.requests.remember(entry);
        self.requests.prune(self.hlc);
    }
}

/// What a store found of a shard when it opened.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// At the commit point that was logged. It may lie below the one that was reached.
    pub base: Base,
    /// The entries after it, in order. They must be durable, not only readable: after the crash of a
    /// process alone the store syncs what it read before it hands it over.
    pub tail: Vec<Entry>,
}
