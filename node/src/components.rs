//! Components: the parts of a node that the simulated world replaces.
//!
//! Everything a node takes from the machine comes through here: time, randomness, the network and
//! the place where blocking work runs. Disks come with the store. Settings, numbers that a person
//! chooses, never stand here.

mod clock;
mod entropy;
mod network;

pub use clock::{Clock, Now, SystemClock};
pub use entropy::{Entropy, SystemEntropy};
pub use network::{Connection, Listener, Network, TcpNetwork};

use raft::group::Blocking;
use std::sync::Arc;

/// The parts a node is built on.
#[derive(Clone)]
pub struct Components {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for ids and spreading, never for secrets of others.
    pub entropy: Arc<dyn Entropy>,
    /// Connections between nodes and from clients.
    pub network: Arc<dyn Network>,
    /// Where work that blocks runs.
    pub place: Blocking,
}

impl Components {
    /// The machine itself.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            network: Arc::new(TcpNetwork),
            place: Blocking::Threads,
        }
    }
}
