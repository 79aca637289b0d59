//! Snapshots as checksummed files: what the log is cut behind, and what a lagging member is sent.
//!
//! A file appears under its name only when it is whole and durable: written under another name,
//! synced, renamed, the directory synced. The newest sound one counts.
//!
//! `ATOLSNAP`, version 2 bytes, CRC-32C of all behind it 4, length of the head 4, head (JSON), body:
//! the parts of the state machine, each a key and a value behind their lengths. Little endian.

use super::types::{GroupId, SnapshotMeta};
use crate::machine::Parts;
use serde::{Deserialize, Serialize};
use std::{io, sync::Arc};
use store::disk::Disk;

const MAGIC: &[u8; 8] = b"ATOLSNAP";
const VERSION: u16 = 1;
/// Magic, version, checksum.
const PREFIX_BYTES: usize = 14;

/// What stands before the parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// Whose state it is.
    pub group: GroupId,
    /// What it holds.
    pub meta: SnapshotMeta,
}

/// Bytes that are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by a later program.
    #[error(
        "the snapshot has version {0} and this program knows {VERSION}; start the newer version"
    )]
    Newer(u16),
    /// Not what was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// Of another group.
    #[error("the snapshot is of group {found}, not of {wanted}")]
    OtherGroup {
        /// Whose it is.
        found: GroupId,
        /// Whose it should be.
        wanted: GroupId,
    },
}

/// The snapshot files of one group.
pub struct SnapshotFiles {
    disk: Arc<dyn Disk>,
    directory: String,
    group: GroupId,
}

/// The parts as they travel and lie in the file.
#[must_use]
pub fn encode_parts(parts: &Parts) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in parts {
        for run in [key.as_bytes(), value] {
            let length = u32::try_from(run.len()).expect("a part is far below 4 GiB");
            body.extend(length.to_le_bytes());
            body.extend(run);
        }
    }
    body
}

/// Reads what [`encode_parts`] gave.
pub fn decode_parts(mut body: &[u8]) -> Result<Parts, SnapshotError> {
    let mut take = || -> Option<&[u8]> {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let (run, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        body = rest;
        Some(run)
    };
    let mut parts = Parts::new();
    while let Some(key) = take() {
        let key = String::from_utf8(key.to_vec())
            .map_err(|_| SnapshotError::Damaged("a key is not UTF-8"))?;
        let value = take().ok_or(SnapshotError::Damaged("a part is cut"))?;
        parts.insert(key, value.to_vec());
    }
    if body.is_empty() {
        Ok(parts)
    } else {
        Err(SnapshotError::Damaged("a part is cut"))
    }
}

fn encode(head: &SnapshotHead, body: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(head).expect("a head is plain data, which JSON can hold");
    let mut rest = u32::try_from(json.len())
        .expect("a head is small")
        .to_le_bytes()
        .to_vec();
    rest.extend(json);
    rest.extend(body);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32c::crc32c(&rest).to_le_bytes());
    bytes.extend(rest);
    bytes
}

/// Reads a snapshot file's bytes: its head and its body.
pub fn decode(bytes: &[u8]) -> Result<(SnapshotHead, &[u8]), SnapshotError> {
    let damaged = SnapshotError::Damaged;
    let (prefix, rest) = bytes
        .split_at_checked(PREFIX_BYTES)
        .ok_or(damaged("it is too short"))?;
    if !prefix.starts_with(MAGIC) {
        return Err(damaged("it does not begin as one"));
    }
    let version = u16::from_le_bytes([prefix[8], prefix[9]]);
    if version > VERSION {
        return Err(SnapshotError::Newer(version));
    }
    if version == 0 || crc32c::crc32c(rest).to_le_bytes() != prefix[10..14] {
        return Err(damaged("its checksum differs"));
    }
    let (length, rest) = rest
        .split_first_chunk::<4>()
        .ok_or(damaged("it has no head"))?;
    let (json, body) = rest
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or(damaged("its head is cut"))?;
    let head = serde_json::from_slice(json).map_err(|_| damaged("its head cannot be read"))?;
    Ok((head, body))
}

