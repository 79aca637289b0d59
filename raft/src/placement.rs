//! Placement: the state machine of a regional group, and the controller on its leader.
//!
//! Which nodes there are and, per shard, incarnation, epoch, primary and in-sync set. Every change
//! compares and sets (incarnation, epoch). The controller decides from reports what to propose;
//! primaries propose their own in-sync sets. Pure: no IO, no clock, no async.

pub mod state;

mod apply;
pub mod command;
mod parts;

pub mod controller;
pub mod rehearsal;
pub mod voters;

pub use command::{PlacementCommand, PlacementOutcome, ShardChange};
pub use controller::{Controller, Effect, Event};
pub use state::{Member, Placement, Replica, ShardConfig};

#[cfg(test)]
mod tests;
