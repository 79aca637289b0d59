//! The applied state on disk: a copy that saves replaying the log after a clean stop.
//!
//! Never the truth: snapshot file and log are. So whatever is wrong with it, it is dropped and
//! built again from these, and nothing waits for it to be durable.

mod sled_state;

pub use sled_state::SledState;
#[cfg(test)]
pub(in crate::group) use sled_state::vouch_for;

use super::types::{LogId, Membership};
use crate::machine::{PartChanges, Parts};
use serde::{Deserialize, Serialize};

/// Up to where the parts hold what was applied.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Marker {
    /// The last entry applied.
    pub last_applied: Option<LogId>,
    /// The members as of that entry.
    pub membership: Membership,
}

/// Where the parts of a state machine are kept between runs.
pub trait AppliedState: Send + Sync + 'static {
    /// What was kept, if all of it is sound.
    fn load(&mut self) -> Option<(Parts, Marker)>;
    /// Keeps changes and the new marker, together.
    fn write(&mut self, changes: &PartChanges, marker: &Marker);
    /// Forgets everything and keeps this.
    fn reset(&mut self, parts: &Parts, marker: &Marker);
}

/// Keeps nothing: every start builds the state from snapshot and log. For the simulator, where
/// sled's own threads and files have no place, and for tests.
#[derive(Debug, Default)]
pub struct MemoryState;

impl AppliedState for MemoryState {
    fn load(&mut self) -> Option<(Parts, Marker)> {
        None
    }

    fn write(&mut self, _: &PartChanges, _: &Marker) {}

    fn reset(&mut self, _: &Parts, _: &Marker) {}
}
