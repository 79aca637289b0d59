//! Rows of whole views, for exports: this node's own shards, and those of others.
//!
//! Between nodes a scan is a session on the node that holds the shard: opened, read page by page, and
//! forgotten at its end, or when nobody asks for a while. What it pins stays on disk until then.
//!
//! ```text
//! asked:    version 1 | kind 1 | open, open a copy: view 4, shard 2 · next: session 8 · marks: shard 2
//! answered: version 1 | kind 1 | opened: session 8, applied 8 · page: records · end · refused: text
//!           · marks: revision 8, applied 8, streams 4, each: origin 2, placement 2, incarnation 4,
//!             sequence 8, HLC 8, length 4, lineage
//! ```

mod codec;
mod copies;
mod sessions;

use super::{fetch::OwnShards, methods::Call, region::RegionView};
use crate::peer::{Class, Mesh};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Answer, Asked};
pub use copies::Copies;
use gateway::{
    failure::Failure,
    scan::{Records, Scanner},
};
use proto::{
    id::{NodeId, Position, ShardId, ViewId},
    reason::Reason,
    schema::Schemas,
};
use raft::group::Blocking;
pub use sessions::TakenScans;
use std::{sync::Arc, time::Duration};
use store::{Store, ViewScan};

/// About how many bytes of records a page has: a few of them are in memory for each export.
const PAGE_BYTES: usize = 1 << 20;
/// How long another node may take for one page.
const PAGE_WITHIN: Duration = Duration::from_secs(10);

/// Scans shards of the region, wherever they are.
pub struct Scans {
    store: Arc<Store>,
    own: OwnShards,
    region: RegionView,
    mesh: Arc<Mesh>,
    place: Blocking,
}

impl Scans {
    /// Scans this node's `store` where `own` says that it can be read, else other nodes.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        own: OwnShards,
        region: RegionView,
        mesh: Arc<Mesh>,
        place: Blocking,
    ) -> Self {
        Self {
            store,
            own,
            region,
            mesh,
            place,
        }
    }

    /// The nodes that hold a shard in sync, its primary first.
    fn holders(&self, shard: ShardId) -> Vec<NodeId> {
        let placement = self.region.placement();
        let Some(config) = placement.shards.get(&shard) else {
            return Vec::new();
        };
        let primary = config.primary.node;
        let backups = config.in_sync.iter().map(|replica| replica.node);
        let backups = backups.filter(|node| *node != primary);
        [primary].into_iter().chain(backups).collect()
    }

    async fn scan_own(&self, view: ViewId, shard: ShardId) -> Option<OwnRecords> {
        if !is_readable(&self.own, shard) {
            return None;
        }
        let store = Arc::clone(&self.store);
        let scan = move || store.scan_view(shard, view);
        let scan = self.place.run(scan).await.ok()?;
        Some(OwnRecords {
            scan: Some(scan),
            applied: Position(0),
            place: self.place,
        })
    }
}

/// Whether rows of a shard may be shown from this node.
fn is_readable(own: &OwnShards, shard: ShardId) -> bool {
    let standings = own.standings();
    standings.get(&shard).is_some_and(|own| own.is_readable)
}

#[async_trait]
impl Scanner for Scans {
    async fn scan(&self, view: ViewId, shard: ShardId) -> Result<Box<dyn Records>, Failure> {
        let me = self.region.me();
        let mut said = "no node of the region holds it in sync".to_owned();
        for node in self.holders(shard) {
            if node == me {
                if let Some(records) = self.scan_own(view, shard).await {
                    return Ok(Box::new(records));
                }
                continue;
            }
            let remote = RemoteScan {
                node,
                mesh: Arc::clone(&self.mesh),
                session: 0,
                applied: Position(0),
            };
            match remote.open(view, shard).await {
                Ok(records) => return Ok(Box::new(records)),
                Err(failure) => said = failure.message,
            }
        }
        let message = format!("shard {shard} cannot be scanned now: {said}; begin the part again");
        Err(Failure::new(Reason::NoPrimary, message))
    }

    fn schemas(&self) -> Arc<dyn Schemas + Send + Sync> {
        self.own.catalog()
    }
}

/// Rows of this node's store.
struct OwnRecords {
    /// None while it reads, and after it failed.
    scan: Option<ViewScan>,
    applied: Position,
    place: Blocking,
}

#[async_trait]
impl Records for OwnRecords {
    fn applied(&self) -> Position {
        self.scan.as_ref().map_or(self.applied, ViewScan::applied)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.applied = self.applied();
        let Some(mut scan) = self.scan.take() else {
            return Err(gone("it failed before"));
        };
        let read = move || {
            let records = scan.next_records(PAGE_BYTES);
            (scan, records)
        };
        let (scan, records) = self.place.run(read).await;
        let records = records.map_err(|error| gone(&error.to_string()))?;
        self.scan = Some(scan);
        Ok(records)
    }
}

fn gone(why: &str) -> Failure {
    let message = format!("a shard's scan ended early: {why}; begin the part again");
    Failure::new(Reason::NotReady, message)
}

/// Rows of another node's store.
struct RemoteScan {
    node: NodeId,
    mesh: Arc<Mesh>,
    session: u64,
    applied: Position,
}

impl RemoteScan {
    async fn open(mut self, view: ViewId, shard: ShardId) -> Result<Self, Failure> {
        match self.ask(Asked::Open { view, shard }).await? {
            Answer::Opened { session, applied } => {
                (self.session, self.applied) = (session, applied);
                Ok(self)
            }
            Answer::Refused(why) => Err(gone(&why)),
            Answer::Page(_) | Answer::Marks(_) | Answer::End => {
                Err(gone("another answer than was asked for"))
            }
        }
    }

    async fn ask(&self, asked: Asked) -> Result<Answer, Failure> {
        let (call, payload) = (Call::Scan as u8, codec::encode_asked(&asked));
        let answer = self
            .mesh
            .call(self.node, Class::Request, call, payload, PAGE_WITHIN);
        let answer = answer.await.map_err(|error| gone(&error.to_string()))?;
        codec::decode_answer(&answer).map_err(|error| gone(&error.to_string()))
    }
}

#[async_trait]
impl Records for RemoteScan {
    fn applied(&self) -> Position {
        self.applied
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let session = self.session;
        match self.ask(Asked::Next { session }).await? {
            Answer::Page(records) => Ok(Some(records)),
            Answer::End => Ok(None),
            Answer::Refused(why) => Err(gone(&why)),
            Answer::Opened { .. } | Answer::Marks(_) => {
                Err(gone("another answer than was asked for"))
            }
        }
    }
}
