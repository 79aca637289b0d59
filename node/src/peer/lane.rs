//! A lane: this node's connection to one other for one class of traffic, made again when it breaks.

use super::{
    connection::{Reading, Writing, next, write_all, write_one},
    frame::{Class, Failure, Frame, Hello, Kind},
    mesh::{CallError, Shared},
};
use crate::security::{Proof, explain};
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::NodeId;
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::{
    io::split,
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Frames that wait for the connection. Cores bound the bytes they have in flight; beyond this
/// count messages are dropped, as by a broken connection.
const QUEUE_FRAMES: usize = 4_096;
const CONNECT_WITHIN: Duration = Duration::from_millis(1_000);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);

type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Result<Bytes, CallError>>>>;

#[derive(Clone)]
pub(super) struct Lane {
    queue: mpsc::Sender<Frame>,
    waiting: Arc<Waiting>,
}

impl Lane {
    /// Starts a lane to a node at `address`.
    pub(super) fn open(shared: Arc<Shared>, address: String, to: NodeId, class: Class) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        let waiting = Arc::new(Waiting::default());
        let runtime = shared.runtime.clone();
        runtime.spawn(keep(
            shared,
            address,
            (to, class),
            frames,
            Arc::clone(&waiting),
        ));
        Self { queue, waiting }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Puts a message on its way, or drops it where the queue is full.
    pub(super) fn send(&self, method: u8, payload: Bytes) -> bool {
        self.queue
            .try_send(Frame {
                kind: Kind::Message,
                method,
                call: 0,
                payload,
            })
            .is_ok()
    }

    pub(super) async fn call(
        &self,
        number: u64,
        method: u8,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().insert(number, answer);
        let forget = Forget {
            waiting: &self.waiting,
            number,
        };
        let frame = Frame {
            kind: Kind::Call,
            method,
            call: number,
            payload,
        };
        if self.queue.try_send(frame).is_err() {
            return Err(CallError::Busy);
        }
        let outcome = timeout(within, answered).await;
        drop(forget);
        match outcome {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => Err(CallError::Deadline),
        }
    }
}

/// Forgets a call whose caller went away, so that nothing piles up.
struct Forget<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

async fn keep(
    shared: Arc<Shared>,
    address: String,
    (to, class): (NodeId, Class),
    mut frames: mpsc::Receiver<Frame>,
    waiting: Arc<Waiting>,
) {
    let mut pause = RETRY_FIRST;
    while !frames.is_closed() || !frames.is_empty() {
        // Each time anew: the node may have joined its cluster since the last connection.
        let hello = shared.me.hello(to, class);
        match run(&shared, &address, &hello, &mut frames, &waiting).await {
            Ok(()) => return,
            Err(Broke { error, was_open }) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    tracing::warn!(%address, node = %to, ?class, %error, "refused by a node, or refusing it");
                }
                tracing::debug!(%address, ?class, %error, "connection to a node broke");
                if was_open {
                    pause = RETRY_FIRST;
                    shared.handler.down(to, class);
                }
            }
        }
        // What waits is old news, and calls fail rather than arrive late. A frame that is still queued
        // never left, and its caller may know. Frames go first: a call stands in the table before its
        // frame is queued, so none waits for nothing.
        while let Ok(frame) = frames.try_recv() {
            turn_away(&frame, &waiting);
        }
        waiting.lock().clear();
        let turn_all_away = async {
            while let Some(frame) = frames.recv().await {
                turn_away(&frame, &waiting);
            }
        };
        let _ = timeout(pause, turn_all_away).await;
        pause = (pause * 2).min(RETRY_MOST);
    }
}

/// There is no connection: a call may go elsewhere at once, a message is lost.
fn turn_away(frame: &Frame, waiting: &Waiting) {
    if let Some(answer) = waiting.lock().remove(&frame.call) {
        let _ = answer.send(Err(CallError::NotSent));
    }
}

struct Broke {
    error: io::Error,
    was_open: bool,
}

async fn run(
    shared: &Shared,
    address: &str,
    hello: &Hello,
    frames: &mut mpsc::Receiver<Frame>,
    waiting: &Waiting,
) -> Result<(), Broke> {
    let closed = |error| Broke {
        error,
        was_open: false,
    };
    let connected = timeout(CONNECT_WITHIN, shared.network.connect(address)).await;
    let connection = connected
        .map_err(|_| closed(io::ErrorKind::TimedOut.into()))?
        .map_err(closed)?;
    let secured = shared.me.security.connect(connection).await;
    let (connection, proof) = secured.map_err(closed)?;
    let (mut reading, mut writing) = split(connection);
    let answer = greet(&mut reading, &mut writing, hello)
        .await
        .map_err(closed)?;
    let peer = check_answer(&answer, hello, &proof).map_err(closed)?;
    shared.handler.up(peer, hello.class);
    let open = |error| Broke {
        error,
        was_open: true,
    };
    tokio::select! {
        written = write_all(writing, frames) => written.map_err(open),
        read = take_answers(&mut reading, waiting) => read.map_err(open),
    }
}

/// Says hello and hears the answer. Only then does a peer say what it thinks of this node's certificate,
/// and it may have closed before the hello came.
pub(super) async fn greet(
    reading: &mut Reading,
    writing: &mut Writing,
    hello: &Hello,
) -> io::Result<Frame> {
    let mut first = Frame::bare(Kind::Hello);
    first.payload = hello.encode();
    let said = write_one(writing, &first).await;
    match next(reading).await.map_err(explain) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            Err(said.err().unwrap_or(error))
        }
        heard => heard,
    }
}

pub(super) fn check_answer(answer: &Frame, hello: &Hello, proof: &Proof) -> io::Result<NodeId> {
    let refused = |text: String| io::Error::new(io::ErrorKind::PermissionDenied, text);
    match answer.kind {
        Kind::Hello => {
            let other =
                Hello::decode(&answer.payload).map_err(|error| refused(error.to_string()))?;
            let meant = hello.to == NodeId(0) || hello.to == other.node;
            if meant && !proof.is_of(other.node) {
                Err(refused(format!(
                    "it says that it is node {}, and shows another certificate",
                    other.node
                )))
            } else if meant {
                Ok(other.node)
            } else {
                Err(refused(format!("node {} answers there", other.node)))
            }
        }
        _ => Err(refused(
            String::from_utf8_lossy(&answer.payload).into_owned(),
        )),
    }
}

async fn take_answers(reading: &mut Reading, waiting: &Waiting) -> io::Result<()> {
    loop {
        let frame = next(reading).await?;
        let result = match frame.kind {
            Kind::Answer => Ok(frame.payload),
            Kind::Failure => Err(CallError::Failed(Failure(
                String::from_utf8_lossy(&frame.payload).into_owned(),
            ))),
            Kind::Pong | Kind::Ping => continue,
            Kind::Hello | Kind::TurnedAway | Kind::Message | Kind::Call => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "an answer was expected",
                ));
            }
        };
        if let Some(answer) = waiting.lock().remove(&frame.call) {
            // A caller that no longer waits is no fault.
            let _ = answer.send(result);
        }
    }
}
