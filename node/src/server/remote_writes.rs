//! Write path, step 4 over the network: a part goes to the node that is its shard's primary, and that
//! node gives it to its shards.
//!
//! What the sender may say about a part hangs on where it got lost: a part that never left is refused,
//! one that may have arrived is unknown. So a receiver fails a call only before its shards have it.

mod check;

use super::{
    peers::Service,
    shards::{Input, PartAnswer},
    write_codec::{SentPart, decode_answer, decode_part, encode_answer, encode_part},
    writes::{Part, give, no_primary, overloaded},
};
use crate::{
    components::Clock,
    peer::{CallError, Class, Failure, Mesh},
    server::methods::Call,
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway::{edge::Deadline, write::writer::WriteBatch};
use proto::{
    id::NodeId,
    limits::MAX_CLOCK_OFFSET,
    reason::{Reason, Refusal},
};
use raft::registry::Catalog;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, watch};

/// Bytes of parts from other nodes that may wait on this one; beyond it they are refused. As much as
/// its shards may have pending.
const WAITING_KIB: usize = replication::settings::PENDING_BYTES >> 10;

/// Sends parts to primaries on other nodes.
pub struct RemoteWrites(pub Arc<Mesh>);

impl RemoteWrites {
    /// Sends a part to `node`, and waits for what becomes of it.
    pub(super) async fn send(&self, node: NodeId, part: Part<'_>, within: Duration) -> PartAnswer {
        let Part {
            batch,
            place,
            fence,
            follows,
        } = part;
        let payload = match encode_part(batch, place, (fence, follows, within)) {
            Ok(payload) => payload,
            Err(refusal) => return refused(refusal),
        };
        let call = Call::Write as u8;
        let answer = self.0.call(node, Class::Request, call, payload, within);
        match answer.await {
            Ok(answer) => decode_answer(&answer).unwrap_or_else(|error| {
                tracing::warn!(%node, %error, "an answer to a part of a write cannot be read");
                PartAnswer::Unknown
            }),
            Err(CallError::Broken | CallError::Deadline) => PartAnswer::Unknown,
            Err(CallError::Busy) => overloaded("too much waits for the shard's primary"),
            Err(error @ (CallError::Unknown | CallError::NotSent | CallError::Failed(_))) => {
                no_primary(batch.parts[place].shard, &format!("node {node}: {error}"))
            }
        }
    }
}

/// Takes parts that other nodes' gateways send to this node as primary.
pub struct TakenWrites {
    room: Semaphore,
    shards: mpsc::Sender<Input>,
    catalogs: watch::Receiver<Arc<Catalog>>,
    clock: Arc<dyn Clock>,
}

impl TakenWrites {
    /// Gives them to `shards`.
    #[must_use]
    pub fn new(
        shards: mpsc::Sender<Input>,
        catalogs: watch::Receiver<Arc<Catalog>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            room: Semaphore::new(WAITING_KIB),
            shards,
            catalogs,
            clock,
        }
    }

    async fn take(&self, sent: SentPart, bytes: usize) -> PartAnswer {
        let kib = u32::try_from((bytes >> 10).max(1)).expect("a part is limited");
        let Ok(_waiting) = self.room.try_acquire_many(kib) else {
            return overloaded("too many bytes of writes wait on the shard's primary");
        };
        if let Err(refusal) = self.admit(&sent) {
            return refused(refusal);
        }
        let now_micros = self.clock.now().monotonic_micros();
        let left_micros = u64::try_from(sent.left.as_micros()).unwrap_or(u64::MAX);
        let batch = Arc::new(WriteBatch {
            project: sent.project,
            revision: sent.revision,
            id: sent.request,
            ack: sent.ack,
            token: Bytes::new(),
            slot: sent.slot,
            deadline: Deadline(now_micros.saturating_add(left_micros)),
            parts: vec![sent.part],
        });
        let part = Part {
            batch: &batch,
            place: 0,
            fence: sent.fence,
            follows: sent.follows,
        };
        give(&self.shards, part, sent.left).await
    }

    /// A node trusts no other with its clock, nor with what its index is kept by.
    fn admit(&self, sent: &SentPart) -> Result<(), Refusal> {
        let catalog = Arc::clone(&self.catalogs.borrow());
        let max_offset = catalog.founding().map_or(MAX_CLOCK_OFFSET, |founding| {
            Duration::from_millis(founding.max_offset_millis)
        });
        let ahead = sent.follows.ahead_of(self.clock.now().wall_millis());
        if ahead > max_offset {
            let message = format!(
                "the token is dated {} ms ahead of the primary's clock; correct the clocks",
                ahead.as_millis()
            );
            return Err(Refusal::of_field(Reason::TokenUnknown, "token", message));
        }
        check::part(sent, &catalog)
    }
}

#[async_trait]
impl Service for TakenWrites {
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let sent = decode_part(&payload).map_err(|error| {
            tracing::warn!(%from, %error, "a part of a write cannot be read");
            Failure(error.to_string())
        })?;
        let answer = self.take(sent, payload.len()).await;
        Ok(encode_answer(&answer))
    }
}

fn refused(refusal: Refusal) -> PartAnswer {
    PartAnswer::Refused {
        refusal,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests;
