//! Gossip's datagrams with a tag that only nodes of the cluster can make.
//!
//! A tag says that a node wrote the bytes, not that they are new: gossip reconciles what each node says
//! of itself by number, so an old datagram tells nothing that is not known. The bytes are not secret to
//! whoever sees the network: names, addresses and loads of nodes.
//!
//! The bytes of gossip's messages are private to its library, so they pass through a socket of its own on
//! loopback: what it writes there is tagged and sent on, what comes with a good tag is handed to it there.

use crate::components::{Envelope, Received, Sent, Socket};
use anyhow::Context as _;
use async_trait::async_trait;
use ring::hmac;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, time::timeout};

/// What a datagram may have.
const DATAGRAM_BYTES: usize = 65_507;
/// A datagram on loopback is there at once, or was thrown away.
const PASSED_WITHIN: Duration = Duration::from_millis(100);
/// What is kept of a tag: 128 bits, which nobody guesses.
const TAG_BYTES: usize = 16;

/// How datagrams are authenticated.
#[derive(Clone, Default)]
pub enum Seal {
    /// Not at all: the cluster is open.
    #[default]
    Open,
    /// With a key of the cluster.
    Keyed(Arc<hmac::Key>),
}

impl Seal {
    /// With a key, as hexadecimal digits.
    #[must_use]
    pub fn of(digits: &str) -> Option<Self> {
        let bytes = super::identity::bytes_of(digits).filter(|bytes| bytes.len() == 32)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Some(Self::Keyed(Arc::new(key)))
    }
}

/// See the module.
pub struct SealedUdp {
    key: Arc<hmac::Key>,
    /// What other nodes reach.
    outer: UdpSocket,
    /// The library's, on loopback.
    library: chitchat::transport::UdpSocket,
    /// Our end of it.
    relay: UdpSocket,
    library_at: SocketAddr,
    buffer: Vec<u8>,
    /// Where the datagram came from that the library was handed and did not give back yet.
    handed: Option<(SocketAddr, usize)>,
}

impl SealedUdp {
    /// Listens at `address`.
    pub async fn open(address: SocketAddr, key: Arc<hmac::Key>) -> io::Result<Self> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let library = chitchat::transport::UdpSocket::open(loopback).await;
        let library = library.map_err(|error| io::Error::other(format!("{error:#}")))?;
        let library_at = library.local_addr();
        Ok(Self {
            key,
            outer: UdpSocket::bind(address).await?,
            library_at: library_at.map_err(|error| io::Error::other(format!("{error:#}")))?,
            library,
            relay: UdpSocket::bind(loopback).await?,
            buffer: vec![0; DATAGRAM_BYTES],
            handed: None,
        })
    }

    /// The bytes of the message that the library was given.
    async fn passed(&mut self) -> io::Result<usize> {
        loop {
            let (length, from) = self.relay.recv_from(&mut self.buffer).await?;
            // Nobody else of this machine has a word here.
            if from == self.library_at {
                return Ok(length);
            }
        }
    }

    fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac::sign(&self.key, bytes);
        *whole.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
    }

    /// Whether the first `length` bytes of the buffer end with a good tag; gives what stands before it.
    fn opened(&self, length: usize) -> Option<&[u8]> {
        let (bytes, tag) = self.buffer[..length].split_last_chunk::<TAG_BYTES>()?;
        let differing = self
            .tag(bytes)
            .iter()
            .zip(tag)
            .fold(0, |bits, (a, b)| bits | (a ^ b));
        (std::hint::black_box(differing) == 0).then_some(bytes)
    }
}

#[async_trait]
impl Socket for SealedUdp {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.outer.local_addr().context("look at gossip's socket")
    }

    async fn send(&mut self, to: SocketAddr, envelope: Envelope) -> anyhow::Result<Sent> {
        let relay = self.relay.local_addr().context("look at gossip's relay")?;
        // What came late is of an earlier message.
        while self.relay.try_recv_from(&mut self.buffer).is_ok() {}
        self.library.send(relay, envelope).await?;
        let Ok(length) = timeout(PASSED_WITHIN, self.passed()).await else {
            return Ok(Sent { num_bytes_sent: 0 });
        };
        let length = length?;
        if length + TAG_BYTES > DATAGRAM_BYTES {
            tracing::warn!(
                length,
                "a gossip message is too long for its tag and was not sent"
            );
            return Ok(Sent { num_bytes_sent: 0 });
        }
        let tag = self.tag(&self.buffer[..length]);
        self.buffer[length..length + TAG_BYTES].copy_from_slice(&tag);
        let sent = self.outer.send_to(&self.buffer[..length + TAG_BYTES], to);
        let num_bytes_sent = sent.await.context("send gossip")?;
        Ok(Sent { num_bytes_sent })
    }

    /// May be dropped at any await: what was handed to the library is taken back by the next call.
    async fn recv(&mut self) -> anyhow::Result<Received> {
        loop {
            if let Some((from_addr, num_bytes_received)) = self.handed {
                let Ok(received) = timeout(PASSED_WITHIN, self.library.recv()).await else {
                    self.handed = None;
                    continue;
                };
                let received = received?;
                if received.from_addr != self.relay.local_addr()? {
                    continue;
                }
                self.handed = None;
                return Ok(Received {
                    from_addr,
                    envelope: received.envelope,
                    num_bytes_received,
                });
            }
            let (length, from) = match self.outer.recv_from(&mut self.buffer).await {
                Ok(received) => received,
                // The answer of a machine on which nobody listens.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error).context("receive gossip"),
            };
            match self.opened(length) {
                Some(bytes) => {
                    self.relay.send_to(bytes, self.library_at).await?;
                    self.handed = Some((from, length));
                }
                None => tracing::debug!(%from, "a gossip datagram without a good tag was dropped"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chitchat::{ChitchatMessage, ProtocolVersion};

    async fn sealed(key: &str) -> SealedUdp {
        let Some(Seal::Keyed(key)) = Seal::of(key) else {
            panic!("{key} is no key");
        };
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        SealedUdp::open(loopback, key).await.unwrap()
    }

    fn message() -> Envelope {
        Envelope {
            version: ProtocolVersion::V1,
            message: ChitchatMessage::BadCluster,
        }
    }

    #[tokio::test]
    async fn only_datagrams_with_a_tag_of_the_same_key_are_heard() {
        let (own, other) = ("11".repeat(32), "22".repeat(32));
        let (mut one, mut two) = (sealed(&own).await, sealed(&own).await);
        let mut stranger = sealed(&other).await;
        let plain = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = two.local_addr().unwrap();
        stranger.send(at, message()).await.unwrap();
        plain.send_to(b"", at).await.unwrap();
        plain.send_to(&[0; 64], at).await.unwrap();
        for _ in 0..3 {
            let sent = one.send(at, message()).await.unwrap();
            assert!(sent.num_bytes_sent > TAG_BYTES);
        }
        for _ in 0..3 {
            let received = timeout(Duration::from_secs(20), two.recv()).await;
            let received = received.expect("it was sent").unwrap();
            assert_eq!(received.from_addr, one.local_addr().unwrap());
            assert_eq!(received.envelope, message());
        }
        let more = timeout(PASSED_WITHIN * 2, two.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[test]
    fn a_key_is_256_bits() {
        for bad in ["", "11", &"1".repeat(63), &"xy".repeat(32)] {
            assert!(Seal::of(bad).is_none(), "{bad}");
        }
    }
}
