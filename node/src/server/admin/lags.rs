//! How old the shards of each node can be, and how its streams between regions stand: asked of the nodes
//! themselves.

use super::lag::{Told, decode, encode, others};
use crate::{
    components::Clock,
    peer::{Class, Failure, Mesh},
    server::{methods::Call, peers::Service, shards::Board, streams::Streams},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use proto::id::{NodeId, RegionId};
use raft::registry::Catalog;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// A node that does not answer within this is shown as unknown: a person waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Asks, and answers for this node's own shards.
#[derive(Clone)]
pub struct Lags {
    own: RegionId,
    board: Board,
    streams: Streams,
    catalogs: watch::Receiver<Arc<Catalog>>,
    mesh: Arc<Mesh>,
    clock: Arc<dyn Clock>,
}

impl Lags {
    /// Of the shards that `board` and `streams` tell of, in the region `own`, and of other nodes over `mesh`.
    #[must_use]
    pub fn new(
        (own, catalogs): (RegionId, watch::Receiver<Arc<Catalog>>),
        (board, streams): (Board, Streams),
        mesh: Arc<Mesh>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            own,
            board,
            streams,
            catalogs,
            mesh,
            clock,
        }
    }

    /// What each of `nodes` says, and the longest since it said so; nodes that do not answer in time are
    /// left out.
    pub(super) async fn of(&self, nodes: Vec<NodeId>) -> (BTreeMap<NodeId, Told>, Duration) {
        let began = self.now_micros();
        let asked = nodes.into_iter().map(|node| async move {
            let told = if node == self.mesh.me().node {
                Some(self.own())
            } else {
                self.ask(node).await
            };
            Some((node, told?))
        });
        let told = join_all(asked).await.into_iter().flatten().collect();
        let waited = self.now_micros().saturating_sub(began);
        (told, Duration::from_micros(waited))
    }

    async fn ask(&self, node: NodeId) -> Option<Told> {
        let (call, payload) = (Call::Lag as u8, Bytes::new());
        let answer = self
            .mesh
            .call(node, Class::Metadata, call, payload, ANSWER_WITHIN);
        decode(&answer.await.ok()?).ok()
    }

    /// What this node says.
    pub(in crate::server) fn own(&self) -> Told {
        let catalog = Arc::clone(&self.catalogs.borrow());
        let regions = (self.own, others(catalog.registry(), self.own));
        let streams = self.streams.read();
        let streams = streams.as_deref().map(Vec::as_slice);
        Told::of(regions, &self.board.read(), streams, self.now_micros())
    }

    fn now_micros(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }
}

#[async_trait]
impl Service for Lags {
    async fn call(&self, _: NodeId, _: Bytes) -> Result<Bytes, Failure> {
        Ok(encode(&self.own()))
    }
}
