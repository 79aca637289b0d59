//! Requests that cannot be meant: each is refused with its reason, its code and a message that
//! names what is wrong, by gRPC and HTTP alike, and nothing that stands is lost.

use super::{client::check_rejected, process::Node, reflection::Client};
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::Code;

const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
  - name: pair
    keys: [{ name: left, type: string }, { name: right, type: int32 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
      - { name: small, type: int32 }
      - { name: text, type: string }
      - { name: vector, type: \"vector<float32, 2>\" }
  - name: link
    version: 1
    entity: pair
    features:
      - { name: weight, type: float64 }
";
const TIME: &str = "2024-03-01T10:00:00Z";
/// One above each limit.
const TOO_MANY: usize = 10_001;
const TOO_LONG: usize = 1_025;

/// A node with one row, which must stand through all that follows.
pub struct World {
    pub node: Node,
    row: Json,
}

impl World {
    pub fn new() -> Self {
        let node = Node::start();
        node.apply(DEFINITIONS);
        node.write("state", json!([{ "id": 1, "event_time": TIME, "small": 1, "text": "stands", "vector": [1, 2] }]));
        let row = node.row("state", 1);
        Self { node, row }
    }

    /// Nothing was lost, also not in the log.
    pub fn finish(mut self) {
        assert_eq!(self.node.row("state", 1), self.row);
        self.node.kill_and_restart();
        assert_eq!(self.node.row("state", 1), self.row);
    }

    #[track_caller]
    fn refuses_lookup(&self, change: Json, status: u16, reason: &str, words: &[&str]) {
        let mut body =
            json!({ "project": "lab", "features": ["state:small"], "rows": { "id": [1] } });
        change_fields(&mut body, change);
        self.node
            .refused("/v1/lookup", &body, status, reason, words);
    }

    /// A request with one row is refused as a whole or, where the row alone is at fault, in it.
    #[track_caller]
    fn refuses_row(&self, row: Json, reason: &str, field: &str) {
        let body = json!({ "project": "lab", "view": "state", "rows": [row, { "id": 2, "event_time": TIME, "small": 2 }] });
        let answer = self.node.posted("/v1/write", &body);
        check_rejected(&answer, 0, reason, field);
        assert_eq!(answer["accepted"], 1, "{answer}");
    }
}

/// Fields that are null go.
fn change_fields(body: &mut Json, change: Json) {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
}

fn now_us() -> u64 {
    u64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_micros(),
    )
    .unwrap()
}

#[test]
fn names_that_are_not_defined_are_told_by_their_kind() {
    let world = World::new();
    world.refuses_lookup(
        json!({ "project": "labb" }),
        404,
        "UNKNOWN_PROJECT",
        &["labb"],
    );
    world.refuses_lookup(
        json!({ "features": ["stat:small"] }),
        404,
        "UNKNOWN_VIEW",
        &["stat", "state"],
    );
    world.refuses_lookup(
        json!({ "features": ["state@2:small"] }),
        404,
        "UNKNOWN_VIEW",
        &["state"],
    );
    world.refuses_lookup(
        json!({ "features": ["state:smal"] }),
        404,
        "UNKNOWN_FEATURE",
        &["smal", "small"],
    );
    world.refuses_lookup(
        json!({ "features": null, "service": "ranking" }),
        404,
        "UNKNOWN_SERVICE",
        &["ranking"],
    );
    for (change, reason) in [
        (json!({ "project": "labb" }), "UNKNOWN_PROJECT"),
        (json!({ "view": "stat" }), "UNKNOWN_VIEW"),
    ] {
        for (path, rows) in [("/v1/write", "rows"), ("/v1/delete", "keys")] {
            let mut body = json!({ "project": "lab", "view": "state", rows: [{ "id": 1 }] });
            change_fields(&mut body, change.clone());
            world.node.refused(path, &body, 404, reason, &[]);
        }
    }
    world.refuses_row(json!({ "id": 1, "smal": 2 }), "UNKNOWN_FEATURE", "smal");
    world.finish();
}

#[test]
fn names_that_are_not_defined_are_told_over_grpc_and_by_the_commands() {
    let world = World::new();
    let client = Client::of(&world.node);
    let rows = json!([{ "name": "id", "ints": [1] }]);
    let lookup = |project: &str, features: &str| json!({ "project": project, "features": { "names": [features] }, "rows": rows });
    let refused = |request: &Json, reason: &str| {
        client.refused("Lookup", request, Code::NotFound, reason, &[]);
    };
    refused(&lookup("labb", "state:small"), "UNKNOWN_PROJECT");
    refused(&lookup("lab", "stat:small"), "UNKNOWN_VIEW");
    refused(&lookup("lab", "state:smal"), "UNKNOWN_FEATURE");
    refused(
        &json!({ "project": "lab", "service": "ranking", "rows": rows }),
        "UNKNOWN_SERVICE",
    );
    let write = json!({
        "project": "lab",
        "writes": [{ "view": "state", "keys": rows, "features": [{ "feature": "smal", "type": "TYPE_INT32", "i32": [1] }] }],
    });
    client.refused(
        "Write",
        &write,
        Code::NotFound,
        "UNKNOWN_FEATURE",
        &["smal"],
    );
    for (features, reason) in [
        ("stat:small", "UNKNOWN_VIEW"),
        ("state:smal", "UNKNOWN_FEATURE"),
    ] {
        let said = world.node.atoll(&[
            "get",
            "--project",
            "lab",
            "--features",
            features,
            "--rows",
            "id=1",
        ]);
        said.failed(1, &[reason]);
    }
    world.finish();
}

#[test]
fn join_keys_of_wrong_types_lengths_and_numbers_are_refused() {
    let world = World::new();
    world.refuses_lookup(
        json!({ "rows": { "id": ["one"] } }),
        400,
        "WRONG_TYPE",
        &["id", "int64"],
    );
    world.refuses_lookup(
        json!({ "rows": { "id": [1.5] } }),
        400,
        "WRONG_TYPE",
        &["id", "int64"],
    );
    world.refuses_lookup(
        json!({ "rows": { "id": [null] } }),
        400,
        "WRONG_TYPE",
        &["id", "null"],
    );
    world.refuses_lookup(
        json!({ "rows": { "ident": [1] } }),
        400,
        "MISSING_KEY",
        &["id"],
    );
    let link = |left: Json, right: Json| json!({ "features": ["link:weight"], "rows": { "left": left, "right": right } });
    world.refuses_lookup(
        link(json!(["a", "b"]), json!([1])),
        400,
        "UNEQUAL_LENGTHS",
        &["left", "right"],
    );
    world.refuses_lookup(
        link(json!(["a"]), json!([i64::from(i32::MAX) + 1])),
        400,
        "WRONG_TYPE",
        &["right", "int32"],
    );
    world.refuses_lookup(
        link(json!(["a".repeat(TOO_LONG)]), json!([1])),
        400,
        "TOO_LARGE",
        &["1024"],
    );
    let many: Vec<usize> = (0..TOO_MANY).collect();
    world.refuses_lookup(
        json!({ "rows": { "id": many } }),
        400,
        "TOO_MANY_ROWS",
        &["10000"],
    );
    let rows: Vec<Json> = many
        .iter()
        .map(|id| json!({ "id": id, "small": 1 }))
        .collect();
    let body = json!({ "project": "lab", "view": "state", "rows": rows });
    world
        .node
        .refused("/v1/write", &body, 400, "TOO_MANY_ROWS", &["10000"]);
    assert_eq!(world.node.row("state", 2)["small"][1], "NOT_FOUND");

    world.finish();
}

#[test]
fn rows_with_join_keys_at_fault_are_rejected_and_the_others_written() {
    let world = World::new();
    world.refuses_row(json!({ "id": "one", "small": 2 }), "WRONG_TYPE", "id");
    world.refuses_row(json!({ "small": 2 }), "MISSING_KEY", "id");
    let body = json!({ "project": "lab", "view": "link", "rows": [
        { "left": "a".repeat(TOO_LONG), "right": 1, "weight": 1 }, { "left": "a", "right": 1, "weight": 1 },
    ] });
    let answer = world.node.posted("/v1/write", &body);
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["reason"]),
        (&json!(1), &json!("TOO_LARGE")),
        "{answer}"
    );

    world.finish();
}

