//! A Raft group: a state machine run on openraft, and the handle by which a node uses it.
//!
//! Two instances run in Atoll: the registry over all regions, placement within one. This is a
//! driver: what a command means is decided in the state machines, who leads and what is committed
//! by openraft; here are its log and vote on the store's segments, snapshots as files, the applied
//! state on disk, and the seams (network, blocking IO, spawning, randomness) that the simulator
//! takes over.

pub mod runtime;
pub mod types;

pub mod log;
pub mod snapshot;

pub mod applied;
pub mod machine;

pub mod network;

mod handle;
mod outcome;
mod outside;
mod settings;

pub use handle::Group;
pub use network::{CallError, PeerNetwork, RaftRequest, RaftResponse};
pub use outcome::{Applied, Committed, GroupError, GroupStatus, ProposeError};
pub use outside::Outside;
pub use runtime::Blocking;
pub use settings::{GroupFiles, GroupSettings, GroupTiming};
pub use types::{GroupId, Peer};

#[cfg(test)]
mod tests;
