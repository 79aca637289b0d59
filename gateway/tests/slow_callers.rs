//! Callers that stall, drip, nest and overflow, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use std::time::Duration;
use support::World;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far more than anything here takes; time is paused, so nobody waits.
const PATIENCE: Duration = Duration::from_secs(600);

/// A gateway at a port of its own, and a connection to it.
async fn connect() -> TcpStream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = gateway::http::router(&World::new().gateway);
    tokio::spawn(gateway::http::serve(
        router,
        listener,
        std::future::pending(),
    ));
    TcpStream::connect(address).await.unwrap()
}

/// Everything that comes until the other side closes.
async fn rest(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = connection.read_to_end(&mut bytes);
    // A reset ends it as well as an end does.
    let _ = timeout(PATIENCE, read)
        .await
        .expect("the connection is closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    assert_eq!(rest(&mut connect().await).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_off() {
    let (mut reading, mut writing) = connect().await.into_split();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: {}",
        "x".repeat(10_000)
    );
    let dripping = tokio::spawn(async move {
        for byte in head.bytes() {
            if writing.write_all(&[byte]).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    });
    let mut bytes = Vec::new();
    let read = reading.read_to_end(&mut bytes);
    let _ = timeout(PATIENCE, read)
        .await
        .expect("the connection is closed in time");
    assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
    assert!(
        dripping.await.unwrap(),
        "the server hung up before the head was whole"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_refused_with_what_it_lacks() {
    let mut connection = connect().await;
    let head = "POST /v1/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{\"project\"";
    connection.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("TOO_SLOW") && answer.contains("10 bytes in 10 s"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let mut connection = connect().await;
    let head = "POST /v1/write HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut connection).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("TOO_LARGE"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_in_pieces_that_grows_too_large_is_refused() {
    let (mut reading, mut writing) = connect().await.into_split();
    let head = "POST /v1/write HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    writing.write_all(head.as_bytes()).await.unwrap();
    let sending = tokio::spawn(async move {
        let piece = format!("100000\r\n{}\r\n", "[".repeat(1 << 20));
        for _ in 0..80 {
            if writing.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut answer = vec![0; 4_096];
    let read = timeout(PATIENCE, reading.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("TOO_LARGE"),
        "{answer}"
    );
    sending.abort();
}

#[tokio::test]
async fn bodies_that_nest_deeply_are_refused_and_take_no_stack() {
    let world = World::new();
    for (open, path) in [
        ("[", "/v1/lookup"),
        ("{\"a\":", "/v1/write"),
        ("[", "/v1/registry/apply"),
    ] {
        let body = format!("{{\"project\": {}", open.repeat(1 << 20));
        let (status, answer) = world.post(path, &body).await;
        assert_eq!(status, 400);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("nested too deeply") || message.contains("is not what"),
            "{message}"
        );
    }
}
