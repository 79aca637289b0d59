//! The store's one writer: append, write, sync, commit, cut. Each is a step that its driver calls.
//!
//! Nothing is visible before it is committed, nothing is committed before it is written, and
//! whether it must be synced first is the driver's rule. A failed write or sync is final.

mod append;
mod commit;
mod cut;

use crate::{
    body::{Body, Facts},
    error::{CutError, OpenError},
    pending::Pending,
    segment::{self, LogWriter, WriteError},
    settings::GROUP_BYTES,
    state::{LogEnd, ShardState, StateRecord},
    store::Store,
};
use bytes::Bytes;
use proto::{
    hlc::Hlc,
    id::{PlacementId, Position, RegionId, ShardId, ViewId},
    time::EventTime,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

pub use append::{Appended, NewEntry};
pub(crate) use commit::new_rows;

/// The writer.
pub struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) log: LogWriter,
    pub(crate) body: Option<Arc<Body>>,
    pub(crate) shards: BTreeMap<ShardId, WriterShard>,
    /// Commit points that moved since the last group; they stand in the next one.
    unlogged: BTreeMap<ShardId, Position>,
}

/// What the writer alone knows of a shard.
#[derive(Default)]
pub(crate) struct WriterShard {
    pub(crate) last: LogEnd,
    pub(crate) pending: Pending,
}

/// Groups on their way to the disk; see [`segment::Batch`]. Batches are written, and synced, in the
/// order in which they were taken.
pub struct Batch {
    inner: segment::Batch,
    store: Arc<Store>,
}

impl Writer {
    pub(crate) fn new(
        store: Arc<Store>,
        log: LogWriter,
        shards: BTreeMap<ShardId, WriterShard>,
    ) -> Self {
        let last = log.last_group();
        for number in [
            &store.progress.appended,
            &store.progress.written,
            &store.progress.synced,
            &store.progress.settles,
        ] {
            number.store(last, Ordering::Release);
        }
        Self {
            store,
            log,
            body: None,
            shards,
            unlogged: BTreeMap::new(),
        }
    }

    /// The shared half.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The last entry of a shard that was appended and not cut.
    #[must_use]
    pub fn last(&self, shard: ShardId) -> LogEnd {
        self.shards
            .get(&shard)
            .map_or(LogEnd::default(), |shard| shard.last)
    }

    /// The newest appended image of a row that is not committed yet: what a merge must start from.
    /// `None`: the committed row is the newest.
    #[must_use]
    pub fn newest_pending(
        &self,
        shard: ShardId,
        view: ViewId,
        hash: u64,
        key: &[u8],
    ) -> Option<Bytes> {
        self.shards.get(&shard)?.pending.newest(view, hash, key)
    }

    /// The entries of a shard that are appended and not committed, oldest first.
    pub fn pending(&self, shard: ShardId) -> impl Iterator<Item = Bytes> {
        self.shards
            .get(&shard)
            .into_iter()
            .flat_map(|shard| shard.pending.iter())
            .map(|entry| entry.bytes.clone())
    }

