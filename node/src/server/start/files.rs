//! What a node finds in its directory: who it is, its store, its clock's bound.

use super::{StartError, io};
use crate::{
    components::{Components, Home},
    server::hlc_bound::HlcBound,
    settings::NodeSettings,
};
use proto::{
    hlc::Clock as HlcClock,
    id::{NodeId, StoreId},
};
use std::sync::Arc;
use store::{Recovered, Store, Writer, disk::Disk};

/// What a node finds in its directory.
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) store: (Arc<Store>, Writer, Recovered),
    pub(super) store_id: StoreId,
    pub(super) bound: HlcBound,
    pub(super) clock: HlcClock,
}

/// Takes the directory, and opens what is in it.
pub(super) fn open(
    settings: &NodeSettings,
    components: &Components,
) -> Result<(Arc<dyn Home>, Files), StartError> {
    let fresh = NodeId(components.entropy.id());
    let home = components.storage.open(&settings.node.data_dir, fresh)?;
    let home: Arc<dyn Home> = Arc::from(home);
    let disk = home.disk().map_err(io("open the data directory"))?;
    let naming = home.naming(StoreId(components.entropy.id().max(1)))?;
    let store = Store::open_named(Arc::clone(&disk), store_settings(settings), naming)?;
    let store_id = store.0.id();
    home.named(store_id)?;
    if let Some(lost) = store.2.lost {
        tracing::warn!(
            %lost, %store_id,
            "the log of the store that was here is gone: it begins anew under another id, and its shards are \
             brought from other replicas"
        );
    }
    let (bound, start) = HlcBound::open(Arc::clone(&disk)).map_err(io("read the clock's bound"))?;
    let mut clock = HlcClock::starting_at(start);
    clock.observe(store.0.largest_hlc());
    Ok((
        home,
        Files {
            disk,
            store,
            store_id,
            bound,
            clock,
        },
    ))
}

fn store_settings(settings: &NodeSettings) -> store::Settings {
    let usual = store::Settings::default();
    store::Settings {
        // Small segments are for little memory.
        tail_bytes: usual.tail_bytes.min(settings.store.segment_bytes.0),
        segment_bytes: settings.store.segment_bytes.0,
        max_bytes: settings.store.max_bytes.0,
        index_memory_bytes: settings.store.index_memory.0,
        remembered: settings.store.remembered.0,
        ..usual
    }
}
