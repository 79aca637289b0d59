//! gRPC as little as can be: one connection of HTTP/2 and unary calls whose messages are bytes already.
//!
//! What a whole client library does for a call costs several times what this does. Where a server is offered
//! more than it can answer, its caller would be the first without a core to run on.

use super::raw::LOOKUP;
use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use std::net::SocketAddr;
use tokio::{net::TcpStream, spawn};
use tonic::{Code, Status};

/// As a client would set it; the server parses it and keeps a timer.
const DEADLINE: &str = "5S";
/// Before each message: whether it is compressed, and its length.
const FRAME_HEAD_BYTES: usize = 5;
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// One connection. Clones share it.
#[derive(Clone)]
pub struct Connection {
    calls: SendRequest<Bytes>,
    authority: String,
}

impl Connection {
    /// Connects.
    pub async fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .context("connect to the server")?;
        stream.set_nodelay(true)?;
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .enable_push(false);
        let (calls, connection) = builder
            .handshake(stream)
            .await
            .context("speak HTTP/2 with the server")?;
        spawn(connection);
        Ok(Self {
            calls,
            authority: address.to_string(),
        })
    }

    /// A message as it goes over a connection.
    pub fn framed(message: &[u8]) -> Bytes {
        let mut framed = BytesMut::with_capacity(FRAME_HEAD_BYTES + message.len());
        framed.put_u8(0);
        framed.put_u32(message.len() as u32);
        framed.put_slice(message);
        framed.freeze()
    }

    /// One call with a message that is framed; gives the answer's message.
    pub async fn call(&self, framed: Bytes) -> Result<Bytes, Status> {
        let mut calls = self.calls.clone().ready().await.map_err(broken)?;
        let request = Request::post(format!("http://{}{LOOKUP}", self.authority))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("grpc-timeout", DEADLINE)
            .body(())
            .map_err(|error| Status::internal(error.to_string()))?;
        let (answer, mut body) = calls.send_request(request, false).map_err(broken)?;
        body.send_data(framed, true).map_err(broken)?;
        let (head, mut body) = answer.await.map_err(broken)?.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Err(status);
        }
        let mut message = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data.map_err(broken)?;
            let _ = body.flow_control().release_capacity(data.len());
            message.extend_from_slice(&data);
        }
        ended(body.trailers().await.map_err(broken)?.as_ref())?;
        if message.len() < FRAME_HEAD_BYTES {
            return Err(Status::internal("an answer without a message"));
        }
        Ok(message.split_off(FRAME_HEAD_BYTES).freeze())
    }
}

fn ended(trailers: Option<&HeaderMap>) -> Result<(), Status> {
    let status = trailers.and_then(Status::from_header_map);
    match status.filter(|status| status.code() == Code::Ok) {
        Some(_) => Ok(()),
        None => Err(trailers
            .and_then(Status::from_header_map)
            .unwrap_or_else(|| Status::internal("an answer without a status"))),
    }
}

fn broken(error: h2::Error) -> Status {
    Status::unavailable(error.to_string())
}
