//! One write whose rows, merged with what stands, take far more than one entry of the log.

use super::{client::check_rejected, process::Node};
use serde_json::{Value as Json, json};

const DEFINITIONS: &str = "
project: lab
entities:
  - { name: thing, keys: [{ name: home, type: int64 }, { name: id, type: int64 }], shard_by: [home] }
views:
  - { name: state, entity: thing, features: [{ name: a, type: string }, { name: b, type: string }, { name: c, type: string }, { name: d, type: string }] }
";
/// All of one home, and so of one shard.
const ROWS: usize = 10_000;
const KIB: usize = 1 << 10;
const REQUEST: &str = "/v1/write";

fn request(id: &str, event: u64, rows: Vec<Json>) -> Json {
    let dated = rows.into_iter().map(|mut row| {
        row["event_time"] = json!(format!("2024-03-01T10:00:0{event}Z"));
        row["home"] = json!(1);
        row
    });
    json!({
        "project": "lab", "view": "state", "request_id": id, "deadline": "60s",
        "rows": dated.collect::<Vec<Json>>(),
    })
}

fn text(feature: &str, id: usize) -> String {
    format!("{feature}{id}")
        .repeat(KIB)
        .chars()
        .take(KIB)
        .collect()
}

fn set(feature: &str) -> Vec<Json> {
    let row = |id: usize| json!({ "id": id, feature: text(feature, id) });
    (0..ROWS).map(row).collect()
}

fn check(node: &Node) {
    for first in (0..ROWS).step_by(1_000) {
        let ids: Vec<usize> = (first..first + 1_000).collect();
        let body = json!({
            "project": "lab", "features": ["state:a", "state:b"], "shared": { "home": 1 },
            "rows": { "id": ids }, "deadline": "20s",
        });
        let answer = node.posted("/v1/lookup", &body);
        for (column, feature) in answer["features"]
            .as_array()
            .unwrap()
            .iter()
            .zip(["a", "b"])
        {
            let expected: Vec<String> = ids.iter().map(|id| text(feature, *id)).collect();
            assert!(
                column["values"] == json!(expected),
                "{feature} from {first} on"
            );
        }
    }
}

#[test]
fn ten_thousand_partial_updates_of_rows_as_large_are_taken_in_one_write() {
    let mut node = Node::start();
    node.apply(DEFINITIONS);
    let ids = [(); 2].map(|()| uuid::Uuid::now_v7().to_string());
    node.posted(REQUEST, &request(&ids[0], 1, set("a")));
    let body = request(&ids[1], 2, set("b"));
    let answer = node.posted(REQUEST, &body);
    let told = |answer: &Json| {
        (
            answer["accepted"].clone(),
            answer["rejected"].clone(),
            answer["unknown"].clone(),
            answer["token"].clone(),
        )
    };
    assert_eq!(answer["accepted"], ROWS, "{}", answer["rejected"][0]);
    check(&node);
    assert_eq!(told(&node.posted(REQUEST, &body)), told(&answer));
    node.kill_and_restart();
    check(&node);
    assert_eq!(
        told(&node.posted(REQUEST, &body)),
        told(&answer),
        "after a restart too"
    );
}

#[test]
fn a_row_that_no_entry_holds_is_rejected_and_the_others_are_taken() {
    let node = Node::start();
    node.apply(DEFINITIONS);
    let large = |letter: &str| letter.repeat(250 << 10);
    let id = || uuid::Uuid::now_v7().to_string();
    let row = json!({ "id": 7, "a": large("a"), "b": large("b"), "c": large("c") });
    let answer = node.posted(REQUEST, &request(&id(), 1, vec![row]));
    assert_eq!(answer["accepted"], 1, "{answer}");
    let rows = vec![
        json!({ "id": 1, "a": "x" }),
        json!({ "id": 7, "d": large("d") }),
        json!({ "id": 2, "a": "y" }),
    ];
    let answer = node.posted(REQUEST, &request(&id(), 2, rows));
    check_rejected(&answer, 1, "TOO_LARGE", "");
    assert_eq!(answer["accepted"], 2, "{answer}");
    // It would be 1,000 KiB; one of 750 that is sent as 250 more is one entry's no more either.
    let rows = vec![json!({ "id": 7, "a": large("e"), "b": large("f") })];
    let answer = node.posted(REQUEST, &request(&id(), 3, rows));
    check_rejected(&answer, 0, "TOO_LARGE", "");
    let message = answer["rejected"][0]["message"].as_str().unwrap();
    assert!(message.contains("together"), "{message}");
}
