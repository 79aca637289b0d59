//! The events of a history.

use super::{
    data::{Datum, Micros, RowKey, TokenBytes},
    text,
};
use proto::{
    hlc::Hlc,
    id::{
        BootId, Epoch, FeatureId, Incarnation, NodeId, Position, RegionId, Sequence, ShardId,
        Stream,
    },
    reason::{Action, Reason},
    request::RequestId,
    time::EventTime,
};
use serde::{Deserialize, Serialize};

/// One call; an event that answers names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When: just before a call left, just after its answer came.
    pub at: Micros,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A write or deletion left its client. A retry is a new call with the same request id.
    WriteIssued(WriteIssued),
    /// It was answered.
    WriteAnswered(WriteAnswered),
    /// A lookup left its client.
    LookupIssued(LookupIssued),
    /// It was answered.
    LookupAnswered(LookupAnswered),
    /// After faults were healed and all work was done: what one replica that survived holds.
    FinalRead(FinalRead),
    /// A boot of a node acts as primary.
    Primary(Primary),
    /// A node holds this entry as committed.
    Committed(Committed),
    /// A region applied, or shipped, this entry of a stream.
    Shipped(Shipped),
    /// A primary says that a close is done.
    Closed(Closed),
    /// What one replica's disk holds of a shard, read after the run.
    Holds(Holds),
    /// More failed than the budget allows, and a person accepted it: what was acknowledged until
    /// now may be lost.
    LossAccepted,
    /// For people: faults as they were injected.
    Note(String),
}

/// See [`Event::WriteIssued`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteIssued {
    /// This attempt.
    pub call: CallId,
    /// The request, the same for all its attempts.
    #[serde(with = "text")]
    pub request: RequestId,
    /// Its rows, in order.
    pub rows: Vec<WriteRow>,
    /// The token it carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenBytes>,
}

/// One row of a write. Its event time is always given, deletions' too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRow {
    /// Which row.
    pub row: RowKey,
    /// When the fact was true.
    pub event_time: EventTime,
    /// What becomes of it.
    pub change: Change,
}

/// What a write does to a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Sets these cells, `None` to null; the others stay. Each feature at most once.
    Set(Vec<(FeatureId, Option<Datum>)>),
    /// Deletes the row.
    Delete,
}

/// See [`Event::WriteAnswered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteAnswered {
    /// Which attempt.
    pub call: CallId,
    /// The answer.
    pub answer: WriteAnswer,
}

/// How an attempt to write ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteAnswer {
    /// Rows are durable, except those listed otherwise.
    Acknowledged(Acknowledged),
    /// For certain nothing of this attempt happened, nor will.
    Refused(Reason),
    /// No answer, or one that leaves it open: it may have happened, or happen yet.
    Unknown(String),
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The region that accepted it.
    pub region: RegionId,
    /// Rows durable for which a newer event stood.
    #[serde(default)]
    pub superseded: u32,
    /// Rows that were not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedRow>,
    /// Rows without an answer by the deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<u32>,
    /// The token that covers the durable rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenBytes>,
}

/// A row that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RejectedRow {
    /// Which row of the write.
    pub row: u32,
    /// Why.
    pub reason: Reason,
}

impl RejectedRow {
    /// Whether the row is at fault, so that every attempt is told the same. Otherwise this attempt
    /// could not place it, and another one may have, or may yet.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        self.reason.action() == Action::Correct
    }
}

/// See [`Event::LookupIssued`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupIssued {
    /// This call.
    pub call: CallId,
    /// What is asked for.
    pub wanted: Vec<Wanted>,
    /// The token it carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenBytes>,
}

/// Features of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Which row.
    pub row: RowKey,
    /// Which of its features, in the order of the answer.
    pub features: Vec<FeatureId>,
}

/// See [`Event::LookupAnswered`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswered {
    /// Which call.
    pub call: CallId,
    /// The answer.
    pub answer: LookupAnswer,
}

/// How a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupAnswer {
    /// Values and statuses.
    Values(Values),
    /// `STALE`: the token or the bound on staleness was not met by the deadline.
    Stale,
    /// Any other error, or no answer.
    Failed(String),
}

/// The answer to a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Values {
    /// For each wanted row, a cell for each wanted feature.
    pub rows: Vec<Vec<ReadCell>>,
    /// The region that answered.
    pub region: RegionId,
    /// The node that answered, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub replica: String,
    /// Whether the answer says that it does not meet the token or the bound.
    #[serde(default)]
    pub stale: bool,
    /// The claimed staleness per origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ages: Vec<OriginAge>,
    /// The token that covers what was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenBytes>,
}

/// How old an answer claims to be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginAge {
    /// Of which region's writes.
    pub origin: RegionId,
    /// Microseconds; `None` is unknown.
    pub micros: Option<u64>,
}

/// The status of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// There is a value.
    Present,
    /// Somebody wrote a null.
    NullValue,
    /// No row, or this cell was never set.
    NotFound,
    /// The value is past its TTL.
    OutsideMaxAge,
    /// The value cannot be had now.
    Unavailable,
}

/// One value of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadCell {
    /// Its status.
    pub status: Status,
    /// The value: of what is present, or the default filled in for what is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Datum>,
    /// Its event time, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTime>,
}

/// See [`Event::FinalRead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalRead {
    /// The replica that was read, alone.
    pub replica: String,
    /// When the read left.
    pub began: Micros,
    /// What was asked for.
    pub wanted: Wanted,
    /// A cell for each feature.
    pub cells: Vec<ReadCell>,
}

/// See [`Event::Primary`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// The region.
    pub region: RegionId,
    /// The shard.
    pub shard: ShardId,
    /// The epoch in which it acts.
    pub epoch: Epoch,
    /// The node.
    #[serde(with = "text")]
    pub node: NodeId,
    /// The run of its process.
    #[serde(with = "text")]
    pub boot: BootId,
}

/// See [`Event::Committed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The region whose log it is.
    pub region: RegionId,
    /// The shard.
    pub shard: ShardId,
    /// The epoch of the entry.
    pub epoch: Epoch,
    /// Its position.
    pub position: Position,
    /// A digest of its bytes.
    pub digest: u64,
    /// Who holds it.
    #[serde(with = "text")]
    pub node: NodeId,
}

/// See [`Event::Shipped`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The stream.
    pub stream: Stream,
    /// The incarnation.
    pub incarnation: Incarnation,
    /// The sequence.
    pub sequence: Sequence,
    /// A digest of its bytes.
    pub digest: u64,
    /// The stamp of its last row, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hlc: Option<Hlc>,
}

/// See [`Event::Closed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The stream.
    pub stream: Stream,
    /// The incarnation.
    pub incarnation: Incarnation,
    /// The last sequence that may be stamped at or below.
    pub sequence: Sequence,
    /// Nothing past the sequence is stamped at or below this.
    pub hlc: Hlc,
    /// Who says so.
    pub by: String,
}

/// See [`Event::Holds`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Whose disk.
    pub replica: String,
    /// The region.
    pub region: RegionId,
    /// The shard.
    pub shard: ShardId,
    /// Up to where it is committed there.
    pub position: Position,
    /// How many rows there are.
    pub rows: u64,
    /// A digest of them.
    pub digest: u64,
}
