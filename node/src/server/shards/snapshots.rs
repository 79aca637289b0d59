//! Snapshots, as far as the log's thread has a part in them: it opens those that leave, empties the
//! shard for one that comes, and makes it whole at the end. Rows pass by it.

use super::driver::{Driver, replication_now};
use proto::id::{BootId, ShardId};
use replication::{Base, Event, Fence, Member};
use std::{collections::BTreeMap, mem};
use store::{Install, SnapshotReader};
use tokio::sync::{mpsc, oneshot};

/// One snapshot by what names it to both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The shard.
    pub shard: ShardId,
    /// The sender's fence.
    pub fence: Fence,
    /// The session that the sender opened for it.
    pub session: u32,
}

/// A snapshot that a core wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOrder {
    /// Which.
    pub arrival: Arrival,
    /// To whom.
    pub to: Member,
    /// To which of its runs.
    pub boot: BootId,
}

/// A snapshot that is ready to be read. All of it but the rows is of one moment.
pub struct OpenSnapshot {
    /// What replication says of the shard.
    pub base: Base,
    /// The first chunk.
    pub header: bytes::Bytes,
    /// The others.
    pub reader: SnapshotReader,
    /// Rows that there are now, about.
    pub rows: u64,
}

/// What comes to the log's thread about snapshots.
pub enum SnapshotInput {
    /// It is an order's turn.
    Open {
        /// The order.
        order: SnapshotOrder,
        /// Who sends it.
        opened: oneshot::Sender<Result<OpenSnapshot, String>>,
    },
    /// A snapshot was sent, or not.
    Ended(SnapshotOrder),
    /// One begins to arrive.
    Begin {
        /// Which.
        arrival: Arrival,
        /// The run that it is meant for.
        boot: BootId,
        /// Who takes its rows, once the emptied shard is durable.
        begun: oneshot::Sender<Result<Box<Install>, String>>,
    },
    /// All of one is on disk.
    Finish {
        /// Which.
        arrival: Arrival,
        /// Its rows.
        install: Box<Install>,
        /// What replication said of the shard.
        base: Box<Base>,
        /// Who tells the sender, once it is durable.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// One broke off.
    BrokenOff(Arrival),
}

/// Snapshots that wait for something.
pub(super) struct Snapshots {
    orders: mpsc::UnboundedSender<SnapshotOrder>,
    /// Shards that were just emptied, until the step that did it is over.
    emptied: BTreeMap<ShardId, Box<Install>>,
    /// What is told when a group is synced.
    unsynced: Vec<(u64, Told)>,
}

/// What is told once it is durable.
enum Told {
    Begun {
        arrival: Arrival,
        install: Box<Install>,
        begun: oneshot::Sender<Result<Box<Install>, String>>,
    },
    Installed {
        arrival: Arrival,
        base: Box<Base>,
        done: oneshot::Sender<Result<(), String>>,
    },
}

impl Snapshots {
    pub(super) fn new(orders: mpsc::UnboundedSender<SnapshotOrder>) -> Self {
        Self {
            orders,
            emptied: BTreeMap::new(),
            unsynced: Vec::new(),
        }
    }

    /// The queue has no limit of its own: a core has one order for each of its peers.
    pub(super) fn order(&self, order: SnapshotOrder) {
        // The sending task ends with the node.
        let _ = self.orders.send(order);
    }

    pub(super) fn note_emptied(&mut self, shard: ShardId, install: Box<Install>) {
        self.emptied.insert(shard, install);
    }
}

impl Driver {
    pub(super) fn snapshot(&mut self, input: SnapshotInput) {
        match input {
            SnapshotInput::Open { order, opened } => {
                // A sender that went away is no fault, here and below.
                let _ = opened.send(self.open_snapshot(order));
            }
            SnapshotInput::Ended(order) => {
                let (peer, now) = (order.to, replication_now(self.now).monotonic);
                self.holds.snapshot_ended(order.arrival.shard, peer, now);
                self.step(order.arrival.shard, Event::SnapshotEnded { peer });
            }
            SnapshotInput::Begin {
                arrival,
                boot,
                begun,
            } => self.begin_arrival(arrival, boot, begun),
            SnapshotInput::Finish {
                arrival,
                install,
                base,
                done,
            } => self.finish_arrival(arrival, install, base, done),
            SnapshotInput::BrokenOff(arrival) => self.break_off(arrival),
        }
    }

