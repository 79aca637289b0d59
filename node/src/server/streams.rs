//! How the streams between regions stood lately on this node: what its primaries receive of others, and
//! what they have still to send.
//!
//! The region's driver asks the shards several times a second how they are; what they say of streams is
//! kept here, so that whoever is curious takes no time of theirs.

use super::shards::{LinkReport, NodeReport, OutboxReport};
use parking_lot::RwLock;
use proto::id::ShardId;
use replication::RoleName;
use std::sync::Arc;

/// The streams of one shard whose primary is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStreams {
    /// The shard.
    pub shard: ShardId,
    /// What comes from other regions.
    pub links: Vec<LinkReport>,
    /// What goes there.
    pub outboxes: Vec<OutboxReport>,
}

/// See the module. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<RwLock<Option<Arc<Vec<ShardStreams>>>>>);

impl Streams {
    /// Takes note of how the shards are.
    pub fn note(&self, report: &NodeReport) {
        let primaries = report.shards.iter();
        let primaries = primaries.filter(|shard| shard.role == RoleName::Primary);
        let streams = primaries.map(|shard| ShardStreams {
            shard: shard.shard,
            links: shard.links.clone(),
            outboxes: shard.outboxes.clone(),
        });
        *self.0.write() = Some(Arc::new(streams.collect()));
    }

    /// The shards do not answer: what they said before holds no more.
    pub fn forget(&self) {
        *self.0.write() = None;
    }

    /// The streams of the shards whose primaries are here, by shard; none while that is not known.
    #[must_use]
    pub fn read(&self) -> Option<Arc<Vec<ShardStreams>>> {
        self.0.read().clone()
    }
}
