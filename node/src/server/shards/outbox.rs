//! Messages to peers, batched per pair of nodes between two turns of the driver.

use super::message_codec;
use crate::{
    peer::{Class, Mesh},
    server::methods,
};
use bytes::BytesMut;
use proto::id::{NodeId, ShardId};
use replication::Message;
use std::{collections::BTreeMap, sync::Arc};

/// What a frame of replicas' messages is called on the wire.
const METHOD: u8 = methods::Message::Replication as u8;
/// A frame leaves when it is this large, or the turn ends.
const FRAME_BYTES: usize = 1 << 20;

/// See the module.
pub struct Outbox {
    mesh: Arc<Mesh>,
    frames: BTreeMap<NodeId, BytesMut>,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(mesh: Arc<Mesh>) -> Self {
        Self {
            mesh,
            frames: BTreeMap::new(),
        }
    }

    /// Adds a message.
    pub fn push(&mut self, to: NodeId, shard: ShardId, message: &Message) {
        let frame = self.frames.entry(to).or_default();
        message_codec::put(shard, message, frame);
        if frame.len() >= FRAME_BYTES {
            let full = std::mem::take(frame).freeze();
            self.mesh.send(to, Class::Replication, METHOD, full);
        }
    }

    /// Sends what waits. What a full queue drops, cores say again.
    pub fn flush(&mut self) {
        for (to, frame) in std::mem::take(&mut self.frames) {
            if !frame.is_empty() {
                self.mesh
                    .send(to, Class::Replication, METHOD, frame.freeze());
            }
        }
    }
}
