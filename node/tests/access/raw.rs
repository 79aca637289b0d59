//! Calls of any endpoint by its path alone, and why they were refused.

use bytes::{Buf, BufMut, Bytes};
use prost::Message as _;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tokio_stream::StreamExt;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use tonic_types::StatusExt;
use wire::v1::{WriteAck, write_ack::Outcome};

/// Messages as their bytes.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Calls a method of gRPC with one message; the reason of a refusal, or nothing.
pub async fn grpc(channel: &Channel, path: &str, token: Option<&str>, body: &[u8]) -> Refusal {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let message = Bytes::copy_from_slice(body);
    let mut request = Request::new(tokio_stream::iter([message]));
    request.set_timeout(Duration::from_secs(20));
    if let Some(token) = token {
        let header = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", header);
    }
    let path_is_stream = path.ends_with("/WriteStream");
    let path = path.parse().unwrap();
    let answer = match client.streaming(request, path, Raw).await {
        Ok(answer) => answer.into_inner().next().await,
        Err(status) => Some(Err(status)),
    };
    match answer {
        Some(Ok(message)) if path_is_stream => of_ack(message),
        Some(Ok(_)) | None => Refusal(None),
        Some(Err(status)) => {
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| info.reason.clone());
            let reason = reason.unwrap_or_else(|| format!("{:?}", status.code()));
            Refusal(Some((reason, status.message().to_owned())))
        }
    }
}

/// A stream of writes goes on after a batch that was refused: each acknowledgement speaks for its own.
fn of_ack(message: Bytes) -> Refusal {
    match WriteAck::decode(message).unwrap().outcome {
        Some(Outcome::Error(error)) => Refusal(Some((error.reason, error.message))),
        Some(Outcome::Response(_)) | None => Refusal(None),
    }
}

/// Calls over HTTP; the reason of a refusal, or nothing.
pub fn http(
    address: SocketAddr,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: &str,
) -> Refusal {
    let mut stream = TcpStream::connect(address).unwrap();
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n{}content-length: {}\r\n\r\n{body}",
        authorization.unwrap_or_default(),
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    if status < 400 {
        return Refusal(None);
    }
    let json = answer.split_once("\r\n\r\n").unwrap().1;
    let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |name: &str| json["error"][name].as_str().unwrap_or("?").to_owned();
    let expected = match text("reason").as_str() {
        "UNAUTHENTICATED" => Some(401),
        "FORBIDDEN" => Some(403),
        _ => None,
    };
    assert!(
        expected.is_none_or(|expected| expected == status),
        "{answer}"
    );
    Refusal(Some((text("reason"), text("message"))))
}

/// Why a call was refused: its reason and message; nothing where it was not.
#[derive(Debug)]
pub struct Refusal(pub Option<(String, String)>);

impl Refusal {
    pub fn reason(&self) -> &str {
        self.0.as_ref().map_or("", |(reason, _)| reason)
    }

    /// Whether the guard let the call in; what came of it then is another test's business.
    pub fn is_let_in(&self) -> bool {
        !matches!(self.reason(), "UNAUTHENTICATED" | "FORBIDDEN")
    }
}
