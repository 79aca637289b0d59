//! The same logic in a simulated world, and the judges of what any world did.
//!
//! Two halves. The first needs no simulation and judges real processes too: [`history`] records what
//! clients saw, [`checker`] says which promises it breaks, [`workload`] makes the load, [`client`]
//! sends it and [`faults`] is the schedule of what goes wrong. The second runs nodes under one seed: [`entropy`]
//! takes the kernel's randomness and clocks from a thread, [`run`] gives each run a thread of its
//! own, [`world`] holds the hosts and the network, [`one_node`] runs a whole node in it and [`region`] three.
//!
//! It is not a node: nothing here decides anything that production decides.

pub mod random;

pub mod history;

pub mod checker;

pub mod workload;

pub mod client;

pub mod faults;

pub mod entropy;
pub mod run;
pub mod world;

mod outcome;
mod session;

pub use outcome::{Cause, Outcome, RunError};

pub mod one_node;
pub mod region;
