//! Callers of gRPC that stall, drip, nest and overflow, against a real node: each connection or call is ended with an
//! outcome that can be told, and others are served all the while.

use super::{bad_requests::World, client, process::Node, reflection::Client};
use h2::client::SendRequest;
use serde_json::json;
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{
    Code,
    codegen::{Bytes, http::Request},
};

#[allow(dead_code, reason = "some of it is for callers of another kind")]
#[path = "../../../chaos/src/slow_clients/frames.rs"]
mod frames;

/// Far more than anything here takes: 40 s, for who gives no sign of life.
const PATIENCE: Duration = Duration::from_secs(200);
const LOOKUP: &str = "/atoll.v1.FeatureService/Lookup";
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap()
}

/// Sends bytes at once and others one by one; what came until the node closed the connection.
async fn closed(port: u16, at_once: &[u8], dripping: Vec<u8>, every: Duration) -> Vec<u8> {
    let mut connection = connect(port).await;
    connection.write_all(at_once).await.unwrap();
    let (mut reading, mut writing) = connection.into_split();
    let drip = tokio::spawn(async move {
        for byte in dripping {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(every).await;
        }
        // It stays open from this side.
        std::future::pending::<()>().await;
    });
    let mut came = Vec::new();
    // A reset ends it as well as an end does.
    let read = timeout(PATIENCE, reading.read_to_end(&mut came)).await;
    drip.abort();
    assert!(read.is_ok(), "the connection is not closed");
    came
}

/// The kinds of the frames that came.
fn kinds(mut came: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((head, rest)) = came.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        kinds.push(head[3]);
        came = rest.get(length..).unwrap_or_default();
    }
    kinds
}

/// Connections that never come to a call.
async fn connections_without_a_call(port: u16) {
    let second = Duration::from_secs(1);
    let opened = |more: Vec<u8>| [frames::opening(), more].concat();
    let whole = frames::headers_of(LOOKUP);
    let unended = frames::frame(frames::HEADERS, 0, 1, &whole);
    let mut long = frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &[0; 16_000]);
    let dripped = long.split_off(9);
    let mut flood = unended.clone();
    for _ in 0..50_000 {
        flood.extend(frames::frame(CONTINUATION, 0, 1, b""));
    }
    let cut = opened(unended[..20].to_vec());
    let (unended, long, flood) = (opened(unended), opened(long), opened(flood));
    let (silent, preface, _, _, _, flooded) = tokio::join!(
        closed(port, b"", vec![], second),
        closed(port, b"", frames::PREFACE.to_vec(), 2 * second),
        closed(port, &cut, vec![], second),
        closed(port, &long, dripped, second / 2),
        closed(port, &unended, vec![], second),
        flooded(port, &flood),
    );
    // At most the node's own greeting.
    for said in [silent, preface] {
        assert!(kinds(&said).iter().all(|kind| *kind == frames::SETTINGS));
    }
    assert!(kinds(&flooded).contains(&GOAWAY), "{flooded:?}");
}

/// The node may close the connection before it has all of it.
async fn flooded(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut connection = connect(port).await;
    let (mut reading, mut writing) = connection.split();
    let mut came = Vec::new();
    let (_, read) = tokio::join!(
        writing.write_all(bytes),
        timeout(PATIENCE, reading.read_to_end(&mut came))
    );
    assert!(read.is_ok(), "the connection is not closed");
    came
}

/// A connection that gives signs of life.
async fn speak(port: u16) -> SendRequest<Bytes> {
    let (calls, connection) = h2::client::handshake(connect(port).await).await.unwrap();
    tokio::spawn(connection);
    calls.ready().await.unwrap()
}

fn request(path: &str) -> Request<()> {
    let request = Request::post(format!("http://gateway{path}"));
    let request = request.header("content-type", "application/grpc");
    request.header("te", "trailers").body(()).unwrap()
}