#[test]
fn columns_of_wrong_types_lengths_and_numbers_are_refused_over_grpc() {
    let world = World::new();
    let many: Vec<usize> = (0..TOO_MANY).collect();
    let client = Client::of(&world.node);
    let lookup = |rows: Json| json!({ "project": "lab", "features": { "names": ["state:small"] }, "rows": rows });
    let refused = |rows: Json, reason: &str| {
        client.refused("Lookup", &lookup(rows), Code::InvalidArgument, reason, &[]);
    };
    refused(json!([{ "name": "id", "strings": ["one"] }]), "WRONG_TYPE");
    refused(json!([]), "MISSING_KEY");
    refused(
        json!([{ "name": "id", "ints": [1, 2] }, { "name": "more", "ints": [1] }]),
        "UNEQUAL_LENGTHS",
    );
    refused(json!([{ "name": "id", "ints": many }]), "TOO_MANY_ROWS");
    let write = json!({
        "project": "lab",
        "writes": [{ "view": "state", "keys": [{ "name": "id", "ints": [1, 2] }],
            "features": [{ "feature": "small", "type": "TYPE_INT32", "i32": [1] }] }],
    });
    client.refused(
        "Write",
        &write,
        Code::InvalidArgument,
        "UNEQUAL_LENGTHS",
        &["small"],
    );
    world.finish();
}

