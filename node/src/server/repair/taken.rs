//! Gives other nodes copies of the rows that they cannot read.

use super::codec::{ANSWER_BYTES, Asked, decode_request, encode_copies};
use crate::{peer::Failure, server::peers::Service};
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::NodeId;
use raft::group::Blocking;
use std::{io, sync::Arc};
use store::Store;
use tokio::sync::Semaphore;

/// Calls that are answered at once; others wait.
const AT_ONCE: usize = 2;

/// See the module.
pub struct TakenRepairs {
    store: Arc<Store>,
    place: Blocking,
    room: Semaphore,
}

impl TakenRepairs {
    /// Answers from this node's store.
    #[must_use]
    pub fn new(store: Arc<Store>, place: Blocking) -> Self {
        Self {
            store,
            place,
            room: Semaphore::new(AT_ONCE),
        }
    }
}

#[async_trait]
impl Service for TakenRepairs {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let asked = decode_request(&payload).map_err(|error| Failure(error.to_string()))?;
        let _permit = self.room.acquire().await.expect("it is never closed");
        let store = Arc::clone(&self.store);
        let copies = self.place.run(move || copies(&store, &asked)).await;
        let copies = copies.map_err(|error| Failure(error.to_string()))?;
        Ok(encode_copies(&copies))
    }
}

/// A row whose position stands here is committed here, whatever this replica is to the shard.
fn copies(store: &Store, asked: &Asked) -> io::Result<Vec<(u16, Vec<u8>)>> {
    let (mut copies, mut bytes) = (Vec::new(), 0);
    for (place, (hash, position)) in (0..).zip(&asked.rows) {
        for copy in store.copies_of(asked.shard, *hash, *position)? {
            if bytes > 0 && bytes + copy.len() > ANSWER_BYTES {
                return Ok(copies);
            }
            bytes += copy.len();
            copies.push((place, copy));
        }
    }
    Ok(copies)
}
