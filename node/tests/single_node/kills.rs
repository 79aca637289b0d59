//! Writes while the process is taken away: what was acknowledged is there.

use super::{
    client,
    process::{Node, wait_for},
    reflection::Client,
};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};
use uuid::Uuid;

const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
      - { name: a, type: int64 }
      - { name: b, type: string }
";
const WRITERS: u64 = 3;
const KEYS_PER_WRITER: u64 = 50;
const ROWS_PER_REQUEST: u64 = 5;
/// 2024-03-01T00:00:00Z.
const START_US: u64 = 1_709_251_200_000_000;

/// Writers, each with keys of its own, that repeat a request until they have its answer.
struct Load {
    port: Arc<AtomicU16>,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Written>>,
}

/// What one writer wrote.
#[derive(Default)]
struct Written {
    /// The newest acknowledged value of each key.
    acknowledged: BTreeMap<u64, u64>,
    /// What was sent when it was told to stop, and may or may not have been written.
    open: BTreeMap<u64, u64>,
}

impl Load {
    fn start(node: &Node) -> Self {
        let port = Arc::new(AtomicU16::new(node.http()));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|writer| {
            let (port, acknowledged, stop) = (
                Arc::clone(&port),
                Arc::clone(&acknowledged),
                Arc::clone(&stop),
            );
            thread::spawn(move || write(writer, &port, &acknowledged, &stop))
        });
        let writers = writers.collect();
        Self {
            port,
            acknowledged,
            stop,
            writers,
        }
    }

    /// Waits until so many more requests have been acknowledged.
    fn wait_for_more(&self, requests: u64) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + requests;
        wait_for("acknowledged writes", || {
            (self.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    fn follow(&self, node: &Node) {
        self.port.store(node.http(), Ordering::Relaxed);
    }

    fn finish(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for writer in self.writers {
            let written = writer.join().unwrap();
            all.acknowledged.extend(written.acknowledged);
            all.open.extend(written.open);
        }
        all
    }
}

fn write(writer: u64, port: &AtomicU16, acknowledged: &AtomicU64, stop: &AtomicBool) -> Written {
    let mut written = Written::default();
    for request in 0.. {
        let ids = (0..ROWS_PER_REQUEST).map(|row| {
            (request * ROWS_PER_REQUEST + row) % KEYS_PER_WRITER + writer * KEYS_PER_WRITER
        });
        let rows: BTreeMap<u64, u64> = ids.map(|id| (id, request)).collect();
        let body = json!({
            "project": "lab", "view": "state", "request_id": Uuid::now_v7().to_string(),
            "rows": rows.iter().map(|(id, value)| row(*id, *value)).collect::<Vec<_>>(),
        });
        let body = body.to_string();
        loop {
            if stop.load(Ordering::Relaxed) {
                written.open = rows;
                return written;
            }
            let Some((status, answer)) =
                client::post(port.load(Ordering::Relaxed), "/v1/write", &body)
            else {
                thread::yield_now();
                continue;
            };
            if status == 200
                && answer["unknown"] == json!([])
                && answer["accepted"] == ROWS_PER_REQUEST
            {
                break;
            }
            // A node that stops or starts may put the whole off, and nothing else.
            let known = status == 200
                && answer["rejected"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|row| is_passing(&row["reason"]));
            assert!(
                known || is_passing(&answer["error"]["reason"]),
                "{status} {answer}"
            );
        }
        written.acknowledged.extend(rows);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    written
}

fn is_passing(reason: &Json) -> bool {
    ["NO_PRIMARY", "NOT_READY", "OVERLOADED", "DEADLINE"]
        .iter()
        .any(|passing| reason == passing)
}

fn row(id: u64, value: u64) -> Json {
    json!({ "id": id, "event_time": START_US + value, "a": value, "b": format!("value {value}") })
}

fn check(node: &Node, written: &Written) {
    let ids: Vec<u64> = written.acknowledged.keys().copied().collect();
    for (id, row) in ids.iter().zip(node.rows("state", &ids)) {
        let value = row["a"][0]
            .as_u64()
            .unwrap_or_else(|| panic!("row {id} is lost: {row}"));
        let possible = [Some(&written.acknowledged[id]), written.open.get(id)];
        assert!(
            possible.contains(&Some(&value)),
            "row {id} has {value} of {possible:?}"
        );
        assert_eq!(
            (&row["a"][1], &row["b"][0]),
            (&json!("PRESENT"), &json!(format!("value {value}"))),
            "row {id}"
        );
    }
}

#[test]
fn every_acknowledged_write_survives_kills_under_load() {
    let mut node = Node::start();
    node.apply(DEFINITIONS);
    let load = Load::start(&node);
    for _ in 0..3 {
        load.wait_for_more(60);
        node.kill();
        node.restart();
        load.follow(&node);
    }
    load.wait_for_more(20);
    // Killed with the writers at work, so that the last answers are tried as well.
    node.kill();
    let written = load.finish();
    node.restart();
    assert_eq!(written.acknowledged.len() as u64, WRITERS * KEYS_PER_WRITER);
    check(&node, &written);
}

#[test]
fn a_terminated_node_stops_in_order_and_loses_nothing() {
    let mut node = Node::start();
    node.apply(DEFINITIONS);
    let load = Load::start(&node);
    load.wait_for_more(60);
    // Clients that are connected and ask nothing do not hold it up.
    let (_idle_grpc, _idle_http) = (
        Client::of(&node),
        TcpStream::connect((Ipv4Addr::LOCALHOST, node.http())).unwrap(),
    );
    let status = node.terminate();
    assert_eq!(status.code(), Some(0), "{status}");
    let written = load.finish();
    node.restart();
    check(&node, &written);
    // An idle node stops as well, and its directory is free at once.
    let status = node.terminate();
    assert_eq!(status.code(), Some(0), "{status}");
    node.restart();
    check(&node, &written);
}
