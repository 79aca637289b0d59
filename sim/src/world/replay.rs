//! The same seed twice must leave the same trace; where it does not, the first difference is shown.

use super::trace::{Trace, TraceHash};
use crate::run;

/// Two runs of one seed went different ways.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: the runs part at event {event}\n  first:  {first}\n  second: {second}")]
pub struct Differs {
    /// The seed.
    pub seed: u64,
    /// The first event that differs, from 0.
    pub event: usize,
    /// It, in the first run.
    pub first: String,
    /// It, in the second.
    pub second: String,
}

/// Runs `world` twice under `seed`, each time on a thread of its own, and compares the traces.
pub fn same_twice(
    seed: u64,
    world: impl Fn(u64, Trace) + Send + Sync,
) -> Result<TraceHash, Differs> {
    let once = || {
        let trace = Trace::default();
        run::simulated(seed, || world(seed, trace.clone()));
        trace
    };
    let (first, second) = (once(), once());
    if first.hash() == second.hash() {
        return Ok(first.hash());
    }
    let (first, second) = (first.lines(), second.lines());
    let same = first
        .iter()
        .zip(&second)
        .take_while(|(first, second)| first == second)
        .count();
    let line = |lines: &[String]| {
        lines
            .get(same)
            .cloned()
            .unwrap_or_else(|| "the end".to_owned())
    };
    Err(Differs {
        seed,
        event: same,
        first: line(&first),
        second: line(&second),
    })
}
