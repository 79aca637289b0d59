//! Snapshots that arrive: each has a task that takes its pieces in order, writes rows where blocking
//! work runs, and asks the log's thread to begin and to end it.

use super::piece::{Content, Piece};
use crate::{
    peer::Failure,
    server::{
        peers::Service,
        shards::{Arrival, Input, SnapshotInput},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::{BootId, NodeId};
use raft::group::Blocking;
use replication::{
    Mark,
    codec::{decode_base, encode_base},
};
use std::{collections::BTreeMap, time::Duration};
use store::Install;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Snapshots taken at once: each has a file and some memory open.
const AT_ONCE: usize = 8;
/// A sender that is silent for this long is gone; longer than it waits for one answer of its own disk.
const IDLE: Duration = Duration::from_secs(15);
/// What replication may say of a shard: ten minutes of request ids at tens of thousands a second.
const BASE_BYTES: usize = 256 << 20;

type Answer = oneshot::Sender<Result<(), String>>;

/// A piece and who waits for its being taken.
type Delivery = (Piece, Answer);

/// Who sends a snapshot, and the way to the task that takes it.
type Way = (NodeId, mpsc::Sender<Delivery>);

/// See the module.
pub struct Arriving {
    inputs: mpsc::Sender<Input>,
    place: Blocking,
    ways: Mutex<BTreeMap<Arrival, Way>>,
}

impl Arriving {
    /// Takes snapshots for the shards behind `inputs`.
    #[must_use]
    pub fn new(inputs: mpsc::Sender<Input>, place: Blocking) -> Self {
        Self {
            inputs,
            place,
            ways: Mutex::default(),
        }
    }

    /// The way for a piece; the first of a snapshot makes one. Whether it may be taken is for the
    /// shard's core, which is asked next.
    fn way(&self, from: NodeId, piece: &Piece) -> Result<mpsc::Sender<Delivery>, String> {
        let mut ways = self.ways.lock();
        ways.retain(|_, (_, pieces)| !pieces.is_closed());
        let arrival = piece.arrival;
        let known = ways.get(&arrival).filter(|(sender, _)| *sender == from);
        match (&piece.content, known) {
            (Content::Begin(_), Some(_)) => Err("it has begun already".to_owned()),
            (Content::Begin(_), None) if ways.len() >= AT_ONCE => Err(format!(
                "this node takes {AT_ONCE} snapshots at once; send it later"
            )),
            (Content::Begin(boot), None) => {
                let (pieces, deliveries) = mpsc::channel(1);
                let task = Task {
                    inputs: self.inputs.clone(),
                    place: self.place,
                    arrival,
                    boot: *boot,
                    next: 0,
                    install: None,
                    base: Vec::new(),
                };
                tokio::spawn(task.run(deliveries));
                ways.insert(arrival, (from, pieces.clone()));
                Ok(pieces)
            }
            (_, Some((_, pieces))) => Ok(pieces.clone()),
            (_, None) => Err("no such snapshot is under way here; begin a new one".to_owned()),
        }
    }
}

#[async_trait]
impl Service for Arriving {
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let piece = Piece::decode(&payload).map_err(|error| Failure(error.to_string()))?;
        let way = self.way(from, &piece).map_err(Failure)?;
        let (answer, taken) = oneshot::channel();
        let ended = || Failure("the snapshot broke off here; begin a new one".into());
        way.send((piece, answer)).await.map_err(|_| ended())?;
        taken.await.map_err(|_| ended())?.map_err(Failure)?;
        Ok(Bytes::new())
    }
}

/// Whether more pieces are to come.
enum Step {
    More,
    Done,
}

/// One snapshot on its way into this node.
struct Task {
    inputs: mpsc::Sender<Input>,
    place: Blocking,
    arrival: Arrival,
    boot: BootId,
    next: u32,
    install: Option<Box<Install>>,
    base: Vec<u8>,
}

impl Task {
    async fn run(mut self, mut pieces: mpsc::Receiver<Delivery>) {
        while let Ok(Some((piece, answer))) = timeout(IDLE, pieces.recv()).await {
            let taken = self.take(piece).await;
            let goes_on = matches!(taken, Ok(Step::More));
            let is_done = matches!(taken, Ok(Step::Done));
            // A sender that no longer waits is noticed by its silence.
            let _ = answer.send(taken.map(drop));
            if is_done {
                return;
            }
            if !goes_on {
                break;
            }
        }
        let broken_off = SnapshotInput::BrokenOff(self.arrival);
        // The log's thread ends only with the process.
        let _ = self.inputs.send(Input::Snapshot(broken_off)).await;
    }

    async fn take(&mut self, piece: Piece) -> Result<Step, String> {
        if piece.number != self.next {
            return Err(format!(
                "piece {} came where {} was due; begin a new one",
                piece.number, self.next
            ));
        }
        self.next += 1;
        match piece.content {
            Content::Begin(_) => self.begin().await?,
            Content::Base(bytes) if self.base.len() + bytes.len() > BASE_BYTES => {
                return Err("the shard's state is larger than this release takes".into());
            }
            Content::Base(bytes) => self.base.extend(bytes),
            Content::Rows(bytes) => self.rows(bytes).await?,
            Content::End => {
                self.end().await?;
                return Ok(Step::Done);
            }
        }
        Ok(Step::More)
    }

    async fn begin(&mut self) -> Result<(), String> {
        let (arrival, boot) = (self.arrival, self.boot);
        let begin = |begun| SnapshotInput::Begin {
            arrival,
            boot,
            begun,
        };
        self.install = Some(self.ask(begin).await?);
        Ok(())
    }

    async fn rows(&mut self, bytes: Bytes) -> Result<(), String> {
        let mut install = self.take_install()?;
        let work = move || {
            let taken = install.take(&bytes);
            (install, taken)
        };
        let (install, taken) = self.place.run(work).await;
        self.install = Some(install);
        taken.map_err(|error| error.to_string())
    }

    /// What replication said and what the store was sent must be of one moment: the log goes on
    /// behind both.
    async fn end(&mut self) -> Result<(), String> {
        let mut install = self.take_install()?;
        let mut base = decode_base(&self.base).map_err(|error| error.to_string())?;
        let (Some(end), Some(scan_end)) = (install.log_end(), install.scan_end()) else {
            return Err("its rows did not all come; begin a new one".into());
        };
        let of_rows = Mark {
            epoch: end.epoch,
            position: end.position,
        };
        if of_rows != base.committed {
            return Err("its state and its rows are of two moments; begin a new one".into());
        }
        base.serves_from = base.serves_from.max(scan_end);
        let work = move || {
            let sealed = install.seal(&encode_base(&base));
            sealed.map(|()| (install, base))
        };
        let sealed = self.place.run(work).await;
        let (install, base) = sealed.map_err(|error| error.to_string())?;
        let arrival = self.arrival;
        let finish = |done| SnapshotInput::Finish {
            arrival,
            install,
            base: Box::new(base),
            done,
        };
        self.ask(finish).await
    }

    async fn ask<T>(
        &self,
        input: impl FnOnce(oneshot::Sender<Result<T, String>>) -> SnapshotInput,
    ) -> Result<T, String> {
        let (asker, answer) = oneshot::channel();
        let stopped = || "the node stops".to_owned();
        let input = Input::Snapshot(input(asker));
        self.inputs.send(input).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    fn take_install(&mut self) -> Result<Box<Install>, String> {
        let install = self.install.take();
        install.ok_or_else(|| "it did not begin; begin a new one".to_owned())
    }
}
