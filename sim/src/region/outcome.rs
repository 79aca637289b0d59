//! What came of a run: its fingerprint, its history, the judge's report, and the rare states it saw.

use super::rare::Rare;
use crate::{
    checker::Report,
    faults::Schedule,
    history::History,
    world::{Trace, TraceHash},
};
use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// See the module.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The fingerprint of all that clients did and saw, to the microsecond, of all faults, and of all
    /// that the disks held in the end.
    pub hash: TraceHash,
    /// What clients did and saw, and the disks held.
    pub history: History,
    /// What the judge found.
    pub report: Report,
    /// What was done to the nodes.
    pub schedule: Schedule,
    /// The rare states.
    pub rare: Rare,
}

impl Outcome {
    pub(super) fn new(
        trace: &Trace,
        history: History,
        report: Report,
        schedule: Schedule,
        rare: Rare,
    ) -> Self {
        for entry in history.entries() {
            let at = Duration::from_micros(entry.at.0);
            trace.event_at(at, format_args!("{:?}", entry.event));
        }
        Self {
            seed: history.header().seed,
            hash: trace.hash(),
            history,
            report,
            schedule,
            rare,
        }
    }

    /// Writes the history into `folder`, to be judged again on another day; tells where.
    pub fn keep(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("region-{}.jsonl", self.seed));
        let mut out = BufWriter::new(File::create(&path)?);
        self.history.write_jsonl(&mut out)?;
        out.flush()?;
        Ok(path)
    }
}