impl SnapshotFiles {
    /// The files in a directory of a disk.
    pub fn open(disk: Arc<dyn Disk>, directory: String, group: GroupId) -> io::Result<Self> {
        disk.create_dir(&directory)?;
        Ok(Self {
            disk,
            directory,
            group,
        })
    }

    /// Writes a snapshot and makes it the only one. It is durable on return.
    pub fn write(&self, meta: &SnapshotMeta, body: &[u8]) -> io::Result<()> {
        let head = SnapshotHead {
            group: self.group,
            meta: meta.clone(),
        };
        let bytes = encode(&head, body);
        let name = format!(
            "{:020}-{:08x}.snapshot",
            index_of(meta),
            crc32c::crc32c(meta.snapshot_id.as_bytes())
        );
        let temporary = format!("{}/{name}.new", self.directory);
        if self
            .disk
            .list(&self.directory)?
            .iter()
            .any(|found| temporary.ends_with(found.as_str()))
        {
            self.disk.delete(&temporary)?;
        }
        let file = self.disk.create(&temporary, bytes.len() as u64)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        self.disk
            .rename(&temporary, &format!("{}/{name}", self.directory))?;
        self.disk.sync_dir(&self.directory)?;
        self.remove_all_but(&name)
    }

    /// The newest sound snapshot. A damaged one is passed over: whether an older one will do is
    /// for the log to say, which must reach back to it.
    pub fn newest(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, SnapshotReadError> {
        let mut newest: Option<(SnapshotMeta, Vec<u8>)> = None;
        let mut fault = None;
        for name in self
            .disk
            .list(&self.directory)?
            .iter()
            .rev()
            .filter(|name| name.ends_with(".snapshot"))
        {
            match self.read(name) {
                Ok(found)
                    if newest
                        .as_ref()
                        .is_none_or(|(meta, _)| meta.last_log_id < found.0.last_log_id) =>
                {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(SnapshotReadError::Format {
                    error: SnapshotError::Newer(version),
                    path,
                }) => {
                    return Err(SnapshotReadError::Format {
                        error: SnapshotError::Newer(version),
                        path,
                    });
                }
                Err(error) => fault = Some(error),
            }
        }
        match (newest, fault) {
            (None, Some(fault)) => Err(fault),
            (newest, _) => Ok(newest),
        }
    }

    fn read(&self, name: &str) -> Result<(SnapshotMeta, Vec<u8>), SnapshotReadError> {
        let path = format!("{}/{name}", self.directory);
        let file = self.disk.open(&path)?;
        let mut bytes = vec![0; usize::try_from(file.size_bytes()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        let format = |error| SnapshotReadError::Format {
            path: path.clone(),
            error,
        };
        let (head, body) = decode(&bytes).map_err(format)?;
        if head.group != self.group {
            return Err(format(SnapshotError::OtherGroup {
                found: head.group,
                wanted: self.group,
            }));
        }
        Ok((head.meta, body.to_vec()))
    }

    fn remove_all_but(&self, kept: &str) -> io::Result<()> {
        for name in self
            .disk
            .list(&self.directory)?
            .iter()
            .filter(|name| *name != kept)
        {
            self.disk.delete(&format!("{}/{name}", self.directory))?;
        }
        self.disk.sync_dir(&self.directory)
    }
}

/// Why no snapshot could be read though there are files.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotReadError {
    /// The disk failed.
    #[error("read a snapshot file: {0}")]
    Disk(#[from] io::Error),
    /// The file is not what was written.
    #[error("read {path}: {error}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        error: SnapshotError,
    },
}

/// The index of a snapshot's last entry.
#[must_use]
pub fn index_of(meta: &SnapshotMeta) -> u64 {
    meta.last_log_id.map_or(0, |log_id| log_id.index)
}
