//! A component's listener as the gRPC and HTTP servers take one.

use crate::components::{Connection, Listener};
use async_trait::async_trait;
use futures::{Stream, stream};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Mutex,
};

/// What a listener that failed waits before it goes on: descriptors may have run out.
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(50);

/// A connection as servers take one.
pub struct Accepted(Box<dyn Connection>);

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// A listener that outlives the server which accepts from it: the next one goes on where it ended, and
/// nobody else gets the port in between. Clones are one listener.
#[derive(Clone)]
pub struct Kept {
    listener: Arc<Mutex<Box<dyn Listener>>>,
    address: SocketAddr,
}

impl Kept {
    /// Keeps a listener.
    pub fn new(listener: Box<dyn Listener>) -> io::Result<Self> {
        Ok(Self {
            address: listener.address()?,
            listener: Arc::new(Mutex::new(listener)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl Listener for Kept {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        self.listener.lock().await.accept().await
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Connections as a stream, for the gRPC server.
pub fn connections(listener: Box<dyn Listener>) -> impl Stream<Item = io::Result<Accepted>> {
    stream::unfold(listener, |mut listener| async move {
        let accepted = next(&mut listener).await.0;
        Some((Ok(Accepted(accepted)), listener))
    })
}

/// A listener for the HTTP server.
pub struct Http(pub Box<dyn Listener>);

impl gateway::http::Listener for Http {
    type Io = Accepted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Accepted, SocketAddr) {
        let (connection, from) = next(&mut self.0).await;
        (Accepted(connection), from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.address()
    }
}

async fn next(listener: &mut Box<dyn Listener>) -> (Box<dyn Connection>, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(PAUSE_AFTER_FAULT).await;
            }
        }
    }
}
