//! Definitions change under rows that are there: what may change, shown before it is done, and what
//! may not.

use super::process::{Node, Said};
use serde_json::{Value as Json, json};

const HEAD: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
";
const BEFORE: &str = "
      - { name: count, type: int32 }
      - { name: label, type: string }
";
const AFTER: &str = "
      - { name: count, type: int64 }
      - { name: label, type: string, deprecated: true }
      - { name: score, type: float64, default: 0.5 }
";
const INCOMPATIBLE: &str = "
      - { name: count, type: int64 }
      - { name: label, type: int64 }
";
const ALL: [&str; 3] = ["count", "label", "score"];
const TIME: &str = "2024-03-01T10:00:00Z";

fn definitions(features: &str) -> String {
    format!("{HEAD}{features}")
}

fn plan(node: &Node, features: &str) -> Said {
    let file = node.write_file("planned.yaml", &definitions(features));
    node.atoll(&["plan", "--output", "json", file.to_str().unwrap()])
}

fn revision(node: &Node) -> u64 {
    let (_, text) = super::client::get(node.http(), "/v1/registry/projects/lab").unwrap();
    serde_json::from_str::<Json>(&text).unwrap()["revision"]
        .as_u64()
        .unwrap()
}

/// Of each feature its name, type, values and statuses. `*` leaves out what is deprecated.
fn look_up(node: &Node, features: &[&str], ids: &[u64]) -> Json {
    let features: Vec<String> = features
        .iter()
        .map(|name| format!("state:{name}"))
        .collect();
    let body = json!({ "project": "lab", "features": features, "rows": { "id": ids } });
    let answer = node.posted("/v1/lookup", &body);
    let columns = answer["features"].as_array().unwrap().iter();
    let told = columns.map(|column| {
        let name = column["name"].as_str().unwrap().split(':').nth(1);
        json!([name, column["type"], column["values"], column["statuses"]])
    });
    told.collect()
}

/// A node at the definitions of before, with two rows, and what is read of these.
fn node_before() -> (Node, Json) {
    let node = Node::start();
    node.apply(&definitions(BEFORE));
    node.write(
        "state",
        json!([
            { "id": 1, "event_time": TIME, "count": i32::MAX, "label": "one" },
            { "id": 2, "event_time": TIME, "count": -7, "label": null },
        ]),
    );
    let read = json!([
        ["count", "int32", [i32::MAX, -7], ["PRESENT", "PRESENT"]],
        ["label", "string", ["one", null], ["PRESENT", "NULL_VALUE"]],
    ]);
    assert_eq!(look_up(&node, &["count", "label"], &[1, 2]), read);
    (node, read)
}

#[test]
fn a_plan_tells_all_changes_and_does_none() {
    let (node, before) = node_before();
    let revision_before = revision(&node);
    let planned: Json = serde_json::from_str(&plan(&node, AFTER).done()).unwrap();
    let head = [&planned["base_revision"], &planned["refusals"]];
    assert_eq!(head, [&json!(revision_before), &json!([])], "{planned}");
    let changes = planned["changes"].as_array().unwrap();
    let told = |change: &Json| {
        let keys = ["action", "object", "field", "from", "to", "breaks_readers"];
        json!(keys.map(|key| change[key].clone()))
    };
    let expected = json!([
        [
            "alter",
            "feature state@1:count",
            "type",
            "int32",
            "int64",
            false
        ],
        ["deprecate", "feature state@1:label", "", null, null, false],
        [
            "create",
            "feature state@1:score",
            "",
            null,
            "float64, default 0.5",
            false
        ],
    ]);
    assert_eq!(
        changes.iter().map(told).collect::<Json>(),
        expected,
        "{planned}"
    );
    assert_eq!(revision(&node), revision_before);
    assert_eq!(look_up(&node, &["count", "label"], &[1, 2]), before);
    let early = json!({ "project": "lab", "features": ["state:score"], "rows": { "id": [1] } });
    node.refused("/v1/lookup", &early, 404, "UNKNOWN_FEATURE", &["score"]);
}

