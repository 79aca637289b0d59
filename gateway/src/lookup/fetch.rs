//! Step 3 of a lookup: the rows come, from replicas that somebody else chooses.
//!
//! The gateway says what it wants of each shard; which replica answers, when a second one is asked,
//! and what waits for a token is the business of [`Replicas`].

use super::{layout::Layout, staging::Staging};
use crate::edge::Deadline;
use async_trait::async_trait;
use bytes::Bytes;
use proto::{
    id::{EntityId, ProjectId, Revision, ShardId},
    key::{Key, KeyHash},
    reason::{Reason, Refusal},
};
use std::{sync::Arc, time::Duration};

/// Reads rows from replicas.
#[async_trait]
pub trait Replicas: Send + Sync {
    /// Reads, and answers by the deadline with what came until then: one outcome for each of
    /// `fetch.reads`, in their order.
    async fn fetch(&self, fetch: Arc<Fetch>) -> Fetched;
}

/// What one lookup reads.
#[derive(Debug)]
pub struct Fetch {
    /// The project.
    pub project: ProjectId,
    /// The revision it was planned under.
    pub revision: Revision,
    /// What to read, by shard.
    pub reads: Vec<ShardRead>,
    /// What the answer must reflect; empty for nothing.
    pub token: Bytes,
    /// How old the answer may be.
    pub max_staleness: Option<Duration>,
    /// When the answer must be there.
    pub deadline: Deadline,
}

/// What is read in one shard, all of it at one applied position.
#[derive(Debug, Clone)]
pub struct ShardRead {
    /// The shard.
    pub shard: ShardId,
    /// What is read there by one entity's keys each.
    pub groups: Vec<GroupRead>,
}

/// Keys of one entity, and the views read for each of them.
#[derive(Debug, Clone)]
pub struct GroupRead {
    /// The entity.
    pub entity: EntityId,
    /// The keys.
    pub keys: KeyBatch,
    /// Their hashes; [`KeyHash::with_view`] gives a view's.
    pub hashes: Vec<KeyHash>,
    /// The views and their columns.
    pub views: Vec<Arc<Layout>>,
    /// Which row of the answer each key fills. The gateway's own.
    pub(super) rows: Vec<u32>,
    /// Which entity group of the selection this is. The gateway's own.
    pub(super) group: usize,
}

impl GroupRead {
    pub(super) fn new(group: usize, entity: EntityId, views: Vec<Arc<Layout>>) -> Self {
        Self {
            entity,
            keys: KeyBatch::default(),
            hashes: Vec::new(),
            views,
            rows: Vec::new(),
            group,
        }
    }
}

/// Canonical keys end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyBatch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl KeyBatch {
    /// Adds a key.
    pub fn push(&mut self, key: &Key) {
        self.bytes.extend_from_slice(key.as_bytes());
        self.ends
            .push(u32::try_from(self.bytes.len()).expect("10,000 keys of 1 KiB fit"));
    }

    /// Takes keys that lie end to end in `bytes`, each up to its end.
    #[must_use]
    pub fn from_joined(bytes: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let fits = ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == bytes.len();
        fits.then_some(Self { bytes, ends })
    }

    /// The keys end to end, and where each ends.
    #[must_use]
    pub fn joined(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The canonical bytes of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.bytes[start as usize..*end as usize])
    }
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// For each read its rows, or why there are none: their values are unavailable.
    pub shards: Vec<Result<ShardRows, Refusal>>,
    /// Token or staleness was not met by the deadline.
    pub is_stale: bool,
    /// By origin, an age such that every write acknowledged longer ago is in the answer; `None` is
    /// unknown.
    pub staleness: Vec<(String, Option<Duration>)>,
    /// What a later call may ask to be reflected.
    pub token: Bytes,
}

/// One shard's rows: for each group, for each of its views, in the order that was asked for.
#[derive(Debug)]
pub struct ShardRows {
    /// Staged rows by group and view.
    pub groups: Vec<Vec<Staging>>,
}

/// Fetches, and turns what does not fit its read into a failed shard: a wrong shape must never
/// become a wrong value.
pub(super) async fn fetch(replicas: &dyn Replicas, fetch: &Arc<Fetch>) -> Fetched {
    let mut fetched = replicas.fetch(Arc::clone(fetch)).await;
    fetched.shards.truncate(fetch.reads.len());
    while fetched.shards.len() < fetch.reads.len() {
        fetched.shards.push(Err(Refusal::new(
            Reason::Internal,
            "no outcome for the shard",
        )));
    }
    for (outcome, read) in fetched.shards.iter_mut().zip(&fetch.reads) {
        if outcome.as_ref().is_ok_and(|rows| !fits(rows, read)) {
            tracing::error!(
                shard = read.shard.0,
                "a replica's rows do not fit what was asked for"
            );
            *outcome = Err(Refusal::new(
                Reason::Internal,
                "the rows do not fit the read",
            ));
        }
    }
    fetched
}

fn fits(rows: &ShardRows, read: &ShardRead) -> bool {
    rows.groups.len() == read.groups.len()
        && rows
            .groups
            .iter()
            .zip(&read.groups)
            .all(|(stagings, group)| {
                stagings.len() == group.views.len()
                    && stagings.iter().zip(&group.views).all(|(staging, layout)| {
                        staging.layout() == layout && staging.rows() == group.keys.len()
                    })
            })
}
