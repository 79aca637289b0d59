//! Opening a store: read the log's unsettled end, load the indexes from hint files, say what a
//! shard's replication must know to go on.
//!
//! After it, entries up to the logged commit point are visible and later ones are pending, as they
//! were. Whatever a crash interrupted is either whole or gone.

mod aside;
mod files;
mod format;
mod identity;
mod load;
mod replay;
mod requests;
mod settled;

pub use identity::Naming;
pub(crate) use requests::window_start;

use crate::{
    disk::Disk,
    error::OpenError,
    keeper::Keeper,
    segment::{Damage, Group, LogWriter, Scanned, Segment},
    settings::Settings,
    state::{Condition, RecentRequest, ShardState},
    store::{Progress, Store},
    tail::Tail,
    work::Work,
    writer::Writer,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::{
    entry::{EntryView, length_of},
    id::{ShardId, StoreId},
};
use std::{collections::BTreeMap, sync::Arc};

/// What a store found when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Each shard that the store has.
    pub shards: BTreeMap<ShardId, RecoveredShard>,
    /// The log ended in a group that a power loss tore. Nothing of it was ever durable here, but
    /// under `replicated` durability it may have been acknowledged.
    pub torn: bool,
    /// Where the log has lost what was durable.
    pub damage: Vec<Damage>,
    /// The id of a store that was here and whose log is gone: this one began anew under another id.
    pub lost: Option<StoreId>,
}

/// A shard as it was found.
#[derive(Debug, Clone, Default)]
pub struct RecoveredShard {
    /// Its state: the last entry, the commit point, the streams, whether its rows may be used.
    pub state: ShardState,
    /// The entries past the commit point, oldest first. They are pending again.
    pub tail: Vec<Bytes>,
    /// Requests of the last [`crate::Settings::remembered`] by the log's clock, committed ones
    /// and those of the tail, by position.
    pub requests: Vec<RecentRequest>,
    /// What the snapshot brought along that the shard began from, if it began from one.
    pub carried: Option<Bytes>,
}

impl RecoveredShard {
    /// Whether the shard needs a new copy from a replica.
    #[must_use]
    pub fn needs_copy(&self) -> bool {
        self.state.condition != Condition::Whole
    }
}

impl Store {
    /// Opens a store that no other node knows of, so that any id will do. See [`Self::open_named`].
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
    ) -> Result<(Arc<Self>, Writer, Recovered), OpenError> {
        let naming = Naming {
            fresh: StoreId(1),
            former: None,
        };
        Self::open_named(disk, settings, naming)
    }

    /// Opens the store in `settings.directory` of `disk`, founding it where there is none. Its id is
    /// the one that its files name; `naming` says which it gets where they name none.
    pub fn open_named(
        disk: Arc<dyn Disk>,
        settings: Settings,
        naming: Naming,
    ) -> Result<(Arc<Self>, Writer, Recovered), OpenError> {
        if settings.segment_bytes < 64 << 10
            || settings.segment_bytes >= crate::place::FILE_BYTES_MAX
        {
            return Err(OpenError::Setting(
                "store.segment_bytes must be from 64 KiB to below 256 MiB",
            ));
        }
        disk.create_dir(&settings.directory)
            .map_err(OpenError::while_doing("making the store's directory"))?;
        format::check(disk.as_ref(), &settings.directory)?;
        let named = identity::read(disk.as_ref(), &settings.directory)?;
        let hints = files::open_hints(disk.as_ref(), &settings.directory)?;
        let mut groups: Vec<(Arc<Segment>, Group, bool)> = Vec::new();
        let opened = LogWriter::open_known(
            disk,
            settings.log(),
            &|segment| hints.known(segment),
            &is_sound,
            &mut |scanned| match scanned {
                Scanned::Group(segment, group) => groups.push((Arc::clone(segment), group, true)),
                Scanned::Damaged(segment, group) => {
                    groups.push((Arc::clone(segment), group, false));
                }
            },
        )?;
        let owners = opened.segments.iter().map(|(own, _)| own.header.owner);
        let owners: Vec<u64> = owners.collect();
        let identity = identity::decide(&settings.directory, named, &owners, naming)?;
        identity::take(opened.writer.directory(), identity.id, named)?;
        let store = Arc::new(empty(settings, &opened.writer));
        let bases = files::open_bases(&store, &hints, &identity)?;
        let bodies = files::add_log_bodies(&store, &opened.segments, &hints);
        let mut found = replay::replay(&store, &bodies, &groups, &opened.damage);
        drop(groups);
        found.quarantine(&bases);
        found.note_settled(&store)?;
        let carried = found.read_carried(&store)?;
        load::load(&store, &mut found)?;
        files::delete_orphans(&store)?;

        let (shards, mut recovered) = found.hand_over(&store);
        for (shard, content) in carried {
            recovered.entry(shard).or_default().carried = Some(content);
        }
        requests::collect(&store, &mut recovered)?;
        store.refresh_capacity();
        let mut writer = Writer::new(Arc::clone(&store), opened.writer, shards);
        if identity.begins || !bases.aside.is_empty() {
            // From now on a log that is missing is lost, and what is missing with a file is known.
            writer.begin_segment()?;
            aside::put_aside(&store.directory, &bases.aside)?;
        }
        let damage = opened.damage.into_iter().chain(bases.damage).collect();
        Ok((
            store,
            writer,
            Recovered {
                shards: recovered,
                torn: opened.torn,
                damage,
                lost: identity.lost,
            },
        ))
    }
}

fn empty(settings: Settings, log: &LogWriter) -> Store {
    Store {
        tail: Mutex::new(Tail::new(settings.tail_bytes)),
        settings,
        directory: Arc::clone(log.directory()),
        shards: RwLock::default(),
        bodies: crate::body::Bodies::default(),
        views: RwLock::default(),
        damage: Mutex::default(),
        holders: Mutex::default(),
        keeper: Mutex::new(Keeper::default()),
        progress: Progress::default(),
        work: Work::default(),
    }
}

/// Whether all entries of a log group are as they were written.
fn is_sound(group: &Group) -> bool {
    let mut rest = group.payload();
    let mut entries = 0;
    while !rest.is_empty() {
        let sound = EntryView::parse(rest).is_ok_and(|entry| entry.verify().is_ok());
        let Some(length) = length_of(rest).filter(|_| sound) else {
            return false;
        };
        rest = &rest[length..];
        entries += 1;
    }
    entries == group.header.entries
}
