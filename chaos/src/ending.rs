//! The end of a run under load: everything is read back, lookups and the history are judged, and what
//! explains a violation is kept.

use crate::{clock::Clock, cluster::Cluster, judge, load::Load, report::Findings};
use anyhow::{Context as _, Result};
use sim::{checker, history::Micros};
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// What is acknowledged when the load ends is at all replicas a little later: closes come every
/// 250 ms.
const SPREAD: Duration = Duration::from_secs(2);

/// What is needed to end a run.
pub struct Ending<'a> {
    /// The cluster.
    pub cluster: &'a mut Cluster,
    /// The load on it.
    pub load: &'a mut Load,
    /// When.
    pub clock: Clock,
    /// Rows that were loaded before.
    pub rows: u64,
    /// How long the cluster may take until it is whole.
    pub whole_within: Duration,
    /// Where logs and the history are kept; by default only after a violation.
    pub keep: Option<&'a Path>,
}

impl Ending<'_> {
    /// Ends the load, and judges all since `from`.
    pub fn conclude(mut self, from: Micros, findings: &mut Findings) -> Result<()> {
        self.load.stop()?;
        let to = self.clock.now();
        if let Err(error) = self.read_all_back(findings) {
            findings.violated(format!("reading all back: {error:#}"));
        }
        let found = judge::judge(self.cluster.timeline(), &self.load.lookups(), from, to);
        findings.tell(format!("over all: {found}"));
        for example in &found.examples {
            findings.violated(example.clone());
        }
        let history = self.load.history();
        let report = checker::judge(&history).context("judge the history")?;
        findings.tell(report.judged.to_string());
        for violation in &report.violations {
            findings.violated(violation.to_string());
        }
        self.keep(findings)
    }

    fn read_all_back(&mut self, findings: &mut Findings) -> Result<()> {
        self.cluster.settle(self.whole_within)?;
        thread::sleep(SPREAD);
        for place in 0..self.cluster.nodes().len() {
            if !self.cluster.runs(place) {
                continue;
            }
            let name = self.cluster.nodes()[place].name().to_owned();
            self.load.read_back(place, &name)?;
            for fault in self.load.read_bulk(place)? {
                findings.violated(fault);
            }
            let rows = self.rows;
            findings.tell(format!(
                "every row of clients and {rows} loaded rows read through {name}"
            ));
        }
        Ok(())
    }

    fn keep(&self, findings: &mut Findings) -> Result<()> {
        let folder = match self.keep {
            Some(folder) => folder.to_owned(),
            None if findings.is_clean() => return Ok(()),
            None => fallback(),
        };
        self.cluster.keep_logs(&folder)?;
        let mut out = BufWriter::new(File::create(folder.join("history.jsonl"))?);
        self.load.history().write_jsonl(&mut out)?;
        out.flush()?;
        findings.kept = Some(folder);
        Ok(())
    }
}

fn fallback() -> PathBuf {
    std::env::temp_dir().join(format!("atoll-chaos-kept-{}", std::process::id()))
}
