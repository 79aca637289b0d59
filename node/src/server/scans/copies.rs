//! Copies of what another region has of a shard, for a link whose transport lost what it needs. They are
//! merged, and replace nothing.

use super::{
    PAGE_WITHIN,
    codec::{self, Answer, Asked, Mark, Marks},
};
use crate::{
    peer::{Class, Mesh},
    server::{
        methods::Call,
        rosters::Rosters,
        shards::{Copied, CopyOrder, Input, LinkInput},
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use proto::{
    id::{NodeId, ViewId},
    record::RecordView,
};
use raft::registry::Catalog;
use replication::link::StreamMark;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Copies that are fetched at once: each has pages in memory and the log's thread at work.
const AT_ONCE: usize = 2;

/// Fetches what links order.
#[derive(Clone)]
pub struct Copies {
    mesh: Arc<Mesh>,
    rosters: Rosters,
    catalogs: watch::Receiver<Arc<Catalog>>,
    inputs: mpsc::Sender<Input>,
    under_way: Arc<Mutex<BTreeSet<CopyOrder>>>,
    room: Arc<Semaphore>,
}

impl Copies {
    /// Over `mesh`, from the nodes that `rosters` name.
    #[must_use]
    pub fn new(
        (mesh, rosters): (Arc<Mesh>, Rosters),
        catalogs: watch::Receiver<Arc<Catalog>>,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            mesh,
            rosters,
            catalogs,
            inputs,
            under_way: Arc::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Fetches for as long as the node runs. A link orders again what did not come.
    pub async fn run(self, mut orders: mpsc::Receiver<CopyOrder>) {
        while let Some(order) = orders.recv().await {
            if !self.under_way.lock().insert(order) {
                continue;
            }
            let copies = self.clone();
            tokio::spawn(async move {
                if let Ok(_permit) = copies.room.acquire().await {
                    copies.fetch(order).await;
                }
                copies.under_way.lock().remove(&order);
            });
        }
    }

    /// From the first node of the origin that gives it.
    async fn fetch(&self, order: CopyOrder) {
        let Some(roster) = self.rosters.of(order.origin) else {
            return;
        };
        let holders = roster
            .members
            .values()
            .filter(|member| member.store.is_some());
        for member in holders {
            self.mesh.hear(member.node, &member.addresses.peer);
            match self.fetch_from(member.node, order).await {
                Ok(rows) => {
                    let (shard, origin) = (order.shard, order.origin.0);
                    tracing::info!(%shard, origin, rows, "a copy of another region is merged");
                    return;
                }
                Err(why) => {
                    let (shard, origin) = (order.shard, order.origin.0);
                    tracing::debug!(%shard, origin, node = %member.node, why, "no copy yet");
                }
            }
        }
    }

    async fn fetch_from(&self, node: NodeId, order: CopyOrder) -> Result<usize, String> {
        let shard = order.shard;
        let Answer::Marks(marks) = self.ask(node, &Asked::Marks { shard }).await? else {
            return Err("another answer than was asked for".into());
        };
        let Marks {
            revision,
            applied,
            streams,
        } = marks;
        let catalog = Arc::clone(&self.catalogs.borrow());
        // What the marks cover may be of views that are not known here yet.
        if catalog.revision() < revision {
            return Err("definitions are on their way".into());
        }
        let is_it = |mark: &&Mark| mark.origin == order.origin && mark.placement == order.placement;
        let Some(mark) = streams.iter().find(is_it) else {
            return Err("it has nothing of the stream".into());
        };
        let of_placement = catalog
            .views()
            .filter(|view| view.view.placement == order.placement);
        let views: Vec<ViewId> = of_placement.map(|view| view.view.id).collect();
        let mut rows = 0;
        for view in views {
            rows += self.fetch_view(node, order, view).await?;
        }
        let ended = Copied::All {
            mark: StreamMark {
                reached: mark.reached,
                hlc: mark.hlc,
                position: applied.0,
            },
            start: mark.start.clone(),
        };
        self.hand_over(order, ended).await?;
        Ok(rows)
    }

    async fn fetch_view(
        &self,
        node: NodeId,
        order: CopyOrder,
        view: ViewId,
    ) -> Result<usize, String> {
        let shard = order.shard;
        let session = match self.ask(node, &Asked::OpenCopy { view, shard }).await? {
            Answer::Opened { session, .. } => session,
            Answer::Refused(why) => return Err(why),
            Answer::Page(_) | Answer::Marks(_) | Answer::End => {
                return Err("another answer than was asked for".into());
            }
        };
        let mut rows = 0;
        loop {
            match self.ask(node, &Asked::Next { session }).await? {
                Answer::Page(page) => {
                    rows += check(&page)?;
                    self.hand_over(order, Copied::Rows(page)).await?;
                }
                Answer::End => return Ok(rows),
                Answer::Refused(why) => return Err(why),
                Answer::Opened { .. } | Answer::Marks(_) => {
                    return Err("another answer than was asked for".into());
                }
            }
        }
    }

    async fn ask(&self, node: NodeId, asked: &Asked) -> Result<Answer, String> {
        let (call, payload) = (Call::Scan as u8, codec::encode_asked(asked));
        let answer = self
            .mesh
            .call(node, Class::Bulk, call, payload, PAGE_WITHIN);
        let answer = answer.await.map_err(|error| error.to_string())?;
        codec::decode_answer(&answer).map_err(|error| error.to_string())
    }

    /// Waits until the shard has taken it, so that no more than a page is in memory.
    async fn hand_over(&self, order: CopyOrder, copied: Copied) -> Result<(), String> {
        let (done, taken) = oneshot::channel();
        let input = LinkInput::Copied {
            order,
            copied,
            done,
        };
        let gone = |_| "the node stops".to_owned();
        self.inputs
            .send(Input::Link(input))
            .await
            .map_err(|_| "the node stops".to_owned())?;
        taken.await.map_err(gone)?
    }
}

/// How many records a page has; all of them are sound.
fn check(page: &Bytes) -> Result<usize, String> {
    let (mut rest, mut rows) = (&page[..], 0);
    while !rest.is_empty() {
        let record = RecordView::parse(rest).map_err(|error| error.to_string())?;
        record.verify().map_err(|error| error.to_string())?;
        rest = &rest[record.bytes().len()..];
        rows += 1;
    }
    Ok(rows)
}