    /// Between two steps the core's commit point and the store's are the same.
    fn open_snapshot(&mut self, order: SnapshotOrder) -> Result<OpenSnapshot, String> {
        let shard = order.arrival.shard;
        let replica = self.replicas.get(&shard);
        let replica = replica.ok_or_else(|| format!("shard {shard} is not on this node"))?;
        let opened = self.writer.store().snapshot(shard);
        let mut reader = opened.map_err(|error| error.to_string())?;
        let header = reader.next_chunk(0).map_err(|error| error.to_string())?;
        let base = replica.base().clone();
        let from = base.committed.position.next();
        self.holds
            .will_read(self.writer.store(), (shard, order.to), from);
        Ok(OpenSnapshot {
            rows: self.writer.store().rows(shard) as u64,
            base,
            header: header.expect("a snapshot begins with a header"),
            reader,
        })
    }

    fn begin_arrival(
        &mut self,
        arrival: Arrival,
        boot: BootId,
        begun: oneshot::Sender<Result<Box<Install>, String>>,
    ) {
        let Arrival {
            shard,
            fence,
            session,
        } = arrival;
        let event = Event::SnapshotBegun {
            fence,
            boot,
            session,
        };
        self.step(shard, event);
        let Some(install) = self.snapshots.emptied.remove(&shard) else {
            let refused = format!("shard {shard} awaits no such snapshot on this node");
            let _ = begun.send(Err(refused));
            return;
        };
        let group = install.begun_in_group();
        let told = Told::Begun {
            arrival,
            install,
            begun,
        };
        self.snapshots.unsynced.push((group, told));
    }

    fn finish_arrival(
        &mut self,
        arrival: Arrival,
        install: Box<Install>,
        base: Box<Base>,
        done: oneshot::Sender<Result<(), String>>,
    ) {
        match self.writer.finish_install(*install) {
            Ok(installed) => {
                let told = Told::Installed {
                    arrival,
                    base,
                    done,
                };
                self.snapshots.unsynced.push((installed.group, told));
            }
            Err(error) => {
                let _ = done.send(Err(error.to_string()));
                self.break_off(arrival);
            }
        }
    }

    /// Tells what waited for the groups through `through`.
    pub(super) fn snapshots_synced(&mut self, through: u64) {
        let (due, later) = mem::take(&mut self.snapshots.unsynced)
            .into_iter()
            .partition(|(group, _)| *group <= through);
        self.snapshots.unsynced = later;
        let due: Vec<(u64, Told)> = due;
        for (_, told) in due {
            match told {
                Told::Begun {
                    arrival,
                    install,
                    begun,
                } => {
                    if begun.send(Ok(install)).is_err() {
                        self.break_off(arrival);
                    }
                }
                Told::Installed {
                    arrival,
                    base,
                    done,
                } => {
                    let Arrival {
                        shard,
                        fence,
                        session,
                    } = arrival;
                    tracing::info!(%shard, "a snapshot is installed");
                    let event = Event::SnapshotInstalled {
                        fence,
                        session,
                        base: *base,
                    };
                    self.step(shard, event);
                    let _ = done.send(Ok(()));
                }
            }
        }
    }

    /// A shard whose snapshot broke off begins anew, empty, if its core still waits for that one.
    fn break_off(&mut self, arrival: Arrival) {
        let Arrival {
            shard,
            fence,
            session,
        } = arrival;
        let replica = self.replicas.get(&shard);
        if !replica.is_some_and(|replica| replica.is_loading(fence, session)) {
            return;
        }
        tracing::warn!(%shard, "a snapshot broke off; the shard is empty here until the next one");
        match self.writer.drop_shard(shard) {
            Ok(()) => self.step(shard, Event::SnapshotAborted),
            Err(error) => self.broken = Some(error.to_string()),
        }
    }
}
