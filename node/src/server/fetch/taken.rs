//! Answers gateways on other nodes.

use super::{
    codec::{decode_request, encode_answer},
    layouts::Layouts,
    own::OwnShards,
};
use crate::{peer::Failure, server::peers::Service};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::{ClusterId, NodeId};
use raft::registry::Catalog;
use std::sync::Arc;

/// See the module.
pub struct TakenFetches {
    cluster: ClusterId,
    own: OwnShards,
    layouts: Mutex<Arc<Layouts<Catalog>>>,
}

impl TakenFetches {
    /// Answers from this node's shards.
    #[must_use]
    pub fn new(cluster: ClusterId, own: OwnShards) -> Self {
        let layouts = Layouts::of(own.catalog());
        Self {
            cluster,
            own,
            layouts: Mutex::new(Arc::new(layouts)),
        }
    }

    /// Those of the newest definitions.
    fn layouts(&self) -> Arc<Layouts<Catalog>> {
        let (catalog, mut kept) = (self.own.catalog(), self.layouts.lock());
        if !kept.are_of(&catalog) {
            *kept = Arc::new(Layouts::of(catalog));
        }
        Arc::clone(&kept)
    }
}

#[async_trait]
impl Service for TakenFetches {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let malformed = |error: proto::codec::Malformed| Failure(error.to_string());
        let taken = decode_request(&payload, self.cluster, &self.layouts());
        let taken = taken.map_err(malformed)?;
        let answer = self.own.answer(&taken.asked).await;
        Ok(encode_answer(&answer, &taken.is_known, self.cluster))
    }
}
