//! Where a node keeps what it must find again: who it is, its files, its copy of the metadata.

use crate::server::data_dir::{DataDir, DataDirError};
use proto::id::{ClusterId, NodeId, StoreId};
use raft::group::applied::{AppliedState, SledState};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{
    Naming,
    disk::{Disk, RealDisk},
};

/// Gives a node its place.
pub trait Storage: Send + Sync {
    /// Takes the place at `path` for this run alone, making it if there is none. `fresh` becomes
    /// the node's id if it has none.
    fn open(&self, path: &Path, fresh: NodeId) -> Result<Box<dyn Home>, DataDirError>;
}

/// A node's place, taken until it is dropped. What it says it keeps, it keeps over a power loss.
pub trait Home: Send + Sync {
    /// The node that lives here.
    fn node(&self) -> NodeId;

    /// How the store here is named where its own files name none. `fresh` was just drawn.
    fn naming(&self, fresh: StoreId) -> Result<Naming, DataDirError>;

    /// The store's own files say now that it is `store`.
    fn named(&self, store: StoreId) -> Result<(), DataDirError>;

    /// The cluster that the node belongs to, once it does.
    fn cluster(&self) -> Result<Option<ClusterId>, DataDirError>;

    /// Joins the node to `cluster` for good.
    fn bind_to(&self, cluster: ClusterId) -> Result<(), DataDirError>;

    /// The files of the store and of the metadata's logs.
    fn disk(&self) -> io::Result<Arc<dyn Disk>>;

    /// A secret that is kept here; none while there is none.
    fn secret(&self, name: &str) -> Result<Option<String>, DataDirError>;

    /// Keeps a secret where nobody else reads it, in place of one that was there.
    fn keep_secret(&self, name: &str, text: &str) -> Result<(), DataDirError>;

    /// Where the trail of administration is kept; nowhere in a simulated world.
    fn trail(&self) -> Option<PathBuf>;

    /// Where the applied state of the metadata group `group` is kept.
    fn applied(&self, group: &str) -> io::Result<Box<dyn AppliedState>>;
}

/// Directories of the machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Directories;

impl Storage for Directories {
    fn open(&self, path: &Path, fresh: NodeId) -> Result<Box<dyn Home>, DataDirError> {
        Ok(Box::new(DataDir::open(path, fresh)?))
    }
}

impl Home for DataDir {
    fn node(&self) -> NodeId {
        Self::node(self)
    }

    fn naming(&self, fresh: StoreId) -> Result<Naming, DataDirError> {
        let former = self.former_store()?;
        Ok(Naming { fresh, former })
    }

    fn named(&self, _: StoreId) -> Result<(), DataDirError> {
        self.forget_former_store()
    }

    fn cluster(&self) -> Result<Option<ClusterId>, DataDirError> {
        Self::cluster(self)
    }

    fn bind_to(&self, cluster: ClusterId) -> Result<(), DataDirError> {
        Self::bind_to(self, cluster)
    }

    fn disk(&self) -> io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(RealDisk::open(self.path())?))
    }

    fn secret(&self, name: &str) -> Result<Option<String>, DataDirError> {
        Self::secret(self, name)
    }

    fn keep_secret(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        Self::keep_secret(self, name, text)
    }

    fn trail(&self) -> Option<PathBuf> {
        Some(self.join("audit"))
    }

    fn applied(&self, group: &str) -> io::Result<Box<dyn AppliedState>> {
        Ok(Box::new(SledState::open(self.join("meta").join(group))?))
    }
}