    /// Whether a write or sync has failed: the process must restart.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.log.is_poisoned()
    }

    /// Takes what was appended, for another thread to write and sync.
    pub fn take_batch(&mut self) -> Batch {
        Batch {
            inner: self.log.take_batch(),
            store: Arc::clone(&self.store),
        }
    }

    /// Takes note of a batch that was synced; without it, later groups say less about what was
    /// durable before them.
    pub fn note_synced(&mut self, synced: segment::Synced) {
        self.log.note_synced(synced);
    }

    /// Writes and syncs all that was appended.
    pub fn sync(&mut self) -> Result<segment::Synced, WriteError> {
        let mut batch = self.take_batch();
        batch.write()?;
        let synced = batch.sync()?;
        self.note_synced(synced);
        Ok(synced)
    }

    /// Begins a segment with the states of all shards, and makes it durable.
    pub(crate) fn begin_segment(&mut self) -> Result<(), OpenError> {
        self.log.start_segment()?;
        self.append_head()?;
        let (last, progress) = (self.log.last_group(), &self.store.progress);
        progress.appended.store(last, Ordering::Release);
        progress.settles.store(last, Ordering::Release);
        self.sync()?;
        Ok(())
    }

    /// Appends a group for commit points alone, when no entry comes to carry them: a restart then
    /// knows them, and segments that wait for that can go.
    pub fn log_commits(&mut self) -> Result<(), segment::AppendError> {
        if self.unlogged.is_empty() {
            return Ok(());
        }
        self.append_group(Vec::new(), &[], 0).map(|_| ())
    }

    /// Raises the floor of `view`. Rows of earlier events are gone at once, and for ever.
    pub fn set_floor(
        &mut self,
        view: ViewId,
        floor: EventTime,
    ) -> Result<(), segment::AppendError> {
        // Logged first: what is purged because of it must not be loaded by a restart.
        let mut floors = self.store.views.read().floors();
        floors.retain(|(other, _)| *other != view);
        floors.push((view, floor.max(self.store.floor(view))));
        self.append_internal(&[StateRecord::Floors(floors).entry()])?;
        self.store.views.write().raise_floor(view, floor);
        Ok(())
    }

    /// Raises the shard's collected mark: tombstones stamped at or below it may go, where nothing
    /// older can come any more.
    pub fn set_collected_mark(
        &mut self,
        shard: ShardId,
        mark: Hlc,
    ) -> Result<(), segment::AppendError> {
        self.change_state(shard, |state| state.collected = state.collected.max(mark))
    }

    /// Takes note of a stream's closed HLC, which no entry carries.
    pub fn set_closed(
        &mut self,
        shard: ShardId,
        stream: (RegionId, PlacementId),
        closed: Hlc,
    ) -> Result<(), segment::AppendError> {
        self.change_state(shard, |state| {
            let mark = state.streams.entry(stream).or_default();
            mark.closed = mark.closed.max(closed);
        })
    }

    fn change_state(
        &mut self,
        shard: ShardId,
        change: impl FnOnce(&mut ShardState),
    ) -> Result<(), segment::AppendError> {
        let mut state = self.full_state(shard);
        change(&mut state);
        self.append_internal(&[StateRecord::Shard(shard, state.clone()).entry()])?;
        self.store.shard_or_new(shard).rows.write().state = state;
        Ok(())
    }

    /// The state with the writer's part in it.
    pub(crate) fn full_state(&self, shard: ShardId) -> ShardState {
        let state = self
            .store
            .shard(shard)
            .map(|shard| shard.rows.read().state.clone());
        ShardState {
            last: self.last(shard),
            ..state.unwrap_or_default()
        }
    }

    /// The entries that each segment begins with.
    fn head_of_segment(&self) -> Vec<Bytes> {
        let floors = StateRecord::Floors(self.store.views.read().floors()).entry();
        let shards = self.store.all_shards();
        let states = shards
            .iter()
            .map(|shard| StateRecord::Shard(shard.id, self.full_state(shard.id)).entry());
        std::iter::once(floors).chain(states).collect()
    }

    /// The account of the segment that is being filled.
    pub(crate) fn current_body(&mut self) -> Arc<Body> {
        let segment = self.log.current().map(|(segment, _)| Arc::clone(segment));
        let segment = segment.expect("something was appended");
        if let Some(body) = self
            .body
            .as_ref()
            .filter(|body| body.segment.id == segment.id)
        {
            return Arc::clone(body);
        }
        let body = self.store.bodies.add(|slot| {
            let facts = Facts {
                last_group: segment.header.first_group - 1,
                ..Facts::default()
            };
            Body::new(slot, Arc::clone(&segment), false, facts)
        });
        if let Some(full) = self.body.replace(Arc::clone(&body)) {
            full.facts.lock().end = Some(segment.header.previous_end);
        }
        body
    }
}

/// Cuts entries into runs of at most a group's bytes.
pub(crate) fn group_runs(lengths: impl Iterator<Item = usize>) -> Vec<std::ops::Range<usize>> {
    let (mut runs, mut start, mut bytes, mut end) = (Vec::new(), 0, 0, 0);
    for length in lengths {
        if bytes > 0 && bytes + length > GROUP_BYTES {
            runs.push(start..end);
            (start, bytes) = (end, 0);
        }
        bytes += length;
        end += 1;
    }
    if start < end {
        runs.push(start..end);
    }
    runs
}

impl Batch {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Writes the groups: their entries can be committed where a copy elsewhere makes them safe.
    pub fn write(&mut self) -> Result<(), WriteError> {
        self.inner.write()?;
        self.store
            .progress
            .written
            .fetch_max(self.inner.through(), Ordering::AcqRel);
        Ok(())
    }

    /// The last group in it.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.inner.through()
    }

    /// The bytes of its groups, and of those it covers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    /// Takes the place of an earlier batch; both are written. Syncing this one syncs that one too.
    pub fn cover(&mut self, earlier: Self) {
        self.inner.cover(earlier.inner);
    }

    /// Makes the groups durable.
    pub fn sync(self) -> Result<segment::Synced, WriteError> {
        let synced = self.inner.sync()?;
        self.store
            .progress
            .synced
            .fetch_max(synced.through, Ordering::AcqRel);
        Ok(synced)
    }
}

impl From<segment::AppendError> for crate::error::AppendError {
    fn from(error: segment::AppendError) -> Self {
        Self::Log { error, appended: 0 }
    }
}

impl CutError {
    pub(crate) fn below_commit(shard: ShardId, commit: Position, after: Position) -> Self {
        Self::BelowCommit {
            shard,
            commit,
            after,
        }
    }
}
