//! Quotas by the command line, kept by the gateway of a real process.

use super::process::Node;
use serde_json::{Value as Json, json};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

const LAB: &str = "
project: lab
entities:
  - { name: thing, keys: [{ name: id, type: int64 }] }
views:
  - { name: state, entity: thing, ttl: none, features: [{ name: count, type: int64 }] }
";

fn look_up(node: &Node) -> (u16, Json) {
    let body = json!({ "project": "lab", "features": ["state:count"], "rows": { "id": [1] } });
    node.post("/v1/lookup", &body)
}

fn write(node: &Node, rows: i64) -> (u16, Json) {
    let rows: Json = (0..rows)
        .map(|id| json!({ "id": id, "count": id }))
        .collect();
    node.post(
        "/v1/write",
        &json!({ "project": "lab", "view": "state", "rows": rows }),
    )
}

/// Calls until the quota is used up, and gives how many went through.
fn until_refused(mut call: impl FnMut() -> (u16, Json)) -> (usize, Json) {
    for through in 0..10_000 {
        match call() {
            (200, _) => {}
            (429, refused) => return (through, refused),
            other => panic!("{other:?}"),
        }
    }
    panic!("ten thousand calls went through");
}

#[test]
fn a_project_gets_its_quota_and_no_more() {
    let node = Node::start();
    node.apply(LAB);
    assert_eq!(write(&node, 1).0, 200);
    let set = node.atoll(&["quota", "set", "lab", "--lookups-per-second", "20"]);
    assert!(
        set.done()
            .contains("project lab may ask for 20 lookups a second")
    );

    let begun = Instant::now();
    let (through, refused) = until_refused(|| look_up(&node));
    // A second's worth at once, and what came meanwhile.
    let most = 21.0 + begun.elapsed().as_secs_f64() * 20.0;
    assert!(
        (1..=most as usize).contains(&through),
        "{through} of {most}"
    );
    assert_eq!(refused["error"]["reason"], "QUOTA");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("20 lookups a second"), "{message}");
    // Time brings more of it, and writes have none.
    assert_eq!(write(&node, 100).0, 200);
    sleep(Duration::from_millis(300));
    assert_eq!(look_up(&node).0, 200);

    let rows = [
        "quota",
        "set",
        "lab",
        "--rows-per-second",
        "50",
        "--lookups-per-second",
        "none",
    ];
    node.atoll(&rows).done();
    let listed = node.atoll(&["quota", "list", "--output", "json"]).done();
    let listed: Json = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        listed,
        json!({
            "project": "lab", "lookups_per_second": null, "rows_per_second": 50, "bytes_per_second": null
        })
    );
    // A write larger than the quota goes through and is paid for: the next one waits.
    assert_eq!(write(&node, 500).0, 200);
    let (status, refused) = write(&node, 1);
    assert_eq!(
        (status, &refused["error"]["reason"]),
        (429, &json!("QUOTA"))
    );
    assert_eq!(look_up(&node).0, 200);
    node.atoll(&["quota", "set", "lab", "--rows-per-second", "none"])
        .done();
    assert_eq!(write(&node, 1).0, 200);
}

#[test]
fn a_quota_that_cannot_be_set_says_why() {
    let node = Node::start();
    node.apply(LAB);
    let refused = |arguments: &[&str], words: &str| {
        node.atoll(arguments).failed(1, &[words]);
    };
    let set = |project, limit, amount| ["quota", "set", project, limit, amount];
    refused(
        &set("lap", "--lookups-per-second", "1"),
        "there is no project lap",
    );
    refused(
        &set("lab", "--rows-per-second", "0"),
        "would refuse everything",
    );
}