/// Begins a call, sends pieces of its body a second apart and does not end it; the code and the words that come.
async fn refused(
    calls: &SendRequest<Bytes>,
    path: &str,
    pieces: impl IntoIterator<Item = Vec<u8>>,
) -> (Code, String) {
    let mut calls = calls.clone().ready().await.unwrap();
    let (answer, mut sending) = calls.send_request(request(path), false).unwrap();
    let sending = async {
        for piece in pieces {
            if sending.send_data(piece.into(), false).is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let answered = async { answer.await.unwrap() };
    let answer = tokio::select! {
        answer = timeout(PATIENCE, answered) => answer.expect("the call is answered"),
        () = sending => unreachable!("it never ends"),
    };
    let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
    let code = header("grpc-status").parse::<i32>().unwrap();
    (Code::from(code), header("grpc-message").replace("%20", " "))
}

/// Calls whose bodies come too slowly, or not at all; none keeps others from the same connection.
async fn bodies_that_do_not_come(port: u16) {
    let calls = speak(port).await;
    let whole = frames::message(1, b"", 0).split_off(9);
    let drips = || vec![0_u8; 100].into_iter().map(|byte| vec![byte]);
    let (nothing, drop, unended) = tokio::join!(
        refused(&calls, LOOKUP, []),
        refused(&calls, LOOKUP, drips()),
        refused(&calls, "/atoll.v1.RegistryService/Get", [whole]),
    );
    for (code, words) in [nothing, drop, unended] {
        assert_eq!(code, Code::DeadlineExceeded, "{words}");
        assert!(words.contains("came too slowly"), "{words}");
    }
}

/// Messages that no server can want.
async fn messages_beyond_limits(port: u16) {
    let calls = speak(port).await;
    let mut huge = vec![0];
    huge.extend(u32::MAX.to_be_bytes());
    huge.extend([0; 100]);
    let (code, words) = refused(&calls, LOOKUP, [huge]).await;
    assert_eq!(code, Code::OutOfRange, "{words}");
    assert!(words.contains("67108864"), "{words}");

    // A group in a group in a group of a field that nobody knows.
    let mut calls = calls.ready().await.unwrap();
    let nested = [0xfb_u8, 0x01].repeat(500_000);
    let (answer, mut sending) = calls.send_request(request(LOOKUP), false).unwrap();
    let mut body = vec![0];
    body.extend(u32::try_from(nested.len()).unwrap().to_be_bytes());
    body.extend(nested);
    sending.send_data(body.into(), true).unwrap();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    let code = answer.headers()["grpc-status"].to_str().unwrap();
    let code = Code::from(code.parse::<i32>().unwrap());
    let words = answer.headers()["grpc-message"].to_str().unwrap();
    assert!(
        matches!(code, Code::Internal | Code::InvalidArgument) && words.contains("recursion"),
        "{code:?} {words}"
    );
}

/// Headers beyond what a server keeps of them.
async fn headers_beyond_limits(port: u16) {
    let mut calls = speak(port).await;
    let mut request = request(LOOKUP);
    let long = "x".repeat(60_000);
    request
        .headers_mut()
        .insert("x-long", long.parse().unwrap());
    let (answer, _) = calls.send_request(request, true).unwrap();
    match timeout(PATIENCE, answer).await.unwrap() {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.reason().is_some(), "{error}"),
    }
}

/// A stream of writes may be silent for as long as it likes.
async fn a_stream_that_waits(port: u16) {
    let mut calls = speak(port).await;
    let path = "/atoll.v1.FeatureService/WriteStream";
    let (answer, mut sending) = calls.send_request(request(path), false).unwrap();
    let mut acks = answer.await.unwrap().into_body();
    sleep(Duration::from_secs(15)).await;
    let empty = frames::message(1, b"", 0).split_off(9);
    sending.send_data(empty.into(), true).unwrap();
    let ack = timeout(PATIENCE, acks.data()).await.unwrap();
    assert!(!ack.expect("a batch is answered").unwrap().is_empty());
}

/// Looks the same row up over HTTP and gRPC until told to end; how often.
fn look_up(node: &Node, end: &AtomicBool) -> usize {
    let client = Client::of(node);
    let over_grpc = json!({
        "project": "lab", "features": { "names": ["state:small"] }, "rows": [{ "name": "id", "ints": [1] }],
    });
    let over_http = json!({ "project": "lab", "features": ["state:small"], "rows": { "id": [1] } });
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        let answer = client.called("Lookup", &over_grpc);
        assert_eq!(answer["columns"][0]["i32"], json!([1]), "{answer}");
        let answer = client::post(node.http(), "/v1/lookup", &over_http.to_string());
        let (status, answer) = answer.expect("an answer");
        assert_eq!(
            (status, &answer["features"][0]["values"]),
            (200, &json!([1]))
        );
        count += 1;
        thread::sleep(Duration::from_millis(100));
    }
    count
}

#[test]
fn callers_that_stall_or_overflow_are_ended_and_others_are_served() {
    let world = World::new();
    let port = world.node.grpc();
    let end = Arc::<AtomicBool>::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = thread::scope(|scope| {
        let others = scope.spawn(|| look_up(&world.node, &end));
        let attacks = runtime.block_on(async {
            let attacks = [
                tokio::spawn(connections_without_a_call(port)),
                tokio::spawn(bodies_that_do_not_come(port)),
                tokio::spawn(messages_beyond_limits(port)),
                tokio::spawn(headers_beyond_limits(port)),
                tokio::spawn(a_stream_that_waits(port)),
            ];
            let mut ended = Vec::new();
            for attack in attacks {
                ended.push(attack.await);
            }
            ended
        });
        end.store(true, Ordering::Relaxed);
        let served = others.join().unwrap();
        for attack in attacks {
            attack.unwrap();
        }
        served
    });
    assert!(served > 0);
    world.finish();
}

#[test]
fn definitions_that_nest_deeply_are_refused_over_grpc_and_take_no_stack() {
    let world = World::new();
    let client = Client::at(world.node.grpc(), "atoll.v1.RegistryService");
    for open in ["[", "{ a: ", "- "] {
        let text = format!("project: lab\nviews: {}", open.repeat(300_000));
        let request = json!({ "files": [{ "name": "deep.yaml", "text": text }] });
        let status = client.call("Plan", &request).expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("deep.yaml"), "{status:?}");
    }
    world.finish();
}
