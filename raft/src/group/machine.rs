//! A state machine under openraft: applies what is committed, makes and takes snapshots.

use super::{
    applied::{AppliedState, Marker, MemoryState},
    log::SnapshotFloor,
    runtime::Blocking,
    snapshot::{SnapshotFiles, SnapshotReadError, decode_parts, encode_parts, index_of},
    types::{
        Entry, LogId, Membership, Payload, Peer, SnapshotMeta, StorageError, StorageFault, Types,
    },
};
use crate::machine::{BadPart, Command, Parts, StateMachine};
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, RaftTypeConfig, Snapshot,
    storage::RaftStateMachine,
};
use parking_lot::Mutex;
use std::{
    io::{self, Cursor},
    sync::Arc,
};
use tokio::sync::watch;

/// A committed state and what made it.
#[derive(Debug, Clone, Default)]
pub struct CommittedState<S> {
    /// The state.
    pub state: Arc<S>,
    /// The last entry in it.
    pub last_applied: Option<LogId>,
}

/// A state machine with its files.
pub struct MachineStore<S: StateMachine> {
    state: Arc<S>,
    marker: Marker,
    watch: watch::Sender<CommittedState<S>>,
    shelf: Arc<Shelf>,
}

/// What outlives one step: files that the state is kept in.
struct Shelf {
    files: SnapshotFiles,
    applied: Mutex<Box<dyn AppliedState>>,
    floor: SnapshotFloor,
    blocking: Blocking,
}

/// Makes a snapshot of the state as it was when it was asked for.
pub struct SnapshotMaker<S: StateMachine> {
    state: Arc<S>,
    marker: Marker,
    shelf: Arc<Shelf>,
}

