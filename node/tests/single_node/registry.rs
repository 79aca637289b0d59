//! `atoll registry` as people and scripts use it: export, history, rollback, prune.

use super::process::Node;
use serde_json::{Value as Json, json};

const SHOP: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
    owner: a team
views:
  - name: state
    entity: thing
    ttl: 30d
    owner: growth
    description: what it is
    tags: [core]
    freshness: 10m
    features:
      - { name: count, type: int32, default: 0, description: how many }
      - { name: label, type: string }
services:
  - { name: feed, features: [\"state:*\"], owner: ml, description: the feed }
";

fn json(node: &Node, arguments: &[&str]) -> Json {
    let arguments: Vec<&str> = arguments
        .iter()
        .copied()
        .chain(["--output", "json"])
        .collect();
    let text = node.atoll(&arguments).done();
    serde_json::from_str(&text).unwrap()
}

fn wider() -> String {
    SHOP.replace(
        "services:",
        "      - { name: score, type: float64 }\nservices:",
    )
}

#[test]
fn what_is_exported_plans_to_no_difference() {
    let node = Node::start();
    node.apply(SHOP);
    node.apply(&wider());
    let exported = node.atoll(&["registry", "export"]).done();
    assert!(exported.contains("columns:"), "{exported}");
    let file = node.write_file("exported.yaml", &exported);
    for prune in [&[][..], &["--prune"]] {
        let plan: Vec<&str> = ["plan", file.to_str().unwrap()]
            .into_iter()
            .chain(prune.iter().copied())
            .collect();
        let plan = json(&node, &plan);
        assert_eq!(
            (&plan["changes"], &plan["refusals"]),
            (&json!([]), &json!([]))
        );
    }
    let service = json(&node, &["registry", "show", "feed"]);
    assert_eq!(
        service["columns"],
        json!(["state@1:count", "state@1:label"])
    );
    assert_eq!(service["definition"]["features"], json!(["state:*"]));
    assert_eq!(service["definition"]["owner"], "ml");
    let view = json(&node, &["registry", "show", "state"]);
    let told = ["owner", "description", "tags", "freshness"]
        .map(|field| view["definition"][field].clone());
    assert_eq!(
        json!(told),
        json!(["growth", "what it is", ["core"], "10m"])
    );
    assert_eq!(view["read_by"], json!(["feed"]));
    let revisions = |object: &Json| {
        let number = |field: &str| object[field].as_u64().unwrap();
        number("changed_revision") - number("revision")
    };
    assert_eq!((revisions(&view), revisions(&service)), (1, 0));
    node.atoll(&["registry", "show", "stat"])
        .failed(1, &["did you mean state@1?", "UNKNOWN_VIEW"]);
}

#[test]
fn a_rollback_is_shown_and_then_done() {
    let node = Node::start();
    node.apply(SHOP);
    let revision = json(&node, &["registry", "show", "state"])["revision"]
        .as_u64()
        .unwrap();
    let first = revision.to_string();
    node.apply(&wider().replace("ttl: 30d", "ttl: 7d"));
    let stale = node.write_file("stale.yaml", SHOP);
    node.atoll(&[
        "apply",
        "--yes",
        "--expect-revision",
        &first,
        stale.to_str().unwrap(),
    ])
    .failed(1, &["REVISION_CHANGED", "ttl 30d → 7d", "plan again"]);

    node.atoll(&["registry", "rollback", &first])
        .failed(1, &["there is no terminal to ask on"]);
    let done = json(&node, &["registry", "rollback", &first, "--yes"]);
    assert_eq!(done["revision"].as_u64(), Some(revision + 2));
    let summaries: Vec<&Json> = done["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["summary"])
        .collect();
    let expected = [
        "alter view state@1: ttl 7d → 30d",
        "deprecate feature state@1:score",
    ];
    assert_eq!(json!(summaries), json!(expected));
    let history = node
        .atoll(&["registry", "history", "--output", "json"])
        .done();
    let newest: Json = serde_json::from_str(history.lines().next().unwrap()).unwrap();
    assert_eq!(newest["changes"], json!(expected));
    assert_eq!(
        (&newest["revision"], &newest["author"]),
        (&done["revision"], &json!("anonymous"))
    );

    // Over a widening there is no way back, but the definitions of then can be had.
    let second = (revision + 2).to_string();
    node.apply(&SHOP.replace("type: int32", "type: int64"));
    node.atoll(&["registry", "rollback", &second, "--yes"])
        .failed(1, &["INCOMPATIBLE_CHANGE", "may hold values", "--revision"]);
    let then = node
        .atoll(&["registry", "export", "--revision", &second])
        .done();
    assert!(then.contains("int32"), "{then}");
}

#[test]
fn what_is_read_is_removed_only_when_that_is_said() {
    let node = Node::start();
    node.apply(SHOP);
    let bare = SHOP.split("views:").next().unwrap();
    let file = node.write_file("bare.yaml", bare);
    let file = file.to_str().unwrap();
    let plan = json(&node, &["plan", "--prune", file]);
    assert_eq!(plan["breaks_readers"], true);
    assert_eq!(plan["changes"][1]["object"], "view state@1");
    assert_eq!(plan["changes"][1]["read_by"], json!(["feed"]));
    node.atoll(&["apply", "--prune", "--yes", file])
        .failed(1, &["breaks readers", "--break-readers"]);
    let body = json!({ "files": [{ "name": "bare.yaml", "text": bare }], "prune": true });
    node.refused(
        "/v1/registry/apply",
        &body,
        412,
        "INCOMPATIBLE_CHANGE",
        &["services that read it: feed", "break_readers"],
    );
    node.atoll(&["apply", "--prune", "--yes", "--break-readers", file])
        .done();
    let left = node
        .atoll(&["registry", "list", "--project", "lab", "--output", "json"])
        .done();
    assert_eq!(left.lines().count(), 1, "{left}");
}

#[test]
fn a_fault_is_told_with_its_place_and_what_was_meant() {
    let node = Node::start();
    let check = |text: &str, words: &[&str]| {
        let file = node.write_file("faulty.yaml", text);
        node.atoll(&["plan", file.to_str().unwrap()])
            .failed(1, words);
    };
    let refused = |text: &str, words: &[&str]| {
        let file = node.write_file("faulty.yaml", text);
        let said = node.atoll(&["plan", file.to_str().unwrap()]);
        assert_eq!(said.status, Some(1), "{said:?}");
        let line = said
            .out
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        assert!(line.is_some(), "{words:?} are not in {said:?}");
    };
    check(
        &SHOP.replace("ttl: 30d", "tll: 30d"),
        &[
            "faulty.yaml:10:5",
            "there is no field tll here; did you mean ttl?",
        ],
    );
    check(
        &SHOP.replace("type: int32", "type: int"),
        &["faulty.yaml:16:", "did you mean int64?"],
    );
    refused(
        &SHOP.replace("state:*", "stat:*"),
        &[
            "faulty.yaml:19:5",
            "there is no view stat; did you mean state?",
            "UNKNOWN_VIEW",
        ],
    );
    refused(
        &SHOP.replace("entity: thing", "entity: thin"),
        &["faulty.yaml:8:5", "did you mean thing?"],
    );
}
