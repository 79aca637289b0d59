//! Clients of a gateway over its gRPC, which record what they do and see.
//!
//! They speak the published schema over any [`Network`](node::components::Network), so the same
//! client runs in the simulated world and against real processes. What to call comes from
//! [`crate::workload`]; what it means is judged later, by [`crate::checker`].

mod caller;
mod channel;
mod lookup;
mod write;

pub use caller::{Caller, Clock, Looked, Wrote};
pub use channel::channel;
