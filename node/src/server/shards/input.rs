//! What comes to a node's shards, from gateways, peers, the metadata and the disk.

use super::{links::LinkInput, snapshots::SnapshotInput};
use gateway::write::writer::{WriteBatch, WritePart};
use proto::{
    hlc::Hlc,
    id::{NodeId, PlacementId, RegionId, ShardId},
    reason::Refusal,
    request::RequestPart,
    token::Reached,
};
use raft::registry::Catalog;
use replication::{Configuration, Fence, Message, Micros, link::LinkState, requests::Written};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// One thing for the log's thread.
pub enum Input {
    /// A part of a write, to this node as its shard's primary.
    Write(PartWrite),
    /// What a peer's replicas said.
    Messages {
        /// The peer.
        from: NodeId,
        /// What they said.
        messages: Vec<(ShardId, Message)>,
    },
    /// Committed configurations of shards.
    Configurations(Vec<(ShardId, Configuration)>),
    /// Newer definitions.
    Catalog(Arc<Catalog>),
    /// The lane to a peer is open.
    PeerUp(NodeId),
    /// The lane to a peer broke.
    PeerDown(NodeId),
    /// The disk wrote a batch, whose sync comes later, or failed for good.
    Written(Result<store::Batch, String>),
    /// The disk synced what it was given, or failed for good.
    Synced(Result<store::segment::Synced, String>),
    /// The nodes that said of their disks that these are nearly full.
    NearlyFull(BTreeSet<NodeId>),
    /// From what carries streams between regions.
    Link(LinkInput),
    /// About a snapshot, from who sends or takes it.
    Snapshot(SnapshotInput),
    /// Time passed.
    Tick,
    /// Somebody wants to know how things stand.
    Report(oneshot::Sender<NodeReport>),
    /// The node stops: nothing more is taken. What was not answered by now is *unknown* to its caller.
    Stop(oneshot::Sender<()>),
}

/// A part of a write and who waits for it.
pub struct PartWrite {
    /// The request.
    pub batch: Arc<WriteBatch>,
    /// Which of its parts.
    pub place: usize,
    /// The fence its sender acts on.
    pub fence: Fence,
    /// Its stamps will be larger.
    pub follows: Hlc,
    /// Whom to answer. One that went away is no fault.
    pub reply: oneshot::Sender<PartAnswer>,
}

impl PartWrite {
    /// The part.
    #[must_use]
    pub fn part(&self) -> &WritePart {
        &self.batch.parts[self.place]
    }

    /// Its number in its shard.
    #[must_use]
    pub fn number(&self) -> RequestPart {
        self.part().part
    }
}

/// What became of a part at the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartAnswer {
    /// It is committed, on so many replicas.
    Written {
        /// The first answer, for each repeat.
        written: Written,
        /// Replicas that hold it.
        copies: u32,
    },
    /// Nothing of it happened.
    Refused {
        /// Why.
        refusal: Refusal,
        /// When to try again, where that helps.
        retry_after: Option<Duration>,
    },
    /// It may have happened.
    Unknown,
}

/// How the shards of this node stand.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// Each of them.
    pub shards: Vec<ShardReport>,
    /// For how long the disk has been at work on what it has now.
    pub disk_busy_for: Duration,
    /// Whether it has so little room that no writes are taken.
    pub is_nearly_full: bool,
}

/// How one shard stands on this node.
#[derive(Debug, Clone)]
pub struct ShardReport {
    /// The shard.
    pub shard: ShardId,
    /// What this replica is to it.
    pub role: replication::RoleName,
    /// Its fence.
    pub fence: Fence,
    /// The end of its log.
    pub end: replication::Mark,
    /// What is committed.
    pub committed: replication::Mark,
    /// Whether the disk has lost something of it that was durable.
    pub is_damaged: bool,
    /// Its streams from other regions; none where this replica is not the shard's primary.
    pub links: Vec<LinkReport>,
    /// Its own streams on their way to other regions; none where this replica is not the shard's
    /// primary.
    pub outboxes: Vec<OutboxReport>,
}

/// How one stream of another region stands at the primary that receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The region that the stream comes from.
    pub origin: RegionId,
    /// The stream's placement.
    pub placement: PlacementId,
    /// What the link is at.
    pub state: LinkState,
    /// Everything acknowledged there before this instant of this node's monotonic clock is applied here;
    /// `None` is unknown.
    pub complete_at: Option<Micros>,
    /// The last entry of it that is committed here.
    pub reached: Reached,
}

/// How one own stream stands at the primary that sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxReport {
    /// The stream's placement.
    pub placement: PlacementId,
    /// The last entry of it that is to be sent.
    pub end: Reached,
    /// The last entry that the transport has for good.
    pub delivered: Reached,
    /// Bytes of the entries between the two.
    pub backlog_bytes: usize,
}
