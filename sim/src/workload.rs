//! What clients ask of a cluster under test: partial writes, late events, deletions, values about to
//! expire, lookups, all drawn from a seed.
//!
//! Pure: it makes operations and sends none, so the same load runs in the simulated world and
//! against real processes. Nearly every value is written once only, so that a read tells which
//! write it shows.

mod operations;
mod schema;

pub use operations::{Generator, Operation, Settings, TokenUse};
pub use schema::{Probe, ProbeView};
