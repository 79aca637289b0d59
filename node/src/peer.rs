//! What nodes of one cluster say to each other over stream connections.
//!
//! Each node dials each other one, once per [`Class`] of traffic, so that a heartbeat never waits
//! behind a snapshot. A connection carries messages one way and calls with their answers. Messages
//! may be lost when it breaks: what is said here is said by cores that repeat themselves. Nothing
//! is decided here.

mod accept;
mod ask;
mod connection;
pub mod frame;
mod lane;
mod mesh;

pub use accept::serve;
pub use ask::{AskError, ask};
pub use frame::{Class, Failure, Hello};
pub use mesh::{CallError, Handler, Me, Membership, Mesh, Stranger};

#[cfg(test)]
mod tests;
