//! Connections between nodes of different regions: streams of bytes, many at a time, over networks that
//! are long and fat.

mod quic;

pub use quic::QuicLinks;

use super::{Connection, Listener, Network};
use crate::security::Security;
use async_trait::async_trait;
use std::{io, net::SocketAddr, sync::Arc};
use tokio::sync::Mutex;

/// Opens a node's end.
#[async_trait]
pub trait LinkNetwork: Send + Sync {
    /// Listens at `address`, secured as the node is.
    async fn open(
        &self,
        address: SocketAddr,
        security: &Security,
    ) -> io::Result<Arc<dyn LinkEndpoint>>;
}

/// One node's end.
#[async_trait]
pub trait LinkEndpoint: Send + Sync {
    /// The next stream that another node opened; an error ends the listening.
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)>;

    /// Opens a stream to `host:port`.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>>;
}

/// Links over the same connections that nodes of a region use: what the simulated world has.
pub struct PlainLinks(pub Arc<dyn Network>);

struct PlainEndpoint {
    network: Arc<dyn Network>,
    listener: Mutex<Box<dyn Listener>>,
}

#[async_trait]
impl LinkNetwork for PlainLinks {
    async fn open(&self, address: SocketAddr, _: &Security) -> io::Result<Arc<dyn LinkEndpoint>> {
        let listener = self.0.listen(address).await?;
        Ok(Arc::new(PlainEndpoint {
            network: Arc::clone(&self.0),
            listener: Mutex::new(listener),
        }))
    }
}

#[async_trait]
impl LinkEndpoint for PlainEndpoint {
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        self.listener.lock().await.accept().await
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        self.network.connect(address).await
    }
}
