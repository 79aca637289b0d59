//! What a lookup did on its way, for whoever asks why it took so long.

use proto::id::NodeId;
use std::fmt;

/// The steps of one lookup.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Rows of the answer.
    pub rows: u32,
    /// Keys that were read, over all entities.
    pub keys: usize,
    /// Views that were read, over all entities.
    pub views: usize,
    /// Shards that hold them.
    pub shards: usize,
    /// Microseconds from the beginning until it was known what to read where.
    pub planned_micros: u64,
    /// From there until the rows were there.
    pub fetched_micros: u64,
    /// From there until the answer was made.
    pub gathered_micros: u64,
    /// The nodes that were asked; nobody where this process's memory had it all.
    pub attempts: Vec<Attempt>,
}

/// One node that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The node.
    pub node: NodeId,
    /// For how many shards.
    pub shards: usize,
    /// Microseconds from the first attempt until this one.
    pub after_micros: u64,
    /// Microseconds until it answered or failed; none where it had not when the lookup went on.
    pub took_micros: Option<u64>,
    /// Whether another node was waited for meanwhile.
    pub is_hedge: bool,
    /// For how many shards its rows are the answer.
    pub used: usize,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} shards", self.node, self.shards)?;
        if self.is_hedge {
            f.write_str(", hedge")?;
        }
        if self.after_micros > 0 {
            write!(f, ", asked after {} ms", millis(self.after_micros))?;
        }
        match self.took_micros {
            Some(took) => write!(f, ", {} ms, {} used)", millis(took), self.used),
            None => f.write_str(", no answer)"),
        }
    }
}

/// Microseconds as milliseconds that people read.
pub fn millis(micros: u64) -> f64 {
    (micros as f64 / 100.0).round() / 10.0
}
