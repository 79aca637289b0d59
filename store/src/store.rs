//! The store's shared half: what readers, the writer and background steps all hold.

use crate::{
    body::Bodies,
    damage::DamageList,
    holders::Holders,
    keeper::Keeper,
    segment::Directory,
    settings::Settings,
    shard::{Rows, Shard},
    state::{Condition, ShardState, StreamMark},
    tail::Tail,
    views::{Purge, ViewNumber, Views},
    work::Work,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::{
    hlc::Hlc,
    id::{PlacementId, Position, RegionId, ShardId, StoreId, ViewId},
    time::EventTime,
};
use smallvec::SmallVec;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One node's rows. Reads take `&self`, from as many threads as like.
pub struct Store {
    pub(crate) settings: Settings,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shards: RwLock<Vec<Option<Arc<Shard>>>>,
    pub(crate) bodies: Bodies,
    pub(crate) views: RwLock<Views>,
    pub(crate) tail: Mutex<Tail>,
    pub(crate) damage: Mutex<DamageList>,
    pub(crate) holders: Mutex<Holders>,
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) progress: Progress,
    pub(crate) work: Work,
}

/// How far the log is, as all threads may see it.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) appended: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) synced: AtomicU64,
    /// Once this group is synced, all that is in the indexes now is committed after a restart too.
    pub(crate) settles: AtomicU64,
    /// The largest stamp of a committed entry of any shard.
    pub(crate) largest_hlc: AtomicU64,
    /// Bytes of all indexes, as last counted.
    pub(crate) index_bytes: AtomicU64,
    /// What the file system said last.
    pub(crate) free_bytes: AtomicU64,
    pub(crate) total_bytes: AtomicU64,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.settings.directory)
    }
}

impl Store {
    /// The settings that it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The id of this store, for as long as it has its log.
    #[must_use]
    pub fn id(&self) -> StoreId {
        StoreId(self.directory.owner())
    }

    pub(crate) fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.shards
            .read()
            .get(usize::from(id.0))
            .and_then(Clone::clone)
    }

    pub(crate) fn shard_or_new(&self, id: ShardId) -> Arc<Shard> {
        if let Some(shard) = self.shard(id) {
            return shard;
        }
        let mut shards = self.shards.write();
        let at = usize::from(id.0);
        if shards.len() <= at {
            shards.resize(at + 1, None);
        }
        let shard = shards[at].get_or_insert_with(|| Arc::new(Shard::new(id, Rows::default())));
        Arc::clone(shard)
    }

    pub(crate) fn all_shards(&self) -> Vec<Arc<Shard>> {
        self.shards
            .read()
            .iter()
            .flatten()
            .map(Arc::clone)
            .collect()
    }

    /// The shard's state as committed; none for a shard that was never written.
    #[must_use]
    pub fn state(&self, shard: ShardId) -> Option<ShardState> {
        Some(self.shard(shard)?.rows.read().state.clone())
    }

    /// How far one stream is applied to the shard.
    #[must_use]
    pub fn stream(&self, shard: ShardId, stream: (RegionId, PlacementId)) -> Option<StreamMark> {
        let shard = self.shard(shard)?;
        let rows = shard.rows.read();
        rows.state.streams.get(&stream).copied()
    }

    /// The extras of the last *start* entry of a stream that was applied to the shard: its lineage.
    #[must_use]
    pub fn start(&self, shard: ShardId, stream: (RegionId, PlacementId)) -> Option<Bytes> {
        let shard = self.shard(shard)?;
        let rows = shard.rows.read();
        rows.state.starts.get(&stream).cloned()
    }

    /// How far all streams are applied to the shard. On the path of lookups, so nothing else of the
    /// state is copied.
    #[must_use]
    pub fn streams(&self, shard: ShardId) -> SmallVec<[((RegionId, PlacementId), StreamMark); 4]> {
        let Some(shard) = self.shard(shard) else {
            return SmallVec::new();
        };
        let rows = shard.rows.read();
        rows.state
            .streams
            .iter()
            .map(|(stream, mark)| (*stream, *mark))
            .collect()
    }

    /// The position up to which the shard's rows are visible; 0 before the first entry.
    #[must_use]
    pub fn applied(&self, shard: ShardId) -> Position {
        self.shard(shard)
            .map_or(Position(0), |shard| shard.rows.read().applied())
    }

    /// Rows in the index of a shard, tombstones included.
    #[must_use]
    pub fn rows(&self, shard: ShardId) -> usize {
        self.shard(shard)
            .map_or(0, |shard| shard.rows.read().index.len())
    }

    /// Whether the shard's rows may be read; if not, they wait for a new copy from a replica.
    #[must_use]
    pub fn condition(&self, shard: ShardId) -> Condition {
        self.shard(shard)
            .map_or(Condition::Whole, |shard| shard.rows.read().state.condition)
    }

    /// How late events of `view` may come, which decides when its tombstones can go. Not stored:
    /// tell it at each start. Until then tombstones stay.
    pub fn set_max_late(&self, view: ViewId, max_late: Option<Duration>) {
        self.views.write().set_max_late(view, max_late);
    }

    /// The floor of `view`: rows of earlier events no longer exist.
    #[must_use]
    pub fn floor(&self, view: ViewId) -> EventTime {
        self.views.read().purge(view).floor
    }

    pub(crate) fn view_number(&self, view: ViewId) -> ViewNumber {
        let known = self.views.read().known(view);
        known.unwrap_or_else(|| self.views.write().number(view))
    }

    pub(crate) fn purge_of(&self, number: ViewNumber) -> Option<Purge> {
        self.views.read().purge_of(number)
    }

    /// The largest stamp of any committed entry: the log's own clock.
    #[must_use]
    pub fn largest_hlc(&self) -> Hlc {
        Hlc(self.progress.largest_hlc.load(Ordering::Acquire))
    }

    pub(crate) fn note_largest_hlc(&self, hlc: Hlc) {
        self.progress.largest_hlc.fetch_max(hlc.0, Ordering::AcqRel);
    }

    /// The last group that was appended.
    #[must_use]
    pub fn appended_through(&self) -> u64 {
        self.progress.appended.load(Ordering::Acquire)
    }

    /// The last group that is durable.
    #[must_use]
    pub fn synced_through(&self) -> u64 {
        self.progress.synced.load(Ordering::Acquire)
    }
}
