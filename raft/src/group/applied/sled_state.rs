//! The applied state in sled.
//!
//! sled 0.34 does not fsync, and opening files that it did not leave itself can panic, which ends
//! a release build. So it only ever opens what it closed: when it is closed, the length and
//! checksum of each of its files are written beside its directory; when it is opened, that list
//! goes first, and a directory that does not match it to the byte goes too. What sled then gives
//! is checked once more against a sum over all parts that its marker carries.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sled opens files by itself, so what stands beside it does too; the simulator uses `MemoryState`"
)]

use super::{AppliedState, Marker};
use crate::machine::{PartChanges, Parts};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

const MARKER: &[u8] = b"\0marker";
/// sled's cache: all of it stands in the state machine's own memory anyway.
const CACHE_BYTES: u64 = 4 << 20;

/// The applied state in a directory of the real file system.
pub struct SledState {
    directory: PathBuf,
    db: Option<sled::Db>,
    /// What each part adds to the sum.
    sums: BTreeMap<String, u64>,
    sum: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredMarker {
    sum: u64,
    parts: u64,
    marker: Marker,
}

/// sled's files as they were when it closed.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Inventory {
    /// Relative path → (length, CRC-32C).
    files: BTreeMap<String, (u64, u32)>,
}

impl SledState {
    /// Opens the directory if it is as it was left, else begins anew. Only when not even an empty
    /// one can be made is that an error.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        let left = fs::read(inventory_path(&directory)).ok();
        let left: Option<Inventory> = left.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // From here on the files change: the list must not vouch for them after a crash.
        remove_file(&inventory_path(&directory))?;
        let known = left.is_some() && inventory(&directory).ok() == left;
        let mut state = Self {
            directory,
            db: None,
            sums: BTreeMap::new(),
            sum: 0,
        };
        if !known {
            state.clear()?;
        }
        match state.start() {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, "the applied state does not open; it is built again");
                state.clear()?;
                state.start()?;
            }
        }
        Ok(state)
    }

    fn start(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let config = sled::Config::new()
            .path(&self.directory)
            .cache_capacity(CACHE_BYTES);
        self.db = Some(config.open().map_err(io::Error::other)?);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.db = None;
        self.sums.clear();
        self.sum = 0;
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&mut self) -> Option<(Parts, Marker)> {
        let db = self.db.as_ref()?;
        let stored: StoredMarker = serde_json::from_slice(&db.get(MARKER).ok()??).ok()?;
        let mut parts = Parts::new();
        for pair in db.iter() {
            let (key, value) = pair.ok()?;
            if key != MARKER {
                parts.insert(String::from_utf8(key.to_vec()).ok()?, value.to_vec());
            }
        }
        self.sums = parts
            .iter()
            .map(|(key, value)| (key.clone(), sum_of(key, value)))
            .collect();
        self.sum = self
            .sums
            .values()
            .fold(0, |sum, part| sum.wrapping_add(*part));
        let sound = self.sum == stored.sum && parts.len() as u64 == stored.parts;
        sound.then_some((parts, stored.marker))
    }

    fn try_write(&mut self, changes: &PartChanges, marker: &Marker) -> Result<(), sled::Error> {
        let Some(db) = &self.db else { return Ok(()) };
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            let new = value.as_ref().map_or(0, |value| sum_of(key, value));
            let old = match value {
                Some(value) => {
                    batch.insert(key.as_bytes(), value.as_slice());
                    self.sums.insert(key.clone(), new)
                }
                None => {
                    batch.remove(key.as_bytes());
                    self.sums.remove(key)
                }
            };
            self.sum = self.sum.wrapping_sub(old.unwrap_or(0)).wrapping_add(new);
        }
        let stored = StoredMarker {
            sum: self.sum,
            parts: self.sums.len() as u64,
            marker: marker.clone(),
        };
        batch.insert(
            MARKER,
            serde_json::to_vec(&stored).expect("a marker is plain data, which JSON can hold"),
        );
        db.apply_batch(batch)
    }

    /// Goes on without: the next start builds the state again.
    fn give_up(&mut self, error: &sled::Error) {
        tracing::warn!(%error, "the applied state cannot be written; it is built again at the next start");
        self.db = None;
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(db) = self.db.take() else {
            return Ok(());
        };
        db.flush().map_err(io::Error::other)?;
        drop(db);
        vouch_for(&self.directory)
    }
}

/// Notes the files of a closed directory, so that the next start may open them.
pub(in crate::group) fn vouch_for(directory: &Path) -> io::Result<()> {
    let bytes = serde_json::to_vec(&inventory(directory)?).map_err(io::Error::other)?;
    let path = inventory_path(directory);
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)
}

impl AppliedState for SledState {
    fn load(&mut self) -> Option<(Parts, Marker)> {
        self.read()
    }

    fn write(&mut self, changes: &PartChanges, marker: &Marker) {
        if let Err(error) = self.try_write(changes, marker) {
            self.give_up(&error);
        }
    }

    fn reset(&mut self, parts: &Parts, marker: &Marker) {
        let Some(db) = &self.db else { return };
        if let Err(error) = db.clear() {
            return self.give_up(&error);
        }
        self.sums.clear();
        self.sum = 0;
        let all = parts
            .iter()
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect();
        self.write(&all, marker);
    }
}

impl Drop for SledState {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the applied state was not closed; it is built again at the next start");
        }
    }
}

/// What a part adds to the sum: its checksum, spread, so that parts do not cancel each other.
fn sum_of(key: &str, value: &[u8]) -> u64 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), value);
    (u64::from(crc) << 32 | (value.len() as u64 & 0xffff_ffff)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn inventory_path(directory: &Path) -> PathBuf {
    directory.with_extension("closed")
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn inventory(directory: &Path) -> io::Result<Inventory> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let bytes = fs::read(&path)?;
            let name = path
                .strip_prefix(directory)
                .map_err(io::Error::other)?
                .to_string_lossy()
                .into_owned();
            files.insert(name, (bytes.len() as u64, crc32c::crc32c(&bytes)));
        }
    }
    Ok(Inventory { files })
}
