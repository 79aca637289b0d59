//! Where the logs of shards end on each node, and how far the snapshots are that it sends: asked of the
//! nodes themselves.
//!
//! ```text
//! version 2 | shards 4    | each: shard 2 | epoch 4 | end 8 | committed 8
//!           | snapshots 4 | each: shard 2 | receiver 8 | rows sent 8 | rows 8 | bytes sent 8
//! ```

use crate::{
    peer::{Class, Failure, Mesh},
    server::{
        methods::Call,
        peers::Service,
        shards::Input,
        snapshots::{Progress, Sent},
    },
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

const VERSION: u8 = 2;
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

/// What one node says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// How far its replicas are.
    pub(super) replicas: Replicas,
    /// How far the snapshots are that it sends, by shard and receiver.
    pub(super) sent: BTreeMap<(ShardId, NodeId), Sent>,
}

/// Asks, and answers for this node's own shards.
#[derive(Clone)]
pub struct Positions {
    shards: mpsc::Sender<Input>,
    mesh: Arc<Mesh>,
    progress: Progress,
}

impl Positions {
    /// Of these shards and snapshots, and of other nodes over `mesh`.
    #[must_use]
    pub fn new(shards: mpsc::Sender<Input>, mesh: Arc<Mesh>, progress: Progress) -> Self {
        Self {
            shards,
            mesh,
            progress,
        }
    }

    /// How far each of `nodes` is; nodes that do not answer in time are left out.
    pub(super) async fn of(&self, nodes: Vec<NodeId>) -> BTreeMap<NodeId, Told> {
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

    async fn ask(&self, node: NodeId) -> Option<Told> {
        let call = Call::Positions as u8;
        let answer = self
            .mesh
            .call(node, Class::Metadata, call, Bytes::new(), ANSWER_WITHIN);
        decode(&answer.await.ok()?).ok()
    }

    async fn own(&self) -> Option<Told> {
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
        Some(Told {
            replicas: at.collect(),
            sent: self.progress.read(),
        })
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

fn encode(told: &Told) -> Bytes {
    let mut out = vec![VERSION];
    out.extend((told.replicas.len() as u32).to_le_bytes());
    for (shard, at) in &told.replicas {
        out.extend(shard.0.to_le_bytes());
        out.extend(at.epoch.0.to_le_bytes());
        out.extend(at.end.0.to_le_bytes());
        out.extend(at.committed.0.to_le_bytes());
    }
    out.extend((told.sent.len() as u32).to_le_bytes());
    for ((shard, to), sent) in &told.sent {
        out.extend(shard.0.to_le_bytes());
        for number in [to.0, sent.rows, sent.of_rows, sent.bytes] {
            out.extend(number.to_le_bytes());
        }
    }
    out.into()
}

fn decode(bytes: &[u8]) -> Result<Told, Malformed> {
    let mut reader = Reader::new(bytes, "positions of replicas");
    if reader.u8()? != VERSION {
        return Err(reader.malformed("its version is not known here"));
    }
    let mut told = Told::default();
    for _ in 0..reader.u32()? {
        let shard = ShardId(reader.u16()?);
        let at = At {
            epoch: Epoch(reader.u32()?),
            end: Position(reader.u64()?),
            committed: Position(reader.u64()?),
        };
        told.replicas.insert(shard, at);
    }
    for _ in 0..reader.u32()? {
        let to = (ShardId(reader.u16()?), NodeId(reader.u64()?));
        let sent = Sent {
            rows: reader.u64()?,
            of_rows: reader.u64()?,
            bytes: reader.u64()?,
        };
        told.sent.insert(to, sent);
    }
    reader.finish()?;
    Ok(told)
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
        let sent = Sent {
            rows: 5,
            of_rows: 70,
            bytes: 900,
        };
        let told = Told {
            replicas: [(ShardId(3), at(9, 7)), (ShardId(900), at(u64::MAX, 0))].into(),
            sent: [((ShardId(3), NodeId(8)), sent)].into(),
        };
        let bytes = encode(&told);
        assert_eq!(decode(&bytes), Ok(told));
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
