//! A node's directory: who it is, which cluster it belongs to, and that one process alone uses it.
//!
//! ```text
//! LOCK  format  node-id  cluster-id  clock  meta/  raft/  store/  snapshots/  cache/  secrets/  audit/
//! ```
//!
//! The store's id lies in `store/`, with the rows that it stands for. In directories from before that
//! a file `store-id` lies beside it, which is read once more and then goes.

use proto::id::{ClusterId, NodeId, StoreId};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The layout that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// Where the store's id lay before it lay in the store.
const FORMER_STORE_ID: &str = "store-id";
/// The folder of what nobody else reads.
const SECRETS: &str = "secrets";

/// A directory held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    node: NodeId,
    _lock: File,
}

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The file system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "data directory {0} is in use by another process; stop that one or choose another --data-dir"
    )]
    InUse(PathBuf),
    /// A newer program wrote it.
    #[error(
        "data directory {path} has format {found}, and this program reads up to {FORMAT}; use a newer atoll"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file does not hold what it should.
    #[error(
        "{path} holds {text:?}, which is not an id; restore it, or start with an empty directory as a new node"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// It belongs elsewhere.
    #[error(
        "data directory {path} belongs to cluster {found}, not to {wanted}; choose another --data-dir"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster it belongs to.
        found: ClusterId,
        /// The cluster it was to serve.
        wanted: ClusterId,
    },
}

impl DataDir {
    /// Takes the directory, making it if there is none. `fresh` becomes its node id if it has none.
    pub fn open(path: &Path, fresh: NodeId) -> Result<Self, DataDirError> {
        let io = |doing, at: &Path| {
            let path = at.to_owned();
            move |source| DataDirError::Io {
                doing,
                path,
                source,
            }
        };
        fs::create_dir_all(path).map_err(io("make data directory", path))?;
        let lock_path = path.join("LOCK");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io("open", &lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| DataDirError::InUse(path.to_owned()))?;
        check_format(path)?;
        let node = read_or_write(&path.join("node-id"), fresh)?;
        Ok(Self {
            path: path.to_owned(),
            node,
            _lock: lock,
        })
    }

    /// The node that lives here.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in the directory.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The id of the store in the directory, if it was made while ids lay outside of stores.
    pub fn former_store(&self) -> Result<Option<StoreId>, DataDirError> {
        read_id(&self.join(FORMER_STORE_ID))
    }

    /// The store's own files name it by now.
    pub fn forget_former_store(&self) -> Result<(), DataDirError> {
        let path = self.join(FORMER_STORE_ID);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DataDirError::Io {
                doing: "delete",
                path,
                source,
            }),
            // Found again after a power loss, it is deleted again.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The cluster that the node belongs to, once it does.
    pub fn cluster(&self) -> Result<Option<ClusterId>, DataDirError> {
        read_id(&self.join("cluster-id"))
    }

    /// A secret that is kept here; none while there is none.
    pub fn secret(&self, name: &str) -> Result<Option<String>, DataDirError> {
        let path = self.join(SECRETS).join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DataDirError::Io {
                doing: "read",
                path,
                source,
            }),
        }
    }

    /// Keeps a secret where nobody but the owner of the directory reads it.
    pub fn keep_secret(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let folder = self.join(SECRETS);
        let path = folder.join(name);
        let kept = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .and_then(|()| write_durably(&path, text, Readers::Owner));
        kept.map_err(|source| DataDirError::Io {
            doing: "write",
            path,
            source,
        })
    }

    /// Joins the node to `cluster` for good.
    pub fn bind_to(&self, cluster: ClusterId) -> Result<(), DataDirError> {
        match read_or_write(&self.join("cluster-id"), cluster)? {
            found if found == cluster => Ok(()),
            found => Err(DataDirError::OtherCluster {
                path: self.path.clone(),
                found,
                wanted: cluster,
            }),
        }
    }
}

fn check_format(path: &Path) -> Result<(), DataDirError> {
    let file = path.join("format");
    let found = match fs::read_to_string(&file) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| DataDirError::Damaged { path: file, text })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return write_durably(&file, &FORMAT.to_string(), Readers::All).map_err(|source| {
                DataDirError::Io {
                    doing: "write",
                    path: file,
                    source,
                }
            });
        }
        Err(source) => {
            return Err(DataDirError::Io {
                doing: "read",
                path: file,
                source,
            });
        }
    };
    if found > FORMAT {
        Err(DataDirError::Newer {
            path: path.to_owned(),
            found,
        })
    } else {
        Ok(())
    }
}

fn read_id<T: FromStr>(file: &Path) -> Result<Option<T>, DataDirError> {
    match fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(DataDirError::Damaged {
                path: file.to_owned(),
                text,
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataDirError::Io {
            doing: "read",
            path: file.to_owned(),
            source,
        }),
    }
}

fn read_or_write<T: FromStr + ToString>(file: &Path, fresh: T) -> Result<T, DataDirError> {
    if let Some(id) = read_id(file)? {
        return Ok(id);
    }
    write_durably(file, &fresh.to_string(), Readers::All).map_err(|source| DataDirError::Io {
        doing: "write",
        path: file.to_owned(),
        source,
    })?;
    Ok(fresh)
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever may enter the directory.
    All,
    /// The user that the node runs as.
    Owner,
}

/// Writes a small file whole: beside it first, then renamed, with the folder synced, so that a
/// power loss leaves the old content or the new.
pub(crate) fn write_durably(file: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Owner => 0o600,
    };
    // One that a crash left behind may have been made for others to read.
    let _ = fs::remove_file(&beside);
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&beside, file)?;
    let folder = file
        .parent()
        .expect("files of a data directory have a folder");
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_node_and_refuses_a_second_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path(), NodeId(7)).unwrap();
        let second = DataDir::open(folder.path(), NodeId(8)).unwrap_err();
        assert!(
            second.to_string().contains("in use by another process"),
            "{second}"
        );
        drop(first);
        assert_eq!(
            DataDir::open(folder.path(), NodeId(9)).unwrap().node(),
            NodeId(7)
        );
    }

    #[test]
    fn a_directory_of_another_cluster_or_a_newer_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path(), NodeId(7)).unwrap();
        assert_eq!(dir.cluster().unwrap(), None);
        dir.bind_to(ClusterId(1)).unwrap();
        dir.bind_to(ClusterId(1)).unwrap();
        assert!(
            dir.bind_to(ClusterId(2))
                .unwrap_err()
                .to_string()
                .contains("belongs to cluster")
        );
        drop(dir);
        fs::write(folder.path().join("format"), "2").unwrap();
        let newer = DataDir::open(folder.path(), NodeId(7)).unwrap_err();
        assert!(newer.to_string().contains("use a newer atoll"), "{newer}");
    }

    #[test]
    fn the_id_of_a_store_from_before_is_given_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path(), NodeId(7)).unwrap();
        assert_eq!(dir.former_store().unwrap(), None);
        fs::write(folder.path().join("store-id"), StoreId(5).to_string()).unwrap();
        assert_eq!(dir.former_store().unwrap(), Some(StoreId(5)));
        dir.forget_former_store().unwrap();
        dir.forget_former_store().unwrap();
        assert_eq!(dir.former_store().unwrap(), None);
    }

    #[test]
    fn a_damaged_id_is_shown_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("node-id"), "zzz").unwrap();
        let error = DataDir::open(folder.path(), NodeId(7)).unwrap_err();
        assert!(error.to_string().contains("\"zzz\""), "{error}");
        assert_eq!(
            fs::read_to_string(folder.path().join("node-id")).unwrap(),
            "zzz"
        );
    }
}
