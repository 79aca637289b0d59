//! A node's components in the simulated world: time, randomness and the network are turmoil's and
//! the seed's; blocking work runs inline.

use super::datagrams::SimDatagrams;
use crate::{random::Random, run::EPOCH};
use async_trait::async_trait;
use node::components::{
    Clock, Components, Connection, Entropy, Listener, Network, Now, PlainLinks, Storage,
};
use raft::group::Blocking;
use replication::planted::Planted;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};
use turmoil::net::{TcpListener, TcpStream};

/// The components of a host, with randomness of its own, a wall clock that `clock` may set wrong, and
/// `storage` that outlives its crashes.
#[must_use]
pub fn components(
    seed: u64,
    host: &str,
    clock: &HostClock,
    storage: Arc<dyn Storage>,
) -> Components {
    Components {
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::of(seed, host)),
        network: Arc::new(SimNetwork),
        links: Arc::new(PlainLinks(Arc::new(SimNetwork))),
        datagrams: Arc::new(SimDatagrams),
        storage,
        place: Blocking::Inline,
        planted: Planted::NONE,
    }
}

/// Simulated time, with a wall clock that may be wrong. Clones are the same clock, so that it stays
/// wrong over a crash.
#[derive(Debug, Clone, Default)]
pub struct HostClock {
    offset_micros: Arc<AtomicI64>,
}

impl HostClock {
    /// Sets the wall clock off by this much; the monotonic clock stays right.
    pub fn set_offset_micros(&self, offset: i64) {
        self.offset_micros.store(offset, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn now(&self) -> Now {
        let elapsed = turmoil::sim_elapsed().expect("a host's clock is read by the host");
        let true_micros = u64::try_from((EPOCH + elapsed).as_micros()).unwrap_or(u64::MAX);
        let offset = self.offset_micros.load(Ordering::Relaxed);
        Now {
            monotonic: elapsed,
            wall_micros: true_micros.saturating_add_signed(offset),
        }
    }
}

/// Random bits of a host under a seed. A host that starts anew goes on where it was, as a kernel
/// would: it must not draw again what it drew before a crash.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<Random>);

impl SeededEntropy {
    /// The bits of `host` under `seed`.
    #[must_use]
    pub fn of(seed: u64, host: &str) -> Self {
        Self(Mutex::new(Random::of_purpose(
            seed,
            &format!("entropy of {host}"),
        )))
    }
}

impl Entropy for SeededEntropy {
    fn bits(&self) -> u128 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wide_bits()
    }
}

/// turmoil's network. Hosts are reached by `name:port`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimNetwork;

#[async_trait]
impl Network for SimNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        // A simulated host has one address, and turmoil binds no other than "any".
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        let listener = TcpListener::bind(any).await?;
        let port = listener.local_addr()?.port();
        Ok(Box::new(SimListener {
            listener,
            address: SocketAddr::new(address.ip(), port),
        }))
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(address).await?;
        Ok(Box::new(stream))
    }
}

struct SimListener {
    listener: TcpListener,
    address: SocketAddr,
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let (stream, from) = self.listener.accept().await?;
        Ok((Box::new(stream), from))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