/// Why a group's state could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStateError {
    /// The disk failed.
    #[error("open the snapshot directory: {0}")]
    Disk(#[from] io::Error),
    /// There are snapshot files and none can be read.
    #[error("{0}; empty the node's directory, so that it joins as a new one")]
    Snapshot(#[from] SnapshotReadError),
    /// A sound file holds what this program cannot read.
    #[error("read the state from its snapshot: {0}")]
    Part(#[from] BadPart),
}

impl<S: StateMachine> MachineStore<S> {
    /// Opens the state: the applied one if it is sound and not behind the snapshot file, else that
    /// file. What is committed beyond comes from the log. `last` is the log's end: an applied state
    /// beyond it belongs to another log.
    pub fn open(
        files: SnapshotFiles,
        mut applied: Box<dyn AppliedState>,
        floor: SnapshotFloor,
        last: Option<LogId>,
        blocking: Blocking,
    ) -> Result<Self, OpenStateError> {
        let snapshot = files.newest()?;
        let base = snapshot.as_ref().and_then(|(meta, _)| meta.last_log_id);
        floor.raise(base.map_or(0, |log_id| log_id.index));
        let kept = applied.load().filter(|(_, marker)| {
            marker.last_applied >= base && marker.last_applied <= last.max(base)
        });
        let kept = kept.and_then(|(parts, marker)| Some((S::from_parts(&parts).ok()?, marker)));
        let (state, marker) = match (kept, snapshot) {
            (Some(kept), _) => kept,
            (None, Some((meta, body))) => {
                let parts = decode_parts(&body).map_err(|error| SnapshotReadError::Format {
                    path: meta.snapshot_id.clone(),
                    error,
                })?;
                let marker = Marker {
                    last_applied: meta.last_log_id,
                    membership: meta.last_membership,
                };
                applied.reset(&parts, &marker);
                (S::from_parts(&parts)?, marker)
            }
            (None, None) => {
                let state = S::default();
                applied.reset(&state.parts(), &Marker::default());
                (state, Marker::default())
            }
        };
        let state = Arc::new(state);
        let committed = CommittedState {
            state: Arc::clone(&state),
            last_applied: marker.last_applied,
        };
        let shelf = Arc::new(Shelf {
            files,
            applied: Mutex::new(applied),
            floor,
            blocking,
        });
        Ok(Self {
            state,
            marker,
            watch: watch::Sender::new(committed),
            shelf,
        })
    }

    /// Follows the committed state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<CommittedState<S>> {
        self.watch.subscribe()
    }

    /// Closes the applied state once the group stopped.
    pub(super) fn closer(&self) -> StateCloser {
        StateCloser(Arc::clone(&self.shelf))
    }

    /// Up to where the state goes.
    #[must_use]
    pub fn last_applied(&self) -> Option<LogId> {
        self.marker.last_applied
    }

    fn publish(&self) {
        let committed = CommittedState {
            state: Arc::clone(&self.state),
            last_applied: self.marker.last_applied,
        };
        self.watch.send_replace(committed);
    }

    fn apply_one(state: &mut S, marker: &mut Marker, entry: Entry) -> Result<Payload, AnyError> {
        let log_id = entry.log_id;
        let outcome = match entry.payload {
            EntryPayload::Blank => Payload::default(),
            EntryPayload::Membership(membership) => {
                marker.membership = Membership::new(Some(log_id), membership);
                Payload::default()
            }
            EntryPayload::Normal(command) => {
                // An error here stops the group for good: it must not go on past what it cannot do.
                let command =
                    S::Command::decode(&command.0).map_err(|error| AnyError::new(&error))?;
                let outcome = state.apply(command);
                Payload(serde_json::to_string(&outcome).map_err(|error| AnyError::new(&error))?)
            }
        };
        marker.last_applied = Some(log_id);
        Ok(outcome)
    }

    fn take_over(&mut self, state: S, meta: &SnapshotMeta) {
        self.state = Arc::new(state);
        self.marker = Marker {
            last_applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        self.publish();
    }
}

impl<S: StateMachine> RaftStateMachine<Types> for MachineStore<S> {
    type SnapshotBuilder = SnapshotMaker<S>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.marker.last_applied, self.marker.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Payload>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = S::clone(&self.state);
        let mut marker = self.marker.clone();
        let mut outcomes = Vec::new();
        for entry in entries {
            let log_id = entry.log_id;
            let applied = Self::apply_one(&mut state, &mut marker, entry);
            outcomes.push(applied.map_err(|error| StorageFault::apply(log_id, error))?);
        }
        let changes = self.state.changes_to(&state);
        self.state = Arc::new(state);
        self.marker = marker.clone();
        let shelf = Arc::clone(&self.shelf);
        self.shelf
            .blocking
            .run(move || shelf.applied.lock().write(&changes, &marker))
            .await;
        self.publish();
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotMaker<S> {
        SnapshotMaker {
            state: Arc::clone(&self.state),
            marker: self.marker.clone(),
            shelf: Arc::clone(&self.shelf),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let body = snapshot.into_inner();
        let unreadable = |error: &dyn std::error::Error| {
            StorageFault::read_snapshot(Some(meta.signature()), AnyError::error(error))
        };
        let parts = decode_parts(&body).map_err(|error| unreadable(&error))?;
        let state = S::from_parts(&parts).map_err(|error| unreadable(&error))?;
        self.shelf.keep(meta.clone(), body, Some(parts)).await?;
        self.take_over(state, meta);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let shelf = Arc::clone(&self.shelf);
        let newest = self.shelf.blocking.run(move || shelf.files.newest()).await;
        let newest = newest.map_err(|error| StorageFault::read_snapshot(None, &error))?;
        Ok(newest.map(|(meta, body)| Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(body)),
        }))
    }
}

impl<S: StateMachine> RaftSnapshotBuilder<Types> for SnapshotMaker<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let state = Arc::clone(&self.state);
        let body = self
            .shelf
            .blocking
            .run(move || encode_parts(&state.parts()))
            .await;
        let last = self.marker.last_applied;
        let meta = openraft::SnapshotMeta::<<Types as RaftTypeConfig>::NodeId, Peer> {
            last_log_id: last,
            last_membership: self.marker.membership.clone(),
            snapshot_id: last.map_or_else(
                || "empty".into(),
                |last| format!("{}-{}", last.leader_id.term, last.index),
            ),
        };
        self.shelf.keep(meta.clone(), body.clone(), None).await?;
        Ok(Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(body)),
        })
    }
}

/// Closes the applied state: openraft's tasks may hold it a little longer than the group runs.
#[derive(Clone)]
pub(super) struct StateCloser(Arc<Shelf>);

impl StateCloser {
    pub(super) async fn close(&self) {
        let shelf = Arc::clone(&self.0);
        self.0
            .blocking
            .run(move || *shelf.applied.lock() = Box::new(MemoryState))
            .await;
    }
}

impl Shelf {
    /// Makes a snapshot durable, lets the log cut behind it, and the applied state follow it where
    /// it came from elsewhere.
    async fn keep(
        self: &Arc<Self>,
        meta: SnapshotMeta,
        body: Vec<u8>,
        installed: Option<Parts>,
    ) -> Result<(), StorageError> {
        let shelf = Arc::clone(self);
        let signature = meta.signature();
        let written = self.blocking.run(move || {
            shelf.files.write(&meta, &body)?;
            shelf.floor.raise(index_of(&meta));
            if let Some(parts) = installed {
                let marker = Marker {
                    last_applied: meta.last_log_id,
                    membership: meta.last_membership,
                };
                shelf.applied.lock().reset(&parts, &marker);
            }
            Ok::<_, io::Error>(())
        });
        written
            .await
            .map_err(|error| StorageFault::write_snapshot(Some(signature), &error).into())
    }
}
