//! Datagrams between nodes, as gossip uses them: they may be lost, doubled and late.
//!
//! What travels is chitchat's own message: its bytes are private to that crate, so the simulated
//! world carries messages where the real one carries bytes.

use crate::security::{Seal, SealedUdp};
use async_trait::async_trait;
use std::{io, net::SocketAddr, sync::Arc};

pub use chitchat::{
    ChitchatEnvelope as Envelope,
    transport::{RecvOutcome as Received, SendOutcome as Sent, Socket},
};

/// Opens sockets, and finds those of others.
#[async_trait]
pub trait Datagrams: Send + Sync {
    /// Listens at `address`; what is said and heard there is authenticated as `seal` says.
    async fn open(&self, address: SocketAddr, seal: &Seal) -> io::Result<Box<dyn Socket>>;

    /// Where `host:port` is: all its addresses.
    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>>;
}

/// UDP, and the machine's names.
#[derive(Debug, Clone, Copy, Default)]
pub struct UdpDatagrams;

#[async_trait]
impl Datagrams for UdpDatagrams {
    async fn open(&self, address: SocketAddr, seal: &Seal) -> io::Result<Box<dyn Socket>> {
        if let Seal::Keyed(key) = seal {
            return Ok(Box::new(SealedUdp::open(address, Arc::clone(key)).await?));
        }
        let opened = chitchat::transport::UdpSocket::open(address).await;
        let socket = opened.map_err(|error| io::Error::other(format!("{error:#}")))?;
        Ok(Box::new(socket))
    }

    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host(address).await?.collect())
    }
}
