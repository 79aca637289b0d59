//! Stream connections, as nodes and gateways use them.

use async_trait::async_trait;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// One connection, of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Accepts connections.
#[async_trait]
pub trait Listener: Send {
    /// The next connection and where it comes from.
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)>;

    /// Where it listens; tells the port where 0 was asked for.
    fn address(&self) -> io::Result<SocketAddr>;
}

/// Makes connections.
#[async_trait]
pub trait Network: Send + Sync {
    /// Listens at `address`.
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;

    /// Connects to `host:port`.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>>;
}

/// TCP, without delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpNetwork;

#[async_trait]
impl Network for TcpNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(address).await?;
        Ok(Box::new(listener))
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let (stream, from) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), from))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
