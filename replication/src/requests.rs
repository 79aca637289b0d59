//! The table of requests carried out lately: what makes a repeated request harmless.
//!
//! It is made from committed entries alone, so every replica and every snapshot has it, and it is
//! pruned by the log's own stamps. A request is forgotten exactly when its id is too old to be
//! admitted again, so it never matters which of the two happens first.

use crate::entry::Entry;
use proto::{
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, Sequence},
    limits::MAX_CLOCK_OFFSET,
    request::{RequestId, RequestPart, Sent, WriteOutcome},
};
use std::collections::BTreeMap;

/// One request may become several entries of a shard.
pub type Key = (RequestId, RequestPart);

/// The first answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where its entry stands in the shard's log.
    pub position: Position,
    /// The placement of its stream; the origin is this region.
    pub placement: PlacementId,
    /// The stream's incarnation.
    pub incarnation: Incarnation,
    /// Its number in the stream: what a token asks for.
    pub sequence: Sequence,
    /// The largest stamp of its rows.
    pub hlc: Hlc,
    /// What became of the rows.
    pub outcome: WriteOutcome,
    /// What they were made of; none where that is not known, or no business of who holds this.
    pub sent: Option<Sent>,
}

impl Written {
    /// What `entry` carried out, if it carried out a request.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let header = entry.header();
        entry.outcome().map(|outcome| Self {
            position: header.position,
            placement: header.placement,
            incarnation: header.incarnation,
            sequence: header.sequence,
            hlc: header.hlc,
            outcome,
            sent: entry.sent(),
        })
    }
}

/// Committed requests of the window. Ids order by their time of issue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestTable {
    written: BTreeMap<Key, Written>,
}

impl RequestTable {
    /// Remembers what `entry` carried out, if anything.
    pub fn remember(&mut self, entry: &Entry) {
        if let Some(written) = Written::of(entry) {
            let key = (entry.header().request, entry.header().part);
            self.written.insert(key, written);
        }
    }

    /// Puts an answer back that a snapshot carried.
    pub fn restore(&mut self, key: Key, written: Written) {
        self.written.insert(key, written);
    }

    /// Forgets ids that cannot be admitted any more in a log that has reached `log`.
    pub fn prune(&mut self, log: Hlc) {
        while let Some(first) = self.written.first_entry() {
            let issued = first.key().0;
            // An id from the future is kept, whatever its distance: only its age counts here.
            if issued.issued_millis() > log.millis()
                || issued.is_within_window(log.millis(), MAX_CLOCK_OFFSET)
            {
                return;
            }
            first.remove();
        }
    }

    /// The first answer.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Written> {
        self.written.get(key)
    }

    /// All of them, oldest id first.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Written)> {
        self.written.iter()
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}
