//! Where the logs of shards end on each node, asked of the nodes themselves.
//!
//! ```text
//! version 1 | shards 4 | each: shard 2 | epoch 4 | end 8 | committed 8
//! ```

use crate::{
    peer::{Class, Failure, Mesh},
    server::{methods::Call, peers::Service, shards::Input},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use proto::{
    codec::{Malformed, Reader},
    id::{Epoch, NodeId, Position, ShardId},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

const VERSION: u8 = 1;
/// A node that does not answer within this is shown without positions: a person waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How far one replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// The epoch of the last entry of its log; 0 where it has none, or lost something of it.
    pub(super) epoch: Epoch,
    /// The end of its log.
    pub(super) end: Position,
    /// What is committed of it, as it knows.
    pub(super) committed: Position,
}

/// How far a node's replicas are.
pub(super) type Replicas = BTreeMap<ShardId, At>;

/// Asks, and answers for this node's own shards.
#[derive(Clone)]
pub struct Positions {
    shards: mpsc::Sender<Input>,
    mesh: Arc<Mesh>,
}

impl Positions {
    /// Of these shards, and of other nodes over `mesh`.
    #[must_use]
    pub fn new(shards: mpsc::Sender<Input>, mesh: Arc<Mesh>) -> Self {
        Self { shards, mesh }
    }

    /// How far the replicas on each of `nodes` are; nodes that do not answer in time are left out.
    pub(super) async fn of(&self, nodes: Vec<NodeId>) -> BTreeMap<NodeId, Replicas> {
        let asked = nodes.into_iter().map(|node| async move {
            let answer = if node == self.mesh.me().node {
                self.own().await
            } else {
                self.ask(node).await
            };
            Some((node, answer?))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn ask(&self, node: NodeId) -> Option<Replicas> {
        let call = Call::Positions as u8;
        let answer = self
            .mesh
            .call(node, Class::Metadata, call, Bytes::new(), ANSWER_WITHIN);
        decode(&answer.await.ok()?).ok()
    }

    async fn own(&self) -> Option<Replicas> {
        let (asker, answer) = oneshot::channel();
        self.shards.send(Input::Report(asker)).await.ok()?;
        let report = timeout(ANSWER_WITHIN, answer).await.ok()?.ok()?;
        let at = report.shards.into_iter().map(|report| {
            let at = At {
                epoch: if report.is_damaged {
                    Epoch(0)
                } else {
                    report.end.epoch
                },
                end: report.end.position,
                committed: report.committed.position,
            };
            (report.shard, at)
        });
        Some(at.collect())
    }
}

#[async_trait]
impl Service for Positions {
    async fn call(&self, _: NodeId, _: Bytes) -> Result<Bytes, Failure> {
        let own = self.own().await;
        own.map(|own| encode(&own))
            .ok_or_else(|| Failure("the shards of this node do not answer now".into()))
    }
}

fn encode(replicas: &Replicas) -> Bytes {
    let mut out = vec![VERSION];
    out.extend((replicas.len() as u32).to_le_bytes());
    for (shard, at) in replicas {
        out.extend(shard.0.to_le_bytes());
        out.extend(at.epoch.0.to_le_bytes());
        out.extend(at.end.0.to_le_bytes());
        out.extend(at.committed.0.to_le_bytes());
    }
    out.into()
}

fn decode(bytes: &[u8]) -> Result<Replicas, Malformed> {
    let mut reader = Reader::new(bytes, "positions of replicas");
    if reader.u8()? != VERSION {
        return Err(reader.malformed("its version is not known here"));
    }
    let mut replicas = Replicas::new();
    for _ in 0..reader.u32()? {
        let shard = ShardId(reader.u16()?);
        let at = At {
            epoch: Epoch(reader.u32()?),
            end: Position(reader.u64()?),
            committed: Position(reader.u64()?),
        };
        replicas.insert(shard, at);
    }
    reader.finish()?;
    Ok(replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_and_cut_ones_do_not() {
        let at = |end, committed| At {
            epoch: Epoch(5),
            end: Position(end),
            committed: Position(committed),
        };
        let replicas = Replicas::from([(ShardId(3), at(9, 7)), (ShardId(900), at(u64::MAX, 0))]);
        let bytes = encode(&replicas);
        assert_eq!(decode(&bytes), Ok(replicas));
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
