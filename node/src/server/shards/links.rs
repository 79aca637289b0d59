//! Streams between regions on the log's thread: for each shard that this node leads, the cores that take
//! other regions' streams and those that ship the own ones, and what both say in heartbeats.
//!
//! No decision is taken here. Records come from readers' threads as inputs; what the cores ask for goes to
//! those threads as orders, and to writers, which do not block. A shard's cores live as long as this node
//! appends for it.

mod applying;
mod beating;
mod board;
mod copying;
mod load;
mod receiving;
mod sending;
mod shipped;
mod streams;

pub use board::LinkBoard;
pub use copying::{Copied, CopyOrder};
pub use load::{Load, Loaded};
pub use receiving::{Arrived, Beat, Came};
pub use streams::Streams;

use super::driver::{Driver, replication_now};
use crate::{
    region_log::{LogWriter, Partition, RegionLogs},
    server::confirmations::Confirmations,
};
use proto::id::{BootId, ClusterId, Incarnation, NodeId, PlacementId, RegionId, ShardId};
use receiving::{Incoming, Receiving};
use replication::{
    Micros, RoleName,
    link::{Echoes, LinkEvent},
    settings::CLOSE_INTERVAL,
};
use sending::{Outgoing, Sending};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Links look at the time with every so many of the driver's ticks.
const TICKS: u64 = 4;

/// What comes from what carries records.
pub enum LinkInput {
    /// Records of another region's log.
    Came(Came),
    /// A part of a copy that was ordered.
    Copied {
        /// Which.
        order: CopyOrder,
        /// The part.
        copied: Copied,
        /// Told once it is appended, or why it is not.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// A session of writing to the own region's log began.
    Opened {
        /// Of which placement's log.
        placement: PlacementId,
        /// What it is written with.
        writer: Box<dyn LogWriter>,
    },
}

/// What links are made of.
pub struct LinkParts {
    /// The cluster.
    pub cluster: ClusterId,
    /// What carries records; none where the cluster has no such transport.
    pub logs: Option<Arc<dyn RegionLogs>>,
    /// What is said to those who read this node's log itself.
    pub board: LinkBoard,
    /// Where copies of what other regions have are ordered.
    pub copies: mpsc::Sender<CopyOrder>,
    /// What other regions say that they hold.
    pub confirmations: Confirmations,
}

/// The cores of one shard.
pub(super) struct ShardLinks {
    /// By origin and placement.
    receiving: BTreeMap<(RegionId, PlacementId), Receiving>,
    /// By placement.
    sending: BTreeMap<PlacementId, Sending>,
}

/// See the module.
pub(super) struct Links {
    cluster: ClusterId,
    logs: Option<Arc<dyn RegionLogs>>,
    board: LinkBoard,
    copies: mpsc::Sender<CopyOrder>,
    confirmations: Confirmations,
    echoes: Echoes,
    streams: Streams,
    shards: BTreeMap<ShardId, ShardLinks>,
    incoming: BTreeMap<(RegionId, PlacementId), Incoming>,
    outgoing: BTreeMap<PlacementId, Outgoing>,
    next_beat: Micros,
    ticks: u64,
}

impl Links {
    pub(super) fn new(parts: LinkParts, region: RegionId, node: NodeId, boot: BootId) -> Self {
        let LinkParts {
            cluster,
            logs,
            board,
            copies,
            confirmations,
        } = parts;
        Self {
            cluster,
            logs,
            board,
            copies,
            confirmations,
            echoes: Echoes::new(cluster, region, node, boot),
            streams: Streams::default(),
            shards: BTreeMap::new(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            next_beat: Micros(0),
            ticks: 0,
        }
    }

    /// Whether there is another region to speak with.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty() || self.logs.is_none()
    }

    /// Whether what is shipped is one copy for all.
    fn is_shared(&self) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.is_shared())
    }

    fn partition(&self, region: RegionId, shard: ShardId) -> Partition {
        let logs = self.logs.as_ref();
        logs.map_or(Partition(shard.0), |logs| logs.partition(region, shard))
    }
}

