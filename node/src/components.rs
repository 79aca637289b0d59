//! Components: the parts of a node that the simulated world replaces.
//!
//! Everything a node takes from the machine comes through here: time, randomness, the network, the
//! place where its files lie and the place where blocking work runs. Settings, numbers that a person
//! chooses, never stand here.

mod clock;
mod datagrams;
mod entropy;
mod links;
mod network;
mod recent_log;
mod runtime;
mod storage;

pub use clock::{Clock, Now, SystemClock};
pub use datagrams::{Datagrams, Envelope, Received, Sent, Socket, UdpDatagrams};
pub use entropy::{Entropy, SystemEntropy};
pub use links::{LinkEndpoint, LinkNetwork, PlainLinks, QuicLinks};
pub use network::{Connection, Listener, Network, TcpNetwork};
pub use recent_log::RecentLog;
pub use runtime::runtime;
pub use storage::{Directories, Home, Storage};

use raft::group::Blocking;
use replication::planted::Planted;
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
    /// Connections between nodes of different regions.
    pub links: Arc<dyn LinkNetwork>,
    /// Gossip between nodes.
    pub datagrams: Arc<dyn Datagrams>,
    /// Where nodes keep their files.
    pub storage: Arc<dyn Storage>,
    /// Where work that blocks runs.
    pub place: Blocking,
    /// The rule that a test took out. Without the feature `planted-bugs` there is no way to take any.
    pub planted: Planted,
}

impl Components {
    /// The machine itself.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            network: Arc::new(TcpNetwork),
            links: Arc::new(QuicLinks),
            datagrams: Arc::new(UdpDatagrams),
            storage: Arc::new(Directories),
            place: Blocking::Threads,
            planted: Planted::NONE,
        }
    }
}
