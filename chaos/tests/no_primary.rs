//! A write that nobody can take is answered by its deadline: while the nodes that hold its shards stand
//! still, and once they are gone, so that nobody can name other primaries either.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    http,
};
use serde_json::{Value as Json, json};
use std::{
    thread,
    time::{Duration, Instant},
};

const SHAPE: Shape = Shape {
    nodes: 3,
    copies: 2,
    shards: 16,
};
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
";
/// Enough to touch every shard.
const KEYS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(2);
/// What an answer may come late on a machine that does much else.
const LATE: Duration = Duration::from_secs(2);
const CALL_WITHIN: Duration = Duration::from_secs(40);
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// Writes through node 0; how long the answer took, its status and the answer.
fn write(cluster: &Cluster) -> (Duration, u16, Json) {
    let rows: Json = (0..KEYS).map(|id| json!({ "id": id, "a": id })).collect();
    let deadline = format!("{}s", DEADLINE.as_secs());
    let body = json!({ "project": "lab", "view": "state", "rows": rows, "deadline": deadline });
    let began = Instant::now();
    let address = cluster.nodes()[0].http();
    let (status, answer) = http::post(address, "/v1/write", &body, CALL_WITHIN).unwrap();
    (began.elapsed(), status, answer)
}

/// Rows of which the answer says that they were not, or perhaps not, written.
fn open(status: u16, answer: &Json) -> usize {
    let count = |name: &str| answer[name].as_array().map_or(0, Vec::len);
    match status {
        200 => count("unknown") + count("rejected"),
        _ => KEYS,
    }
}

#[track_caller]
fn check(cluster: &Cluster, when: &str) {
    let (took, status, answer) = write(cluster);
    assert!(
        took < DEADLINE + LATE,
        "{when}: {took:?}, {status}, {answer}"
    );
    assert!(open(status, &answer) > 0, "{when}: {status}, {answer}");
    // What went well elsewhere is told; what did not has a reason, or may be repeated.
    assert!(
        [200, 503, 504].contains(&status),
        "{when}: {status}, {answer}"
    );
}

#[test]
fn a_write_that_nobody_can_take_is_answered_by_its_deadline() {
    let mut cluster = Cluster::found(Atoll::find().unwrap(), SHAPE, Clock::start()).unwrap();
    cluster.apply(0, DEFINITIONS).unwrap();
    let (_, status, answer) = write(&cluster);
    assert_eq!((status, open(status, &answer)), (200, 0), "{answer}");
    for place in [1, 2] {
        cluster.freeze(place).unwrap();
    }
    check(&cluster, "two nodes stand still");
    check(&cluster, "a moment later");
    thread::sleep(Duration::from_secs(4));
    check(&cluster, "once they are known to be away");
    for place in [1, 2] {
        cluster.kill(place).unwrap();
    }
    check(&cluster, "two nodes are gone");
    check(&cluster, "a moment later");
    for place in [1, 2] {
        cluster.start(place).unwrap();
    }
    cluster.settle(WHOLE_WITHIN).unwrap();
    let (_, status, answer) = write(&cluster);
    assert_eq!((status, open(status, &answer)), (200, 0), "{answer}");
}