impl Driver {
    /// Takes what carries records brought.
    pub(super) fn link(&mut self, input: LinkInput) {
        match input {
            LinkInput::Came(came) => self.records_came(came),
            LinkInput::Opened { placement, writer } => self.writer_opened(placement, writer),
            LinkInput::Copied {
                order,
                copied,
                done,
            } => self.copied(order, copied, done),
        }
    }

    /// Newer definitions: other streams, and rows that can be understood now.
    pub(super) fn relearn_streams(&mut self) {
        let streams = Streams::of(self.catalog.registry(), self.place.region);
        if streams != self.links.streams {
            self.links.streams = streams;
            let shards: Vec<ShardId> = self.links.shards.keys().copied().collect();
            for shard in shards {
                self.close_links(shard);
            }
            self.forget_transports();
        }
        self.tell_links(&LinkEvent::CatalogChanged);
    }

    /// Opens and closes the cores of shards that this node began or ceased to lead, and lets time pass.
    pub(super) fn tick_links(&mut self) {
        if self.links.is_idle() {
            return;
        }
        self.links.ticks += 1;
        let replicas = self.replicas.iter();
        let leads = replicas.filter(|(_, replica)| replica.appends());
        let begun: Vec<ShardId> = leads
            .map(|(shard, _)| *shard)
            .filter(|shard| !self.links.shards.contains_key(shard))
            .collect();
        for shard in begun {
            self.open_links(shard);
        }
        self.take_reports();
        if self.links.ticks.is_multiple_of(TICKS) {
            self.tell_links(&LinkEvent::Tick);
            self.log_shipped();
        }
        self.order_reads();
        let now = replication_now(self.now).monotonic;
        if now >= self.links.next_beat {
            self.links.next_beat = now.plus(CLOSE_INTERVAL);
            self.beat();
        }
        self.tell_ages(now);
    }

    /// The cores of a shard end with this node's lead: another primary may append before it leads again.
    pub(super) fn note_role(&mut self, shard: ShardId) {
        let replica = self.replicas.get(&shard);
        let leads = replica.is_some_and(|replica| replica.role() == RoleName::Primary);
        if !leads && self.links.shards.contains_key(&shard) {
            self.close_links(shard);
        }
    }

    fn open_links(&mut self, shard: ShardId) {
        let mut links = ShardLinks {
            receiving: BTreeMap::new(),
            sending: BTreeMap::new(),
        };
        let streams = self.links.streams.clone();
        for placement in streams.own() {
            links
                .sending
                .insert(placement, self.open_sending(shard, placement));
            if self.links.is_shared() {
                self.begin_writing(placement);
            }
        }
        let replica = self.replicas.get(&shard);
        let is_reborn = replica.is_some_and(|replica| replica.fence().incarnation > Incarnation(1));
        self.links.board.begin(shard, is_reborn);
        for (origin, placement) in streams.others() {
            let receiving = self.open_receiving(shard, origin, placement);
            links.receiving.insert((origin, placement), receiving);
            self.begin_reading(origin, placement);
        }
        self.links.shards.insert(shard, links);
        self.start_sending(shard);
    }

    fn close_links(&mut self, shard: ShardId) {
        let Some(links) = self.links.shards.remove(&shard) else {
            return;
        };
        self.links.board.end(shard);
        for placement in links.sending.keys() {
            self.holds
                .ends_shipping(self.writer.store(), shard, *placement);
        }
        for (origin, placement) in links.receiving.keys() {
            self.stop_reading_where_nobody_does(*origin, *placement, shard);
        }
    }

    fn tell_links(&mut self, event: &LinkEvent) {
        let all = self.links.shards.iter().flat_map(|(shard, links)| {
            let streams = links.receiving.keys();
            streams.map(|stream| (*shard, *stream))
        });
        let all: Vec<_> = all.collect();
        for (shard, stream) in all {
            self.step_link(shard, stream, event.clone());
        }
    }
}