#[test]
fn values_of_wrong_types_are_refused_row_by_row() {
    let world = World::new();
    for (feature, value) in [
        ("small", json!(i64::from(i32::MAX) + 1)),
        ("small", json!(1.5)),
        ("small", json!("many")),
        ("small", json!(true)),
        ("text", json!(1)),
        ("vector", json!([1])),
        ("vector", json!([1, "two"])),
        ("vector", json!(1)),
    ] {
        world.refuses_row(
            json!({ "id": 1, "event_time": "2024-03-02T00:00:00Z", feature: value }),
            "WRONG_TYPE",
            feature,
        );
    }
    // 256 KiB are a cell's limit.
    let long = "x".repeat((256 << 10) + 1);
    world.refuses_row(
        json!({ "id": 1, "event_time": "2024-03-02T00:00:00Z", "text": long }),
        "TOO_LARGE",
        "text",
    );
    let write = json!({
        "project": "lab",
        "writes": [{ "view": "state", "keys": [{ "name": "id", "ints": [1] }],
            "features": [{ "feature": "small", "type": "TYPE_STRING", "strings": ["1"] }] }],
    });
    Client::of(&world.node).refused(
        "Write",
        &write,
        Code::InvalidArgument,
        "WRONG_TYPE",
        &["small", "int32"],
    );
    world.finish();
}

#[test]
fn event_times_in_the_far_future_and_before_1970_are_refused_row_by_row() {
    let world = World::new();
    let hour_ahead = now_us() + 3_600_000_000;
    world.refuses_row(
        json!({ "id": 1, "event_time": hour_ahead, "small": 2 }),
        "EVENT_TIME_IN_FUTURE",
        "event_time",
    );
    world.refuses_row(
        json!({ "id": 1, "event_time": "1969-12-31T23:59:59Z", "small": 2 }),
        "EVENT_TIME_TOO_OLD",
        "event_time",
    );
    world.refuses_row(
        json!({ "id": 1, "event_time": "yesterday", "small": 2 }),
        "WRONG_TYPE",
        "event_time",
    );
    let write = json!({
        "project": "lab",
        "writes": [{ "view": "state", "keys": [{ "name": "id", "ints": [1, 2, 3] }], "event_times_us": [hour_ahead, -1, 1],
            "features": [{ "feature": "small", "type": "TYPE_INT32", "i32": [1, 2, 3] }] }],
    });
    let answer = Client::of(&world.node).called("Write", &write);
    let reasons: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["row"], &row["reason"]))
        .collect();
    let expected = [
        (json!(0), json!("EVENT_TIME_IN_FUTURE")),
        (json!(1), json!("EVENT_TIME_TOO_OLD")),
    ];
    assert_eq!(
        reasons,
        expected
            .iter()
            .map(|(row, reason)| (row, reason))
            .collect::<Vec<_>>(),
        "{answer}"
    );
    assert_eq!(answer["accepted"], 1, "{answer}");
    let delete = json!({ "project": "lab", "view": "state", "keys": [{ "id": 1 }], "event_time": hour_ahead });
    let (status, answer) = world.node.post("/v1/delete", &delete);
    let rejected = &answer["rejected"][0]["reason"];
    assert!(
        status == 200 && rejected == "EVENT_TIME_IN_FUTURE",
        "{status} {answer}"
    );
    world.finish();
}
