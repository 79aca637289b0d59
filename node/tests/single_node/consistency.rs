//! Request ids, which make a repeat harmless, and tokens, by which a reader sees its writes.

use super::{process::Node, reflection::Client};
use serde_json::{Value as Json, json};
use tonic::Code;
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
";
const TIME: &str = "2024-03-01T10:00:00Z";

fn node() -> Node {
    let node = Node::start();
    node.apply(DEFINITIONS);
    node
}

fn write_as(node: &Node, request_id: &str, rows: Json) -> Json {
    node.posted(
        "/v1/write",
        &json!({ "project": "lab", "view": "state", "request_id": request_id, "rows": rows }),
    )
}

#[test]
fn a_request_id_that_comes_again_gets_the_first_answer_also_after_a_kill_and_other_rows_are_refused()
 {
    let mut node = node();
    let id = Uuid::now_v7().to_string();
    node.write(
        "state",
        json!([{ "id": 2, "event_time": "2024-03-02T00:00:00Z", "a": 20 }]),
    );
    // One row is taken, one is superseded, one is refused.
    let rows = json!([
        { "id": 1, "event_time": TIME, "a": 1 },
        { "id": 2, "event_time": TIME, "a": 2 },
        { "id": 3, "event_time": "1969-01-01T00:00:00Z", "a": 3 },
    ]);
    let first = write_as(&node, &id, rows.clone());
    let counts = |answer: &Json| (answer["accepted"].clone(), answer["superseded"].clone());
    assert_eq!(counts(&first), (json!(2), json!(1)), "{first}");
    assert_eq!(first["request_id"], id.as_str());

    // In between, the row changes: a repeat that was carried out anew would be superseded.
    node.write(
        "state",
        json!([{ "id": 1, "event_time": "2024-03-03T00:00:00Z", "a": 100 }]),
    );
    assert_eq!(write_as(&node, &id, rows.clone()), first);
    node.kill_and_restart();
    assert_eq!(write_as(&node, &id, rows), first);
    assert_eq!(node.row("state", 1)["a"][0], 100);

    let id = Uuid::now_v7().to_string();
    let first = write_as(&node, &id, json!([{ "id": 7, "event_time": TIME, "a": 1 }]));
    let other = json!({
        "project": "lab", "view": "state", "request_id": id.as_str(),
        "rows": [{ "id": 7, "event_time": "2024-03-04T00:00:00Z", "a": 2 }],
    });
    let words = [id.as_str(), "make a new id"];
    node.refused("/v1/write", &other, 400, "REQUEST_ID_REUSED", &words);
    node.kill_and_restart();
    node.refused("/v1/write", &other, 400, "REQUEST_ID_REUSED", &words);
    let same = json!([{ "id": 7, "event_time": TIME, "a": 1 }]);
    assert_eq!(write_as(&node, &id, same), first);
    assert_eq!(node.row("state", 7)["a"], json!([1, "PRESENT", TIME]));
}

#[test]
fn a_deletion_that_comes_again_gets_the_first_answer() {
    let mut node = node();
    node.write("state", json!([{ "id": 1, "event_time": TIME, "a": 1 }]));
    let body = json!({
        "project": "lab", "view": "state", "keys": [{ "id": 1 }], "event_time": "2024-03-02T00:00:00Z",
        "request_id": Uuid::now_v7().to_string(),
    });
    let first = node.posted("/v1/delete", &body);
    assert_eq!(first["accepted"], 1, "{first}");
    node.write(
        "state",
        json!([{ "id": 1, "event_time": "2024-03-03T00:00:00Z", "a": 2 }]),
    );
    node.kill_and_restart();
    assert_eq!(node.posted("/v1/delete", &body), first);
    assert_eq!(node.row("state", 1)["a"][0], 2);
}

#[test]
fn a_lookup_with_the_token_of_a_write_always_sees_it() {
    let mut node = node();
    let mut token = Json::Null;
    for value in 0..150 {
        let id = value % 7;
        let mut body =
            json!({ "project": "lab", "view": "state", "rows": [{ "id": id, "a": value }] });
        if value % 2 == 1 {
            body["token"] = token;
        }
        token = node.posted("/v1/write", &body)["token"].clone();
        assert_ne!(token, "");
        let body = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [id] }, "token": token });
        let answer = node.posted("/v1/lookup", &body);
        assert_eq!(
            (&answer["features"][0]["values"], &answer["stale"]),
            (&json!([value]), &json!(false)),
            "{answer}"
        );
    }
    node.kill_and_restart();
    let body = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [149 % 7] }, "token": token });
    assert_eq!(
        node.posted("/v1/lookup", &body)["features"][0]["values"],
        json!([149])
    );
}

#[test]
fn a_token_of_another_cluster_is_unknown() {
    let (node, other) = (node(), node());
    let token = other.write("state", json!([{ "id": 1, "a": 1 }]))["token"].clone();
    let lookup =
        json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [1] }, "token": token });
    assert_eq!(
        other.posted("/v1/lookup", &lookup)["features"][0]["values"],
        json!([1])
    );
    node.refused("/v1/lookup", &lookup, 412, "TOKEN_UNKNOWN", &["cluster"]);
    let write =
        json!({ "project": "lab", "view": "state", "rows": [{ "id": 1, "a": 1 }], "token": token });
    node.refused("/v1/write", &write, 412, "TOKEN_UNKNOWN", &["cluster"]);
    let garbled = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [1] }, "token": "AAAA" });
    node.refused("/v1/lookup", &garbled, 412, "TOKEN_UNKNOWN", &["token"]);
    let lookup = json!({
        "project": "lab", "features": { "names": ["state:a"] }, "rows": [{ "name": "id", "ints": [1] }], "token": token,
    });
    Client::of(&node).refused(
        "Lookup",
        &lookup,
        Code::FailedPrecondition,
        "TOKEN_UNKNOWN",
        &["cluster"],
    );
    let told = node.atoll(&[
        "get",
        "--project",
        "lab",
        "--features",
        "state:a",
        "--rows",
        "id=1",
        "--token",
        token.as_str().unwrap(),
    ]);
    told.failed(1, &["TOKEN_UNKNOWN"]);
}
