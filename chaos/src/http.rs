//! A small HTTP client for JSON and text: one request, one connection, a bound on time.

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// No answer is this large; a peer that sends more is broken.
const ANSWER_BYTES: u64 = 64 << 20;

/// An answer's status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// `GET path` from `address`.
pub fn get(address: SocketAddr, path: &str, within: Duration) -> Result<Answer> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    exchange(address, &head, within).with_context(|| format!("GET {path} from {address}"))
}

/// `POST path` of JSON to `address`; the answer's status and JSON.
pub fn post(address: SocketAddr, path: &str, body: &Json, within: Duration) -> Result<(u16, Json)> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let doing = || format!("POST {path} to {address}");
    let answer = exchange(address, &head, within).with_context(doing)?;
    let json = serde_json::from_str(&answer.body)
        .with_context(|| format!("{}: no JSON in {:?}", doing(), answer.body))?;
    Ok((answer.status, json))
}

fn exchange(address: SocketAddr, request: &str, within: Duration) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &str) -> Result<Answer> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("the answer ended within its head: {answer:?}");
    };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, length) {
        // A process that was killed in the middle leaves a part.
        (Some(_), Some(length)) if length != body.len() => {
            bail!("the answer ended after {} of {length} bytes", body.len())
        }
        (Some(status), Some(_)) => Ok(Answer {
            status,
            body: body.to_owned(),
        }),
        _ => bail!("no status and length in {head:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_an_error() {
        let whole = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nwait";
        let answer = parse(whole).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "wait"));
        for part in [&whole[..whole.len() - 1], &whole[..30], ""] {
            assert!(parse(part).is_err(), "{part:?}");
        }
    }
}
