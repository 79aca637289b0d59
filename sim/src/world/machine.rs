//! What a simulated machine keeps over crashes of its node: its disk and who lives there.
//!
//! Lies outside the host's software and is cloned into it. The disk loses at a crash what was not
//! synced; who lives there was written durably in one step, so a plain value stands for it.

use super::{
    hosts::Ended,
    unsynced::{Unsynced, Watched},
};
use crate::{faults::PowerLoss, random::Random};
use node::{
    components::{Home, Storage},
    server::data_dir::DataDirError,
};
use proto::id::{ClusterId, NodeId, StoreId};
use raft::group::applied::{AppliedState, MemoryState};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use store::{
    Naming,
    disk::{Disk, Fault, FaultDisk},
};
use tokio::time::{Instant, sleep_until};

/// Puts something between a node and its disk.
pub type Between = Arc<dyn Fn(Arc<dyn Disk>) -> Arc<dyn Disk> + Send + Sync>;

/// What a machine loses with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All it had: whoever starts there is a new node.
    Everything,
    /// The store's files and the store's id; the node and its votes stay.
    Store,
    /// The store's files, while its id stays: a planted bug, for a store's id says what is on its disk.
    StoreButNotItsId,
}

/// A machine; clones are the same one.
#[derive(Clone)]
pub struct Machine {
    disk: FaultDisk,
    unsynced: Unsynced,
    between: Option<Between>,
    identity: Arc<Mutex<Identity>>,
    is_failing: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Identity {
    node: Option<NodeId>,
    store: Option<StoreId>,
    cluster: Option<ClusterId>,
    secrets: BTreeMap<String, String>,
    /// Whether somebody else lived here before.
    lost_all: bool,
}

impl Machine {
    /// A machine with an empty disk. What crashes lose, and whether reads find everything in memory
    /// or nothing, is drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let disk = FaultDisk::new(seed);
        disk.set_cached(Random::of_purpose(seed, "page cache").percent(50));
        Self {
            disk,
            unsynced: Unsynced::default(),
            between: None,
            identity: Arc::default(),
            is_failing: Arc::default(),
        }
    }

    /// The machine with something between node and disk.
    #[must_use]
    pub fn with_between(mut self, between: Between) -> Self {
        self.between = Some(between);
        self
    }

    /// The cluster that its node joined, once it did.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.identity().cluster
    }

    /// The node that lives there, once one does.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        self.identity().node
    }

    /// Lets power go in the middle of the disk's change after the next `changes`: what is written
    /// then and not synced stays so until [`Self::crash`], and whatever the node tries fails.
    pub fn lose_power_after(&self, changes: u64) {
        self.is_failing.store(true, Ordering::Relaxed);
        let number = self.disk.changes() + changes;
        self.disk.fail_change(number, Fault::PowerLoss);
    }

    /// Whether power may be gone, so that a node which gives up is right to.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// The machine went down: what was not synced is lost in part. Tells how many files lost
    /// something that a node had written.
    pub fn crash(&self) -> usize {
        self.disk.crash();
        self.is_failing.store(false, Ordering::Relaxed);
        self.unsynced.lost(&self.disk)
    }

    /// Its disk is lost while it is down.
    pub fn lose(&self, loss: Loss) {
        let is_lost = |path: &str| loss == Loss::Everything || path.starts_with("store/");
        for (path, _) in self.disk.files() {
            if is_lost(&path) {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                let lost = self
                    .disk
                    .delete(&path)
                    .and_then(|()| self.disk.sync_dir(directory));
                lost.expect("a machine that is down has no faults");
            }
        }
        let mut identity = self.identity();
        match loss {
            Loss::Everything => {
                *identity = Identity {
                    lost_all: true,
                    ..Identity::default()
                }
            }
            Loss::Store => identity.store = None,
            Loss::StoreButNotItsId => {}
        }
    }

    /// Whether it has lost all it had.
    #[must_use]
    pub fn has_lost_all(&self) -> bool {
        self.identity().lost_all
    }

    /// Its disk as it stands, to be read once the world has ended.
    #[must_use]
    pub fn take_disk(&self) -> FaultDisk {
        // Handles of nodes that still hang about are void; nothing is lost.
        self.disk.kill();
        self.disk.clone()
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Machine {
    fn open(&self, _: &Path, fresh: NodeId) -> Result<Box<dyn Home>, DataDirError> {
        self.identity().node.get_or_insert(fresh);
        Ok(Box::new(self.clone()))
    }
}

impl Home for Machine {
    fn node(&self) -> NodeId {
        self.identity()
            .node
            .expect("a home is opened before it is asked")
    }

    fn naming(&self, fresh: StoreId) -> Result<Naming, DataDirError> {
        // Only the planted bug has the machine remember what the store's own files no longer say.
        let fresh = self.identity().store.unwrap_or(fresh);
        let former = None;
        Ok(Naming { fresh, former })
    }

    fn named(&self, store: StoreId) -> Result<(), DataDirError> {
        self.identity().store = Some(store);
        Ok(())
    }

    fn cluster(&self) -> Result<Option<ClusterId>, DataDirError> {
        Ok(self.identity().cluster)
    }

    fn bind_to(&self, cluster: ClusterId) -> Result<(), DataDirError> {
        match *self.identity().cluster.get_or_insert(cluster) {
            found if found == cluster => Ok(()),
            found => Err(DataDirError::OtherCluster {
                path: "a simulated machine".into(),
                found,
                wanted: cluster,
            }),
        }
    }

    fn disk(&self) -> io::Result<Arc<dyn Disk>> {
        let watched = Watched::new(Arc::new(self.disk.clone()), self.unsynced.clone());
        let disk: Arc<dyn Disk> = Arc::new(watched);
        Ok(match &self.between {
            Some(between) => between(disk),
            None => disk,
        })
    }

    fn secret(&self, name: &str) -> Result<Option<String>, DataDirError> {
        Ok(self.identity().secrets.get(name).cloned())
    }

    fn keep_secret(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.identity().secrets.insert(name, text);
        Ok(())
    }

    fn trail(&self) -> Option<PathBuf> {
        None
    }

    fn applied(&self, _: &str) -> io::Result<Box<dyn AppliedState>> {
        Ok(Box::new(MemoryState))
    }
}

/// Takes the power of machines, by their hosts' numbers, at the given times.
pub async fn lose_power(losses: Vec<PowerLoss>, machines: Vec<Machine>) -> Ended {
    let start = Instant::now();
    for loss in losses {
        sleep_until(start + loss.at).await;
        machines[loss.host.0].lose_power_after(loss.after_changes);
    }
    Ok(())
}
