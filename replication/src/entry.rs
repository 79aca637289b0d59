//! An entry as a core handles it: bytes that pass through, and the header it decides by.

use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    entry::{EntryBuilder, EntryHeader, EntryKind, EntryView},
    id::{Epoch, Position},
    request::{Sent, WriteOutcome},
};

/// A place in a shard's log. Two logs that hold the same mark are equal up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    /// The epoch of the entry there; decides first which of two logs is longer.
    pub epoch: Epoch,
    /// The position; 0 is before the first entry.
    pub position: Position,
}

/// A replicated entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    header: EntryHeader,
    bytes: Bytes,
}

impl Entry {
    /// An entry that came over the network or from disk: lengths and checksums are compared.
    pub fn received(bytes: Bytes) -> Result<Self, Malformed> {
        let view = EntryView::parse(&bytes)?;
        view.verify()?;
        let header = *view.header();
        if header.kind.is_replicated() {
            Ok(Self { header, bytes })
        } else {
            Err(Malformed {
                format: "entry",
                fault: "its kind belongs to one store alone",
            })
        }
    }

    pub(crate) fn built(header: EntryHeader, builder: EntryBuilder) -> Self {
        let bytes = builder.finish();
        Self { header, bytes }
    }

    /// What a core decides by.
    #[must_use]
    pub const fn header(&self) -> &EntryHeader {
        &self.header
    }

    /// The bytes, the same on all replicas.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its place in the log.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark {
            epoch: self.header.epoch,
            position: self.header.position,
        }
    }

    /// The place before it.
    #[must_use]
    pub const fn previous(&self) -> Mark {
        Mark {
            epoch: self.header.previous_epoch,
            position: Position(self.header.position.0 - 1),
        }
    }

    /// What became of the rows, of an entry that carries out a request.
    #[must_use]
    pub fn outcome(&self) -> Option<WriteOutcome> {
        if self.header.kind != EntryKind::Rows {
            return None;
        }
        let view = EntryView::parse(&self.bytes).ok()?;
        WriteOutcome::decode(&mut Reader::new(view.extras(), "write outcome")).ok()
    }

    /// What its request was made of, where an entry that carries one out says so.
    #[must_use]
    pub fn sent(&self) -> Option<Sent> {
        if self.header.kind != EntryKind::Rows {
            return None;
        }
        let view = EntryView::parse(&self.bytes).ok()?;
        let mut reader = Reader::new(view.extras(), "what was sent");
        WriteOutcome::decode(&mut reader).ok()?;
        Sent::decode(&mut reader).ok()
    }
}
