//! One record of a Raft log file: a version byte and JSON. Metadata is rare, and `atoll inspect`
//! shows it to people.

use crate::group::types::{Entry, LogId, Vote};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

/// What happened to the log, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogRecord {
    /// A vote was given.
    Vote(Vote),
    /// An entry was appended; it follows the last one.
    Entry(Entry),
    /// Entries from this index on are void: another leader's took their place.
    Truncate(u64),
    /// Entries up to this one are in a snapshot.
    Purge(LogId),
    /// Entries up to this one are committed.
    Committed(LogId),
    /// All but the entries, at the beginning of what is kept when older segments go.
    State(LogState),
}

/// Everything that is not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogState {
    /// The newest vote.
    pub vote: Option<Vote>,
    /// The newest entry known to be committed.
    pub committed: Option<LogId>,
    /// The newest entry that is gone into a snapshot.
    pub purged: Option<LogId>,
}

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a later program.
    #[error("a record has version {0} and this program knows {VERSION}; start the newer version")]
    Newer(u8),
    /// Not what was written.
    #[error("a record cannot be read: {0}")]
    Malformed(String),
}

impl LogRecord {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, self)
            .expect("records are plain data, which JSON can hold");
        bytes
    }

    /// Reads a stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&VERSION, json)) => serde_json::from_slice(json)
                .map_err(|error| RecordError::Malformed(error.to_string())),
            Some((version, _)) => Err(RecordError::Newer(*version)),
            None => Err(RecordError::Malformed("it is empty".into())),
        }
    }
}
