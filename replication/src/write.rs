//! A write as it reaches a core, and what it answers.

use crate::{configuration::Fence, requests::Written};
use proto::{
    entry::HEADER_BYTES,
    hlc::Hlc,
    id::{NodeId, PlacementId},
    limits::{ENTRY_BYTES, ROWS_PER_ENTRY},
    reason::Reason,
    record::Encoded,
    request::{Rejection, RequestId, RequestPart, Sent, WriteOutcome},
};
use smallvec::SmallVec;

/// An entry's header, and its extras' own length and padding, which take less than two alignments.
pub(crate) const AROUND_ROWS_BYTES: usize = HEADER_BYTES + 32;

/// Names a waiting caller to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyTo(pub u64);

/// One piece of a part of a request: the rows that become one entry.
#[derive(Debug, Clone)]
pub struct Write {
    /// Whom to answer.
    pub reply_to: ReplyTo,
    /// The fence its sender acts on.
    pub fence: Fence,
    /// The request.
    pub request: RequestId,
    /// Which part of it.
    pub part: RequestPart,
    /// Where the rows' view is held.
    pub placement: PlacementId,
    /// The rows, in the request's order.
    pub rows: Vec<PreparedRow>,
    /// What becomes of them once committed.
    pub outcome: WriteOutcome,
    /// What they were made of.
    pub sent: Sent,
    /// The largest stamp under which the rows are still admitted (`max_late`). Admission is judged
    /// against the stamp, and the stamp is given here.
    pub stamp_at_most: Hlc,
}

/// A row, encoded and without its stamp.
#[derive(Debug, Clone)]
pub struct PreparedRow {
    /// Its records: the image and, where it differs, what was sent.
    pub records: SmallVec<[Encoded; 2]>,
    /// What its view is ordered by.
    pub order: Order,
}

/// What an entry still takes of a write: rows, and what is said of rows that were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    bytes: usize,
    records: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: ENTRY_BYTES - AROUND_ROWS_BYTES - WriteOutcome::HEAD_BYTES - Sent::BYTES,
            records: ROWS_PER_ENTRY,
        }
    }
}

impl Room {
    /// Whether nothing was taken yet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a row if it fits.
    pub fn take_row(&mut self, row: &PreparedRow) -> bool {
        self.take(row.bytes(), row.records.len())
    }

    /// Takes a rejection if it fits.
    pub fn take_rejection(&mut self, rejection: &Rejection) -> bool {
        self.take(rejection.stored_bytes(), 0)
    }

    fn take(&mut self, bytes: usize, records: usize) -> bool {
        let fits = bytes <= self.bytes && records <= self.records;
        if fits {
            self.bytes -= bytes;
            self.records -= records;
        }
        fits
    }
}

impl PreparedRow {
    /// What it takes in an entry.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum()
    }
}

/// What decides which of two writes of a view stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The time in the row.
    EventTime,
    /// The stamp, which then is the event time too.
    WriteTime,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is committed; the same for each repeat.
    Written(Written),
    /// It was not taken, and nothing of it will happen.
    Refused(Refused),
    /// This replica was deposed with the entry in its tail: it may be committed or not. Repeat it
    /// with the same request id.
    Unknown,
    /// The stamp would be above what the rows were judged by: judge them again.
    PrepareAgain,
}

/// Why a write was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another node appends, or none.
    #[error("this replica is not the shard's primary; send the write to the primary")]
    NotPrimary {
        /// Who does, as far as is known here.
        primary: Option<NodeId>,
    },
    /// The sender acts on another epoch.
    #[error("the shard is in epoch {}, not the one named; refresh and send the write again", current.epoch)]
    OtherEpoch {
        /// The shard's.
        current: Fence,
    },
    /// The epoch is not open yet, or the clock waits for its bound.
    #[error("the primary is not ready to stamp yet; send the write again")]
    NotReady,
    /// Too few replicas.
    #[error(
        "the shard has {in_sync} copies in sync and needs {needed}; send the write again later"
    )]
    UnderReplicated {
        /// Members that answer.
        in_sync: usize,
        /// How many there must be.
        needed: usize,
    },
    /// Too much waits for its commit.
    #[error("{pending_bytes} bytes wait for their commit; send the write again later")]
    Overloaded {
        /// On this node.
        pending_bytes: usize,
    },
    /// The id's age is outside the window in which repeats are known.
    #[error("the request id was not issued within the last ten minutes; make a new one")]
    RequestIdExpired,
    /// The id was given to other rows: the first answer would not be about these.
    #[error(
        "request id {request} was used for other rows already, so these were not written; make a new id for each request, and repeat one only with the rows it was made for"
    )]
    RequestIdReused {
        /// The id.
        request: RequestId,
    },
    /// The id was issued later than it can be by this node's clock.
    #[error(
        "the request id is dated ahead of this node's clock; send the write again, and if that does \
         not help, set the clocks of the writer and of the region's nodes right"
    )]
    RequestIdAhead,
    /// The part does not fit an entry.
    #[error("the rows take {bytes} bytes, more than an entry holds; split the request")]
    TooLarge {
        /// What they take.
        bytes: usize,
    },
}

impl Refused {
    /// The reason a caller sees.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NotPrimary { .. } | Self::OtherEpoch { .. } => Reason::NoPrimary,
            Self::NotReady | Self::RequestIdAhead => Reason::NotReady,
            Self::UnderReplicated { .. } => Reason::UnderReplicated,
            Self::Overloaded { .. } => Reason::Overloaded,
            Self::RequestIdExpired => Reason::RequestIdExpired,
            Self::RequestIdReused { .. } => Reason::RequestIdReused,
            Self::TooLarge { .. } => Reason::TooLarge,
        }
    }
}
