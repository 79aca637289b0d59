//! Answers gateways on other nodes.

use super::{
    codec::{decode_request, encode_answer},
    layouts::Layouts,
    own::OwnShards,
};
use crate::{
    components::Clock,
    peer::Failure,
    server::{edge::GatewayClock, peers::Service},
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway::slow::SlowLog;
use parking_lot::Mutex;
use proto::id::{ClusterId, NodeId};
use raft::registry::Catalog;
use std::{sync::Arc, time::Duration};

/// See the module.
pub struct TakenFetches {
    cluster: ClusterId,
    own: OwnShards,
    layouts: Mutex<Arc<Layouts<Catalog>>>,
    slow: SlowLog,
    clock: Arc<dyn Clock>,
}

impl TakenFetches {
    /// Answers from this node's shards, and tells of what takes `slow` or longer.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        own: OwnShards,
        slow: Option<Duration>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let layouts = Layouts::of(own.catalog());
        Self {
            cluster,
            own,
            layouts: Mutex::new(Arc::new(layouts)),
            slow: SlowLog::new(slow, Arc::new(GatewayClock(Arc::clone(clock)))),
            clock: Arc::clone(clock),
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
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let began = self.clock.now().monotonic_micros();
        let malformed = |error: proto::codec::Malformed| Failure(error.to_string());
        let taken = decode_request(&payload, self.cluster, &self.layouts());
        let taken = taken.map_err(malformed)?;
        let answer = self.own.answer(&taken.asked).await;
        let bytes = encode_answer(&answer, &taken.is_known, (taken.version, self.cluster));
        let took = self.clock.now().monotonic_micros().saturating_sub(began);
        let read = (taken.asked.places.len(), taken.asked.fetch.trace);
        self.slow.note_read(from, read, Duration::from_micros(took));
        Ok(bytes)
    }
}
