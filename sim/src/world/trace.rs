//! What happened in a run, with simulated microseconds, and its hash.
//!
//! Not a log for people first: it exists to be equal when a seed is run again. So nothing goes in
//! that a process counts for itself: no task ids, no addresses of memory, no wall clock.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The fingerprint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceHash {
    /// Of all events in order.
    pub hash: u64,
    /// How many they are.
    pub events: usize,
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x} over {} events", self.hash, self.events)
    }
}

/// A trace in the making; clones write the same one.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// Adds an event of the host that runs now.
    ///
    /// # Panics
    /// Outside a host of a simulated world.
    pub fn event(&self, what: impl fmt::Display) {
        let at = turmoil::sim_elapsed().expect("events of hosts are traced by hosts");
        self.event_at(at, what);
    }

    /// Adds an event of the world itself.
    pub fn event_at(&self, at: Duration, what: impl fmt::Display) {
        let line = format!("{} {what}", at.as_micros());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// The events so far, one a line: microseconds, then what.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The fingerprint of the events so far.
    #[must_use]
    pub fn hash(&self) -> TraceHash {
        let lines = self.lines();
        let hash = lines
            .iter()
            .fold(0, |hash, line| xxh3_64_with_seed(line.as_bytes(), hash));
        TraceHash {
            hash,
            events: lines.len(),
        }
    }
}
