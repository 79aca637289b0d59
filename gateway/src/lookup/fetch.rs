//! Step 3 of a lookup: the rows come, from replicas that somebody else chooses.
//!
//! The gateway says what it wants, and in which shards that lies; which replica answers, when a
//! second one is asked, and what waits for a token is the business of [`Replicas`].

mod keys;
mod part;

pub use keys::KeyBatch;
pub use part::{GroupRows, Part};

pub(super) use part::{Rows, fit};

use super::{course::Attempt, layout::Layout};
use crate::{
    edge::{Deadline, Moment},
    trace::Trace,
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::{
    id::{EntityId, ProjectId, Revision, ShardId},
    key::KeyHash,
    reason::Refusal,
};
use std::{sync::Arc, time::Duration};

/// Reads rows from replicas.
#[async_trait]
pub trait Replicas: Send + Sync {
    /// Reads, and answers by the deadline with what came until then. A refusal is a fault of the
    /// call itself, which no replica and no wait would mend; a shard that fails is none.
    async fn fetch(&self, fetch: Arc<Fetch>) -> Result<Fetched, Refusal>;
}

/// What one lookup reads.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The project.
    pub project: ProjectId,
    /// The revision it was planned under.
    pub revision: Revision,
    /// The shards touched, each once. What is read of one shard is read at one applied position.
    pub shards: Vec<ShardId>,
    /// What to read, by entity.
    pub groups: Vec<GroupRead>,
    /// What the answer must reflect; empty for nothing.
    pub token: Bytes,
    /// How old the answer may be.
    pub max_staleness: Option<Duration>,
    /// When the answer must be there.
    pub deadline: Deadline,
    /// The trace of the call.
    pub trace: Option<Trace>,
}

/// Keys of one entity, and the views read for each of them.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRead {
    /// The entity.
    pub entity: EntityId,
    /// The keys. Each fills the row of the answer that has its number.
    pub keys: KeyBatch,
    /// Their hashes; [`KeyHash::with_view`] gives a view's.
    pub hashes: Vec<KeyHash>,
    /// The shard of each key, as its place in [`Fetch::shards`].
    pub places: Vec<u16>,
    /// The views and their columns.
    pub views: Vec<Arc<Layout>>,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// The rows, each key in one part at most. Values of keys in none are unavailable.
    pub parts: Vec<Part>,
    /// Why shards have no rows.
    pub refused: Vec<(ShardId, Refusal)>,
    /// Token or staleness was not met by the deadline.
    pub is_stale: bool,
    /// By origin, a moment of this gateway's clock such that every write acknowledged before it is
    /// in the answer; `None` is unknown.
    pub complete_at: Vec<(String, Option<Moment>)>,
    /// What a later call may ask to be reflected.
    pub token: Bytes,
    /// The nodes that were asked.
    pub attempts: Vec<Attempt>,
}
