//! What a load has done, on disk, so that the same command goes on where it was interrupted.
//!
//! A batch is noted before it is sent, with its request id, and again when its answer came. A
//! second run repeats what had no answer with the same ids while the cluster remembers them; later
//! under new ones, which changes nothing either, because every row keeps its event time.

use proto::{limits::REQUEST_ID_WINDOW, request::RequestId};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

const VERSION: u32 = 1;
/// What is read of a file's beginning and end to know it again.
const FINGERPRINT_BYTES: usize = 64 << 10;
/// An id this close to the window's end may be forgotten before the request arrives.
const ID_MARGIN_MILLIS: u64 = 60_000;

/// What makes two runs the same load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadIdentity {
    /// The cluster's id.
    pub cluster: String,
    /// The project.
    pub project: String,
    /// The view, as it was named.
    pub view: String,
    /// The file's size.
    pub file_bytes: u64,
    /// A hash of its beginning and end.
    pub fingerprint: String,
    /// The options that decide what its rows mean.
    pub options: String,
}

/// The progress of one load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadState {
    version: u32,
    /// Which load it is of.
    pub identity: LoadIdentity,
    /// For rows that do not say when they were true: when the load first began.
    pub event_time_micros: i64,
    /// All rows up to this one are done.
    pub done: u64,
    /// Batches after that which were sent.
    pub batches: Vec<SentBatch>,
    /// How long the rejects file is with the rows that are done.
    pub rejects_bytes: u64,
    /// What became of the rows that are done.
    pub counts: Counts,
}

/// A batch that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBatch {
    /// The number of its last row.
    pub last: u64,
    /// Its request id.
    #[serde(with = "as_text")]
    pub request_id: RequestId,
    /// Whether its answer came.
    pub answered: bool,
}

/// What became of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Durable.
    pub accepted: u64,
    /// Of these, those that a newer event stands above.
    pub superseded: u64,
    /// Not taken.
    pub rejected: u64,
}

/// A state that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("cannot keep the load's progress in {}: {cause}; name another place with --state FILE", path.display())]
    Io {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is not of this load.
    #[error("{} is the progress of another load ({what} differs); finish that one, or begin anew with --restart", path.display())]
    Other {
        /// Where it is.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// It is not a state, or of a newer version.
    #[error("{} is not a load's progress that this version knows; begin anew with --restart", .0.display())]
    Unreadable(PathBuf),
}

impl LoadState {
    /// A load's beginning.
    #[must_use]
    pub fn begin(identity: LoadIdentity, event_time_micros: i64) -> Self {
        Self {
            version: VERSION,
            identity,
            event_time_micros,
            done: 0,
            batches: Vec::new(),
            rejects_bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Reads the state of an earlier run; `None` where there is none.
    pub fn read(path: &Path, identity: &LoadIdentity) -> Result<Option<Self>, StateError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(io_error(path, cause)),
        };
        let unreadable = || StateError::Unreadable(path.to_owned());
        let state: Self = serde_json::from_slice(&text).map_err(|_| unreadable())?;
        if state.version != VERSION {
            return Err(unreadable());
        }
        match state.identity.difference(identity) {
            None => Ok(Some(state)),
            Some(what) => Err(StateError::Other {
                path: path.to_owned(),
                what,
            }),
        }
    }

    /// Replaces the file as a whole: a crash leaves the old state or the new one.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let text = serde_json::to_vec(self).expect("a state is plain data");
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, path))
            .map_err(|cause| io_error(path, cause))
    }

    /// Notes a batch that is about to be sent.
    pub fn sent(&mut self, last: u64, request_id: RequestId) {
        match self.batches.iter_mut().find(|batch| batch.last == last) {
            Some(batch) => batch.request_id = request_id,
            None => self.batches.push(SentBatch {
                last,
                request_id,
                answered: false,
            }),
        }
    }

    /// Notes a batch's answer, and how far the load is done without a gap.
    pub fn answered(&mut self, last: u64, counts: Counts) {
        self.counts.accepted += counts.accepted;
        self.counts.superseded += counts.superseded;
        self.counts.rejected += counts.rejected;
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.last == last) {
            batch.answered = true;
        }
        while self.batches.first().is_some_and(|batch| batch.answered) {
            self.done = self.batches.remove(0).last;
        }
    }
}

impl SentBatch {
    /// Its id, if the cluster still remembers it at `now_millis`.
    #[must_use]
    pub fn usable_id(&self, now_millis: u64) -> Option<RequestId> {
        let window = u64::try_from(REQUEST_ID_WINDOW.as_millis()).expect("ten minutes fit");
        let end = self.request_id.issued_millis() + window - ID_MARGIN_MILLIS;
        (now_millis < end).then_some(self.request_id)
    }
}

impl LoadIdentity {
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.cluster != other.cluster, "the cluster"),
            (self.project != other.project, "the project"),
            (self.view != other.view, "the view"),
            (self.file_bytes != other.file_bytes, "the file's size"),
            (self.fingerprint != other.fingerprint, "the file's content"),
            (self.options != other.options, "an option"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

/// The size of a file and a hash of its beginning and end.
pub fn fingerprint(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    Read::take(&mut file, FINGERPRINT_BYTES as u64).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(
        size.saturating_sub(FINGERPRINT_BYTES as u64),
    ))?;
    Read::take(&mut file, FINGERPRINT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok((size, format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes))))
}

fn io_error(path: &Path, cause: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        cause,
    }
}

/// A request id in the form in which people see it.
mod as_text {
    use proto::request::RequestId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        id: &RequestId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RequestId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> LoadIdentity {
        LoadIdentity {
            cluster: "c".to_owned(),
            project: "shop".to_owned(),
            view: "v".to_owned(),
            file_bytes: 10,
            fingerprint: "f".to_owned(),
            options: String::new(),
        }
    }

    fn accepted(rows: u64) -> Counts {
        Counts {
            accepted: rows,
            ..Counts::default()
        }
    }

    #[test]
    fn done_moves_over_answered_batches_without_a_gap() {
        let mut state = LoadState::begin(identity(), 0);
        for last in [10, 20, 30] {
            state.sent(last, RequestId::make(1, u128::from(last)));
        }
        state.answered(20, accepted(10));
        assert_eq!((state.done, state.batches.len()), (0, 3));
        state.answered(10, accepted(9));
        assert_eq!((state.done, state.batches.len()), (20, 1));
        assert_eq!(state.counts.accepted, 19);
    }

    #[test]
    fn a_state_reads_back_and_knows_its_load() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(LoadState::read(&path, &identity()).unwrap(), None);
        let mut state = LoadState::begin(identity(), 7);
        state.sent(10, RequestId::make(1_795_000_000_123, 5));
        state.write(&path).unwrap();
        assert_eq!(LoadState::read(&path, &identity()).unwrap(), Some(state));

        let other = LoadIdentity {
            fingerprint: "g".to_owned(),
            ..identity()
        };
        let message = LoadState::read(&path, &other).unwrap_err().to_string();
        assert!(
            message.contains("another load (the file's content differs)"),
            "{message}"
        );
        fs::write(&path, "{}").unwrap();
        let message = LoadState::read(&path, &identity()).unwrap_err().to_string();
        assert!(message.ends_with("begin anew with --restart"), "{message}");
    }

    #[test]
    fn an_id_is_used_again_only_while_it_is_remembered() {
        let batch = SentBatch {
            last: 1,
            request_id: RequestId::make(1_000_000, 0),
            answered: false,
        };
        assert!(batch.usable_id(1_000_000 + 539_999).is_some());
        assert!(batch.usable_id(1_000_000 + 540_000).is_none());
    }
}
