//! Links over QUIC. One connection for each pair of nodes carries all their streams; its windows are
//! sized for a round trip of 200 ms at a gigabit.
//!
//! In a secured cluster both ends show the cluster's certificates. In an open one nothing is proved: each
//! node shows a certificate that it made for the day.

use super::{Connection, LinkEndpoint, LinkNetwork};
use crate::security::{LinkConfigs, Security};
use async_trait::async_trait;
use parking_lot::Mutex;
use quinn::{
    ClientConfig, Endpoint, Incoming, RecvStream, SendStream, ServerConfig, TransportConfig,
    VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::lookup_host,
    sync::mpsc,
    time::timeout,
};

/// What may be under way on a connection: 200 ms at a gigabit are 25 MB.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// The same for one stream.
const STREAM_WINDOW: u32 = 16 << 20;
/// A peer that is not heard from for this long is gone.
const IDLE: Duration = Duration::from_secs(8);
/// How often one that has nothing to say is heard from.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// A connection that takes longer is given up.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Streams that another node may have open.
const STREAMS: u32 = 256;
/// Streams that were opened and not taken yet.
const WAITING: usize = 64;

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuicLinks;

struct QuicEndpoint {
    endpoint: Endpoint,
    security: Security,
    known: Mutex<BTreeMap<SocketAddr, quinn::Connection>>,
    streams: tokio::sync::Mutex<mpsc::Receiver<(QuicStream, SocketAddr)>>,
}

#[async_trait]
impl LinkNetwork for QuicLinks {
    async fn open(
        &self,
        address: SocketAddr,
        security: &Security,
    ) -> io::Result<Arc<dyn LinkEndpoint>> {
        let socket = UdpSocket::bind(address)?;
        let server = server(&security.link_configs().map_err(io::Error::other)?)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let settings = quinn::EndpointConfig::default();
        let endpoint = Endpoint::new(settings, Some(server), socket, runtime)?;
        let (sender, streams) = mpsc::channel(WAITING);
        tokio::spawn(accept_all(endpoint.clone(), security.clone(), sender));
        Ok(Arc::new(QuicEndpoint {
            endpoint,
            security: security.clone(),
            known: Mutex::default(),
            streams: tokio::sync::Mutex::new(streams),
        }))
    }
}

#[async_trait]
impl LinkEndpoint for QuicEndpoint {
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let next = self.streams.lock().await.recv().await;
        let (stream, from) = next.ok_or(io::ErrorKind::NotConnected)?;
        Ok((Box::new(stream), from))
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        let mut found = lookup_host(address).await?;
        let address = found.next().ok_or(io::ErrorKind::NotFound)?;
        let known = self.known.lock().get(&address).cloned();
        if let Some(connection) = known.filter(|known| known.close_reason().is_none())
            && let Ok((send, receive)) = connection.open_bi().await
        {
            return Ok(Box::new(QuicStream { send, receive }));
        }
        let configs = self.security.link_configs().map_err(io::Error::other)?;
        let (client, name) = client(&configs)?;
        let connecting = self.endpoint.connect_with(client, address, &name);
        let connecting = connecting.map_err(io::Error::other)?;
        let connection = timeout(CONNECT_WITHIN, connecting)
            .await?
            .map_err(io::Error::other)?;
        let (send, receive) = connection.open_bi().await?;
        let mut known = self.known.lock();
        known.retain(|_, other| other.close_reason().is_none());
        known.insert(address, connection);
        Ok(Box::new(QuicStream { send, receive }))
    }
}

impl Drop for QuicEndpoint {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"the node stops");
    }
}

/// Takes connections, and shows each the certificate that the node has by then.
async fn accept_all(
    endpoint: Endpoint,
    security: Security,
    streams: mpsc::Sender<(QuicStream, SocketAddr)>,
) {
    while let Some(incoming) = endpoint.accept().await {
        if streams.is_closed() {
            return;
        }
        let configs = security.link_configs().map_err(io::Error::other);
        match configs.and_then(|configs| Ok((server(&configs)?, configs.is_secured()))) {
            Ok((server, secured)) => {
                let streams = streams.clone();
                tokio::spawn(take(incoming, Arc::new(server), secured, streams));
            }
            Err(error) => {
                tracing::warn!(%error, "no link is taken");
                incoming.refuse();
            }
        }
    }
}

async fn take(
    incoming: Incoming,
    server: Arc<ServerConfig>,
    secured: bool,
    streams: mpsc::Sender<(QuicStream, SocketAddr)>,
) {
    let from = incoming.remote_address();
    let Ok(connecting) = incoming.accept_with(server) else {
        return;
    };
    let connection = match timeout(CONNECT_WITHIN, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "a link did not come about");
            return;
        }
        Err(_) => return,
    };
    if secured && connection.peer_identity().is_none() {
        connection.close(VarInt::from_u32(1), b"show the cluster's certificate");
        return;
    }
    while let Ok((send, receive)) = connection.accept_bi().await {
        if streams
            .send((QuicStream { send, receive }, from))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = IDLE.try_into().expect("seconds fit");
    transport
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE));
    Arc::new(transport)
}

fn server(configs: &LinkConfigs) -> io::Result<ServerConfig> {
    let crypto = QuicServerConfig::try_from(configs.server.clone()).map_err(io::Error::other)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(transport());
    Ok(server)
}

fn client(configs: &LinkConfigs) -> io::Result<(ClientConfig, String)> {
    let crypto = QuicClientConfig::try_from(configs.client.clone()).map_err(io::Error::other)?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport());
    Ok((client, configs.name.clone()))
}

/// Both ways of one stream.
struct QuicStream {
    send: SendStream,
    receive: RecvStream,
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), context, buffer)
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.send), context)
    }
}
