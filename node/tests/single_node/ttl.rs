//! Rows past their view's ttl: judged when they are read, so a longer ttl reaches back to them.

use super::process::Node;
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_US: u64 = 3_600_000_000;

fn definitions(ttl: &str) -> String {
    format!(
        "
project: lab
entities:
  - name: thing
    keys: [{{ name: id, type: int64 }}]
views:
  - name: state
    version: 1
    entity: thing
    ttl: {ttl}
    purge_after: 7d
    features:
      - {{ name: a, type: int64 }}
      - {{ name: b, type: string }}
"
    )
}

/// Statuses and values of a row.
fn cells(node: &Node, id: u64) -> [Json; 2] {
    let row = node.row("state", id);
    ["a", "b"].map(|name| json!([row[name][0], row[name][1]]))
}

#[test]
fn a_row_past_its_ttl_is_outside_max_age_at_once_and_after_restart_and_present_under_a_longer_ttl()
{
    let mut node = Node::start();
    node.apply(&definitions("1h"));
    let now = u64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_micros(),
    )
    .unwrap();
    node.write(
        "state",
        json!([
            { "id": 1, "event_time": now - 2 * HOUR_US, "a": 1, "b": "old" },
            { "id": 2, "event_time": now, "a": 2, "b": "new" },
            { "id": 3, "event_time": now - 2 * HOUR_US, "a": 3, "b": "old" },
        ]),
    );
    // One cell of the third row is young.
    node.write("state", json!([{ "id": 3, "event_time": now, "b": "new" }]));
    let outside = json!([null, "OUTSIDE_MAX_AGE"]);
    let present = |value: Json| json!([value, "PRESENT"]);
    let check = |node: &Node| {
        assert_eq!(cells(node, 1), [outside.clone(), outside.clone()]);
        assert_eq!(cells(node, 2), [present(json!(2)), present(json!("new"))]);
        assert_eq!(cells(node, 3), [outside.clone(), present(json!("new"))]);
    };
    check(&node);
    node.kill_and_restart();
    check(&node);
    node.apply(&definitions("3h"));
    let check = |node: &Node| {
        assert_eq!(cells(node, 1), [present(json!(1)), present(json!("old"))]);
        assert_eq!(cells(node, 3), [present(json!(3)), present(json!("new"))]);
    };
    check(&node);
    node.kill_and_restart();
    check(&node);
}
