//! Background steps. Each does a bounded piece of work on its caller's thread, never holds the
//! writer, and takes a shard's lock for a few rows at a time. One runs at a time.

mod compact;
mod hints;
mod limits;
mod output;
mod release;
mod repair;
mod sweep;

pub use compact::Compacted;
pub(crate) use output::{Moved, Output, Published};

pub use repair::{RepairError, WantedRow};
pub use sweep::Swept;

use crate::body::Body;
use std::{io, sync::Arc};

/// What background steps remember between calls.
#[derive(Default)]
pub(crate) struct Keeper {
    job: Option<compact::Job>,
    /// Segments whose live rows were copied, and the group that must be synced before they go.
    drained: Vec<(Arc<Body>, u64)>,
    sweep: sweep::Round,
}

/// A background step failed; it may be tried again.
#[derive(Debug, thiserror::Error)]
#[error("{doing} failed: {error}; free some disk space or check the disk, the step is tried again")]
pub struct StepError {
    /// What was being done.
    pub doing: &'static str,
    /// What the disk said.
    pub error: io::Error,
}

impl StepError {
    fn while_doing(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { doing, error }
    }
}
