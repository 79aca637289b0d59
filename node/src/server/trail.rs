//! The trail of administration on disk: `audit/audit.jsonl`, a line for each entry, at most eight
//! files of eight MiB, the newest without a number. The newest entries stand in memory as well.

use super::running::Background;
use gateway::access::{Outcome, Trail, TrailEntry};
use parking_lot::Mutex;
use raft::group::Blocking;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;
use wire::v1;

const FILE: &str = "audit.jsonl";
const FILE_BYTES: u64 = 8 << 20;
/// Files besides the one that is written.
const OLDER_FILES: usize = 7;
/// Entries that can be asked for.
const NEWEST: usize = 1_000;
/// Entries that wait for the disk; a disk that lets more wait loses entries, and says so.
const QUEUE: usize = 1_024;
/// Entries that a question gets when it names no number.
const USUAL: usize = 100;

/// See the module.
pub struct TrailFile {
    newest: Arc<Mutex<VecDeque<TrailEntry>>>,
    queue: mpsc::Sender<TrailEntry>,
}

impl TrailFile {
    /// Keeps entries in `directory`; without one, in memory alone.
    pub fn start(directory: Option<PathBuf>, place: Blocking, background: &mut Background) -> Self {
        let kept = directory.as_deref().map_or_else(VecDeque::new, read_newest);
        let newest = Arc::new(Mutex::new(kept));
        let (queue, mut entries) = mpsc::channel::<TrailEntry>(QUEUE);
        let stopping = background.stopping();
        background.serve(async move {
            tokio::pin!(stopping);
            let mut is_stopping = false;
            loop {
                let entry = tokio::select! {
                    biased;
                    entry = entries.recv() => entry,
                    () = &mut stopping, if !is_stopping => { is_stopping = true; entries.close(); continue }
                };
                let Some(entry) = entry else { return };
                let Some(directory) = directory.clone() else {
                    continue;
                };
                let written = place.run(move || append(&directory, &entry)).await;
                if let Err(error) = written {
                    tracing::error!(%error, "an entry of the audit log was not written");
                }
            }
        });
        Self { newest, queue }
    }

    /// The newest entries, newest first.
    #[must_use]
    pub fn newest(&self, limit: u32) -> Vec<v1::AuditEntry> {
        let limit = match limit as usize {
            0 => USUAL,
            limit => limit,
        };
        let newest = self.newest.lock();
        newest.iter().rev().take(limit).map(told).collect()
    }
}

impl Trail for TrailFile {
    fn keep(&self, entry: TrailEntry) {
        {
            let mut newest = self.newest.lock();
            newest.push_back(entry.clone());
            if newest.len() > NEWEST {
                newest.pop_front();
            }
        }
        if self.queue.try_send(entry).is_err() {
            tracing::error!(
                "an entry of the audit log was lost: the disk does not keep up, or the node stops"
            );
        }
    }
}

fn told(entry: &TrailEntry) -> v1::AuditEntry {
    let (outcome, message) = match &entry.outcome {
        Outcome::Done => ("done", ""),
        Outcome::Refused { reason, message } => (reason.as_str(), message.as_str()),
    };
    v1::AuditEntry {
        at_us: i64::try_from(entry.at_millis.saturating_mul(1_000)).unwrap_or(i64::MAX),
        who: entry.who.clone(),
        token: entry.token.map(|id| id.to_string()).unwrap_or_default(),
        call: entry.call.clone(),
        what: entry.what.clone(),
        outcome: outcome.into(),
        message: message.into(),
    }
}

fn append(directory: &Path, entry: &TrailEntry) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path = directory.join(FILE);
    if fs::metadata(&path).is_ok_and(|file| file.len() >= FILE_BYTES) {
        rotate(directory)?;
    }
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let mut file = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(&line)?;
    file.sync_data()
}

fn rotate(directory: &Path) -> io::Result<()> {
    let numbered = |number: usize| directory.join(format!("{FILE}.{number}"));
    for number in (1..OLDER_FILES).rev() {
        if numbered(number).exists() {
            fs::rename(numbered(number), numbered(number + 1))?;
        }
    }
    fs::rename(directory.join(FILE), numbered(1))
}

/// What earlier runs wrote, as far as it can be read: a line that was cut off is passed over.
fn read_newest(directory: &Path) -> VecDeque<TrailEntry> {
    let files = [directory.join(format!("{FILE}.1")), directory.join(FILE)];
    let mut newest = VecDeque::new();
    for file in files.iter().filter_map(|path| File::open(path).ok()) {
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            if let Ok(entry) = serde_json::from_str(&line) {
                newest.push_back(entry);
                if newest.len() > NEWEST {
                    newest.pop_front();
                }
            }
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> TrailEntry {
        TrailEntry {
            at_millis: number,
            who: "a person".into(),
            token: None,
            call: "POST /x".into(),
            what: "y".repeat(100),
            outcome: Outcome::Done,
        }
    }

    #[test]
    fn entries_are_read_back_and_a_cut_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..3 {
            append(folder.path(), &entry(number)).unwrap();
        }
        let path = folder.path().join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 5);
        fs::write(&path, text).unwrap();
        let read: Vec<u64> = read_newest(folder.path())
            .iter()
            .map(|entry| entry.at_millis)
            .collect();
        assert_eq!(read, [0, 1]);
    }

    #[test]
    fn the_files_are_bounded_in_number_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for number in 0..10 {
            append(folder.path(), &entry(number)).unwrap();
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(FILE_BYTES)
                .unwrap();
        }
        append(folder.path(), &entry(10)).unwrap();
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1 + OLDER_FILES
        );
        assert!(fs::metadata(&path).unwrap().len() < 1_000);
    }
}
