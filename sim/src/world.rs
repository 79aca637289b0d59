//! The simulated world: hosts and a network under one seed, faults by schedule, a trace to compare.
//!
//! turmoil moves the hosts and the network. What is added here is what makes two runs of a seed
//! equal, and nodes at home: their components on turmoil's network and clock, pauses, and a trace
//! whose hash is the run's fingerprint. Checking what clients saw is the business of
//! [`crate::checker`].
//!
//! A simulated link loses nothing until it is cut and repairs nothing it lost: after a partition an
//! old connection stays silent for ever, as turmoil does not send again. Whoever holds connections
//! over a partition needs a keep-alive that ends them, in production as here.

mod components;
mod datagrams;
mod hosts;
mod journal;
mod links;
mod machine;
pub mod node;
mod replay;
mod trace;
mod unsynced;

pub use components::{HostClock, SeededEntropy, SimNetwork, components};
pub use datagrams::SimDatagrams;
pub use hosts::{Ended, Failed, Settings, World};
pub use journal::{Journal, Line};
pub use machine::{Between, Loss, Machine, lose_power};
pub use replay::{Differs, same_twice};
pub use trace::{Trace, TraceHash};
