//! What came of a run: its fingerprint, its history, the judge's report, and the rare states it saw. Or
//! why it did not come to its end, and what the judge says of it until then.

use crate::{
    checker::{self, Report},
    faults::Schedule,
    history::History,
    world::{Failed, Trace, TraceHash},
};
use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// A run that came to its end; `S` says which rare states it saw.
#[derive(Debug, Clone)]
pub struct Outcome<S> {
    /// The seed.
    pub seed: u64,
    /// The fingerprint of all that clients did and saw, to the microsecond, of all faults, and of what
    /// the history holds besides.
    pub hash: TraceHash,
    /// What clients did and saw, and what nodes and disks told.
    pub history: History,
    /// What the judge found.
    pub report: Report,
    /// What was done to the nodes.
    pub schedule: Schedule,
    /// The rare states.
    pub seen: S,
}

impl<S> Outcome<S> {
    /// Judges a run's history.
    pub(crate) fn of(
        trace: &Trace,
        history: History,
        schedule: Schedule,
        seen: S,
    ) -> Result<Self, RunError> {
        let seed = history.header().seed;
        let report =
            checker::judge(&history).map_err(|source| RunError::History { seed, source })?;
        for entry in history.entries() {
            let at = Duration::from_micros(entry.at.0);
            trace.event_at(at, format_args!("{:?}", entry.event));
        }
        Ok(Self {
            seed,
            hash: trace.hash(),
            history,
            report,
            schedule,
            seen,
        })
    }

    /// Writes the history into `folder`, to be judged again on another day; `kind` is the run's. Tells
    /// where.
    pub fn keep(&self, folder: &Path, kind: &str) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{kind}-{}.jsonl", self.seed));
        let mut out = BufWriter::new(File::create(&path)?);
        self.history.write_jsonl(&mut out)?;
        out.flush()?;
        Ok(path)
    }
}

/// A run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The world stopped before its clients were done.
    #[error("seed {seed}: {why}\n{schedule}{report}")]
    World {
        /// The seed.
        seed: u64,
        /// Why.
        why: String,
        /// Whose doing it was.
        cause: Cause,
        /// What was done to the nodes.
        schedule: Schedule,
        /// What the judge found until then.
        report: Box<Report>,
    },
    /// There is no history: the nodes did not form a region.
    #[error("seed {seed}: the region was not formed")]
    Formed {
        /// The seed.
        seed: u64,
    },
    /// A disk cannot be read.
    #[error("seed {seed}: read the disk of {host}: {why}")]
    Disk {
        /// The seed.
        seed: u64,
        /// Whose.
        host: String,
        /// Why not.
        why: String,
    },
    /// The history is not one that can be judged.
    #[error("seed {seed}: {source}")]
    History {
        /// The seed.
        seed: u64,
        /// Why not.
        source: checker::Unjudgeable,
    },
}

/// Why a world stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A node gave up though its machine was well: an invariant of its was broken.
    Node,
    /// Something did not come about in time.
    Other,
}

impl RunError {
    /// The world stopped, with this on record by then, if anything was.
    pub(crate) fn world(
        seed: u64,
        failed: &Failed,
        schedule: Schedule,
        history: Option<&History>,
    ) -> Self {
        let report = history.and_then(|history| checker::judge(history).ok());
        Self::World {
            seed,
            why: failed.to_string(),
            cause: if failed.is_a_node_giving_up() {
                Cause::Node
            } else {
                Cause::Other
            },
            schedule,
            report: Box::new(report.unwrap_or_default()),
        }
    }

    /// The harm that was seen: a broken promise, or a node that gave up rather than break one. That
    /// something does not heal is none.
    #[must_use]
    pub fn harm(&self) -> Option<String> {
        match self {
            Self::World {
                why, cause, report, ..
            } => report
                .harm()
                .or_else(|| (*cause == Cause::Node).then(|| why.clone())),
            Self::Formed { .. } | Self::Disk { .. } | Self::History { .. } => None,
        }
    }
}