#[test]
fn old_rows_stay_readable_while_features_are_added_widened_and_deprecated() {
    let (mut node, _) = node_before();
    let revision_before = revision(&node);
    node.apply(&definitions(AFTER));
    assert!(revision(&node) > revision_before);
    let after = json!([
        ["count", "int64", [i32::MAX, -7], ["PRESENT", "PRESENT"]],
        ["label", "string", ["one", null], ["PRESENT", "NULL_VALUE"]],
        ["score", "float64", [0.5, 0.5], ["NOT_FOUND", "NOT_FOUND"]],
    ]);
    assert_eq!(look_up(&node, &ALL, &[1, 2]), after);
    node.kill_and_restart();
    assert_eq!(look_up(&node, &ALL, &[1, 2]), after);
    let starred = look_up(&node, &["*"], &[1, 2]);
    assert_eq!(starred, json!([after[0], after[2]]));

    // New rows use what is new; a partial update of an old row keeps its old cells.
    node.write(
        "state",
        json!([
            { "id": 2, "event_time": "2024-03-02T00:00:00Z", "score": 2.5 },
            { "id": 3, "event_time": TIME, "count": i64::MAX, "label": "three" },
        ]),
    );
    let mixed = json!([
        ["count", "int64", [-7, i64::MAX], ["PRESENT", "PRESENT"]],
        [
            "label",
            "string",
            [null, "three"],
            ["NULL_VALUE", "PRESENT"]
        ],
        ["score", "float64", [2.5, 0.5], ["PRESENT", "NOT_FOUND"]],
    ]);
    assert_eq!(look_up(&node, &ALL, &[2, 3]), mixed);
    node.kill_and_restart();
    assert_eq!(look_up(&node, &ALL, &[2, 3]), mixed);
    let nothing: Json = serde_json::from_str(&plan(&node, AFTER).done()).unwrap();
    assert_eq!(nothing["changes"], json!([]));
}

#[test]
fn an_incompatible_change_is_refused_with_the_reason_and_the_way_out() {
    let node = Node::start();
    node.apply(&definitions(BEFORE));
    node.write(
        "state",
        json!([{ "id": 1, "event_time": TIME, "count": 1, "label": "one" }]),
    );
    let (row, before) = (node.row("state", 1), revision(&node));

    let planned = plan(&node, INCOMPATIBLE);
    assert_eq!(planned.status, Some(1), "{planned:?}");
    let refusals: Json = serde_json::from_str::<Json>(&planned.out).unwrap()["refusals"].clone();
    assert_eq!(refusals[0]["reason"], "INCOMPATIBLE_CHANGE", "{refusals}");
    let message = refusals[0]["message"].as_str().unwrap();
    assert!(
        message.contains("label") && message.contains("version"),
        "{message}"
    );

    let file = node.write_file("refused.yaml", &definitions(INCOMPATIBLE));
    let file = file.to_str().unwrap();
    node.atoll(&["apply", "--yes", file])
        .failed(1, &["INCOMPATIBLE_CHANGE", "label", "version"]);
    let body = json!({ "files": [{ "name": "refused.yaml", "text": definitions(INCOMPATIBLE) }] });
    node.refused(
        "/v1/registry/apply",
        &body,
        412,
        "INCOMPATIBLE_CHANGE",
        &["label", "version"],
    );
    let body = json!({ "files": [{ "name": "moved.yaml", "text": definitions(AFTER) }], "expect_revision": before - 1 });
    node.refused(
        "/v1/registry/apply",
        &body,
        409,
        "REVISION_CHANGED",
        &[&before.to_string()],
    );
    assert_eq!((node.row("state", 1), revision(&node)), (row, before));
}

#[test]
fn what_was_applied_is_there_for_the_next_call() {
    let node = Node::start();
    for round in 0..40 {
        let text = definitions(BEFORE).replace("name: state", &format!("name: state_{round}"));
        let body = json!({ "files": [{ "name": "round.yaml", "text": text }] });
        node.posted("/v1/registry/apply", &body);
        let rows = json!([{ "id": 1, "event_time": TIME, "count": round }]);
        node.write(&format!("state_{round}"), rows);
    }
}

#[test]
fn nothing_that_a_file_leaves_out_is_removed_without_prune() {
    let node = Node::start();
    node.apply(&definitions(BEFORE));
    node.write(
        "state",
        json!([{ "id": 1, "event_time": TIME, "count": 1, "label": "one" }]),
    );
    let row = node.row("state", 1);
    node.apply(
        "project: lab\nentities:\n  - name: other\n    keys: [{ name: id, type: string }]\n",
    );
    assert_eq!(node.row("state", 1), row);
}
