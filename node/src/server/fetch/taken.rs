//! Answers gateways on other nodes.

use super::{
    codec::{decode_request, encode_answer},
    own::OwnShards,
};
use crate::{peer::Failure, server::peers::Service};
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::{ClusterId, NodeId};

/// See the module.
pub struct TakenFetches {
    cluster: ClusterId,
    own: OwnShards,
}

impl TakenFetches {
    /// Answers from this node's shards.
    #[must_use]
    pub fn new(cluster: ClusterId, own: OwnShards) -> Self {
        Self { cluster, own }
    }
}

#[async_trait]
impl Service for TakenFetches {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let malformed = |error: proto::codec::Malformed| Failure(error.to_string());
        let taken = decode_request(&payload, self.cluster, &*self.own.catalog());
        let taken = taken.map_err(malformed)?;
        let answer = self.own.answer(&taken.asked).await;
        Ok(encode_answer(&answer, &taken.is_known, self.cluster))
    }
}
