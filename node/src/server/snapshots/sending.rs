//! Sending snapshots: a few at a time, piece by piece, no faster than a pace that leaves the disk and
//! the network to others.

use super::{
    PIECE_BYTES, Progress, Sent,
    piece::{Content, Piece},
};
use crate::{
    peer::{CallError, Class, Mesh},
    server::{
        methods::Call,
        shards::{Input, OpenSnapshot, SnapshotInput, SnapshotOrder},
    },
};
use bytes::Bytes;
use raft::group::Blocking;
use replication::codec::encode_base;
use std::{sync::Arc, time::Duration};
use store::SnapshotError;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{MissedTickBehavior, interval, sleep},
};

/// Snapshots that a node sends at once: more would only share its disk and its network.
const AT_ONCE: usize = 2;
/// A piece is sent this often at most: 64 MiB of rows a second for each snapshot.
const PACE: Duration = Duration::from_millis(16);
/// How long the receiver may take for a piece; the last one waits for its disk.
const PIECE_WITHIN: Duration = Duration::from_secs(20);
/// After one that failed the core asks for the next; a fault that stays must not be a busy loop.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(1);

/// Why a snapshot did not arrive.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("open it: {0}")]
    Open(String),
    #[error("read rows: {0}")]
    Read(#[from] SnapshotError),
    #[error("send a piece: {0}")]
    Call(#[from] CallError),
    #[error("the node stops")]
    Stopped,
}

/// See the module.
#[derive(Clone)]
pub struct Sending {
    mesh: Arc<Mesh>,
    inputs: mpsc::Sender<Input>,
    place: Blocking,
    progress: Progress,
    room: Arc<Semaphore>,
}

impl Sending {
    /// Sends over `mesh`; `inputs` leads to the log's thread.
    #[must_use]
    pub fn new(
        mesh: Arc<Mesh>,
        inputs: mpsc::Sender<Input>,
        place: Blocking,
        progress: Progress,
    ) -> Self {
        Self {
            mesh,
            inputs,
            place,
            progress,
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Sends what is ordered. Orders beyond those under way wait.
    pub async fn run(self, mut orders: mpsc::UnboundedReceiver<SnapshotOrder>) {
        while let Some(order) = orders.recv().await {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let sending = self.clone();
            tokio::spawn(async move {
                let sent = sending.send(order).await;
                sending.progress.ended(order.arrival.shard, order.to.node);
                drop(permit);
                sending.end(order, sent).await;
            });
        }
    }

    async fn end(&self, order: SnapshotOrder, sent: Result<u64, SendError>) {
        let (shard, node) = (order.arrival.shard, order.to.node);
        match sent {
            Ok(bytes) => tracing::info!(%shard, %node, bytes, "a snapshot was sent"),
            Err(error) => {
                tracing::warn!(%shard, %node, %error, "a snapshot did not arrive; it is begun anew");
                sleep(PAUSE_AFTER_FAULT).await;
            }
        }
        // The log's thread ends only with the process.
        let ended = SnapshotInput::Ended(order);
        let _ = self.inputs.send(Input::Snapshot(ended)).await;
    }

    async fn send(&self, order: SnapshotOrder) -> Result<u64, SendError> {
        let opened = self.open(order).await?;
        let mut pieces = Pieces {
            sending: self,
            order,
            number: 0,
            bytes: 0,
        };
        pieces.send(Content::Begin(order.boot)).await?;
        let base = encode_base(&opened.base);
        for part in base.chunks(PIECE_BYTES) {
            pieces
                .send(Content::Base(Bytes::copy_from_slice(part)))
                .await?;
        }
        pieces.send(Content::Rows(opened.header)).await?;
        let (mut reader, of_rows) = (opened.reader, opened.rows);
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let read = move || {
                let chunk = reader.next_chunk(PIECE_BYTES);
                (reader, chunk)
            };
            let (next, chunk) = self.place.run(read).await;
            reader = next;
            let sent = Sent {
                rows: reader.rows(),
                of_rows,
                bytes: pieces.bytes,
            };
            self.progress.sent(order.arrival.shard, order.to.node, sent);
            let Some(chunk) = chunk? else {
                break;
            };
            pieces.send(Content::Rows(chunk)).await?;
        }
        pieces.send(Content::End).await?;
        Ok(pieces.bytes)
    }

    /// Only now, when it is its turn: what it carries should be as new as can be.
    async fn open(&self, order: SnapshotOrder) -> Result<OpenSnapshot, SendError> {
        let (opened, answer) = oneshot::channel();
        let input = Input::Snapshot(SnapshotInput::Open { order, opened });
        let sent = self.inputs.send(input).await;
        sent.map_err(|_| SendError::Stopped)?;
        let answer = answer.await.map_err(|_| SendError::Stopped)?;
        answer.map_err(SendError::Open)
    }
}

/// The pieces of one snapshot on their way.
struct Pieces<'a> {
    sending: &'a Sending,
    order: SnapshotOrder,
    number: u32,
    bytes: u64,
}

impl Pieces<'_> {
    async fn send(&mut self, content: Content) -> Result<(), CallError> {
        let piece = Piece {
            arrival: self.order.arrival,
            number: self.number,
            content,
        };
        let payload = piece.encode();
        self.number += 1;
        self.bytes += payload.len() as u64;
        let (to, method) = (self.order.to.node, Call::Snapshot as u8);
        let mesh = &self.sending.mesh;
        mesh.call(to, Class::Bulk, method, payload, PIECE_WITHIN)
            .await
            .map(drop)
    }
}
