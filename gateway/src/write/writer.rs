//! Step 4 of a write: the rows go to the primaries of their shards, which somebody else finds.
//!
//! The gateway says what is written where; which node is primary, when to try again and when to
//! forward is the business of [`Writer`].

use crate::edge::Deadline;
use async_trait::async_trait;
use bytes::Bytes;
use proto::{
    id::{FeatureId, PlacementId, ProjectId, RegionId, Revision, SchemaVersion, ShardId, ViewId},
    key::{Key, KeyHash},
    reason::Refusal,
    request::{RequestId, RequestPart, WriteOutcome},
    row::Content,
    time::EventTime,
};
use std::{sync::Arc, time::Duration};

/// Has rows written.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Writes, and answers by the deadline: one outcome for each of `batch.parts`, in their order.
    async fn write(&self, batch: Arc<WriteBatch>) -> Written;
}

/// When a write is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// Durable in this region.
    #[default]
    Region,
    /// Held by one other region too.
    OneOther,
    /// Held by all holders.
    All,
}

/// One request's rows.
#[derive(Debug, Clone)]
pub struct WriteBatch {
    /// The project.
    pub project: ProjectId,
    /// The revision it was planned under.
    pub revision: Revision,
    /// The request.
    pub id: RequestId,
    /// When to answer.
    pub ack: Ack,
    /// What the write follows; empty for nothing.
    pub token: Bytes,
    /// The slot that features with `combine` are written to.
    pub slot: RegionId,
    /// When the answer must be there.
    pub deadline: Deadline,
    /// What is written, each part one entry of its shard.
    pub parts: Vec<WritePart>,
}

/// Rows of one shard and placement that become one entry, and so are atomic.
#[derive(Debug, Clone, PartialEq)]
pub struct WritePart {
    /// The shard.
    pub shard: ShardId,
    /// The regions that hold its rows.
    pub placement: PlacementId,
    /// Its number among the request's parts in this shard.
    pub part: RequestPart,
    /// The rows, in the request's order.
    pub rows: Vec<WriteRow>,
}

/// One row as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRow {
    /// Which of the request's writes.
    pub write: u32,
    /// Which row of that write.
    pub row: u32,
    /// The view.
    pub view: ViewId,
    /// The schema that the cells have.
    pub schema: SchemaVersion,
    /// The entity key.
    pub key: Key,
    /// Its hash.
    pub hash: KeyHash,
    /// When it was true. Where the view is ordered by write time, the primary's stamp replaces it.
    pub event_time: EventTime,
    /// What becomes of the row.
    pub change: Change,
}

/// What a write does to a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Sets these features, in the order of their ids; the others stay.
    Set(Vec<(FeatureId, Content)>),
    /// Deletes the row.
    Delete,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Written {
    /// For each part its outcome.
    pub parts: Vec<PartOutcome>,
    /// Regions that hold all of what was accepted.
    pub confirmed: Vec<String>,
    /// What a later call may ask to be reflected.
    pub token: Bytes,
}

/// What became of a part.
#[derive(Debug, Clone)]
pub enum PartOutcome {
    /// It is durable.
    Done {
        /// Row by row.
        outcome: WriteOutcome,
        /// On how many replicas of the region.
        copies: u32,
    },
    /// Nothing of it happened.
    Refused {
        /// Why.
        refusal: Refusal,
        /// When to try again, where that helps.
        retry_after: Option<Duration>,
    },
    /// No answer came by the deadline: it may have happened.
    Unknown,
}
