//! Gossip in the simulated world: turmoil's datagrams carry numbers, this thread keeps the messages.
//!
//! The bytes of a message are chitchat's own, so it cannot be put into a datagram. What is lost, late
//! or held stays turmoil's.

use anyhow::Context as _;
use async_trait::async_trait;
use node::{
    components::{Datagrams, Envelope, Received, Sent, Socket},
    security::Seal,
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use turmoil::net::UdpSocket;

/// Messages kept for datagrams under way; the oldest ones beyond were lost with theirs.
const UNDER_WAY: usize = 4_096;

thread_local! {
    static MESSAGES: RefCell<Messages> = RefCell::default();
}

/// Messages under way in the world that lives on this thread.
#[derive(Default)]
struct Messages {
    last: u64,
    kept: BTreeMap<u64, Envelope>,
}

impl Messages {
    fn keep(&mut self, envelope: Envelope) -> u64 {
        self.last += 1;
        self.kept.insert(self.last, envelope);
        if self.kept.len() > UNDER_WAY {
            self.kept.pop_first();
        }
        self.last
    }
}

/// turmoil's datagrams. Hosts are found by their names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimDatagrams;

#[async_trait]
impl Datagrams for SimDatagrams {
    async fn open(&self, address: SocketAddr, _: &Seal) -> io::Result<Box<dyn Socket>> {
        // A simulated host has one address, and turmoil binds no other than "any".
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        Ok(Box::new(SimSocket(UdpSocket::bind(any).await?)))
    }

    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = address.parse() {
            return Ok(vec![address]);
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("no host {address}"));
        let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().map_err(|_| unknown())?;
        Ok(vec![SocketAddr::new(turmoil::lookup(host), port)])
    }
}

struct SimSocket(UdpSocket);

#[async_trait]
impl Socket for SimSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.0.local_addr().context("ask a socket for its address")
    }

    async fn send(&mut self, to: SocketAddr, envelope: Envelope) -> anyhow::Result<Sent> {
        let number = MESSAGES.with_borrow_mut(|messages| messages.keep(envelope));
        // A host that is away is no fault of the socket.
        let _ = self.0.send_to(&number.to_le_bytes(), to).await;
        Ok(Sent { num_bytes_sent: 8 })
    }

    async fn recv(&mut self) -> anyhow::Result<Received> {
        loop {
            let mut number = [0; 8];
            let (_, from_addr) = self.0.recv_from(&mut number).await?;
            let number = u64::from_le_bytes(number);
            let message = MESSAGES.with_borrow_mut(|messages| messages.kept.remove(&number));
            if let Some(envelope) = message {
                return Ok(Received {
                    from_addr,
                    envelope,
                    num_bytes_received: 8,
                });
            }
        }
    }
}
