//! Files that do not fit: definitions that contradict themselves, and data with other columns.

use super::process::Node;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value as Json, json};
use std::{fs, path::PathBuf, sync::Arc};

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

fn node() -> Node {
    let node = Node::start();
    node.apply(DEFINITIONS);
    node.write(
        "state",
        json!([{ "id": 1, "event_time": "2024-03-01T10:00:00Z", "a": 1, "b": "stands" }]),
    );
    node
}

fn check_row(node: &Node) {
    assert_eq!(
        (&node.row("state", 1)["a"][0], &node.row("state", 1)["b"][0]),
        (&json!(1), &json!("stands"))
    );
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn parquet(node: &Node, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let path = node.file(name);
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn definition_files_with_faults_are_refused_by_file_and_line_and_change_nothing() {
    let node = node();
    let twice = "project: lab\nentities:\n  - name: other\n    keys: [{ name: id, type: int64 }]\n  - name: other\n    keys: [{ name: id, type: int64 }]\n";
    let feature_twice =
        DEFINITIONS.replace("{ name: b, type: string }", "{ name: a, type: string }");
    let no_such_type = DEFINITIONS.replace("type: string", "type: strings");
    let no_such_entity = DEFINITIONS.replace("entity: thing", "entity: thin");
    let no_such_field = DEFINITIONS.replace("version: 1", "versio: 1");
    let reserved = DEFINITIONS.replace("name: b", "name: event_time");
    let capitals = DEFINITIONS.replace("name: b", "name: B");
    let default = DEFINITIONS.replace("type: string", "type: int32, default: \"x\"");
    let cases: [(&str, &[&str]); 9] = [
        (twice, &["other", "twice"]),
        (&feature_twice, &["a", "twice"]),
        (&no_such_type, &["strings"]),
        (&no_such_entity, &["thin"]),
        (&no_such_field, &["versio"]),
        (&reserved, &["event_time"]),
        (&capitals, &["B"]),
        (&default, &["default"]),
        ("project: lab\nviews: [", &[]),
    ];
    for (text, words) in cases {
        let file = node.write_file("faulty.yaml", text);
        let file = file.to_str().unwrap();
        for command in ["plan", "apply"] {
            let said = node.atoll(&[command, file]);
            assert_eq!(said.status, Some(1), "{text}: {said:?}");
            let all = format!("{}{}", said.out, said.err);
            assert!(
                words.iter().all(|word| all.contains(word)),
                "not all of {words:?} in {all}"
            );
        }
    }
    let said = node.atoll(&[
        "apply",
        "--yes",
        node.file("missing.yaml").to_str().unwrap(),
    ]);
    said.failed(1, &["missing.yaml"]);
    let body = json!({ "files": [{ "name": "types.yaml", "text": no_such_type }] });
    node.refused(
        "/v1/registry/apply",
        &body,
        400,
        "INVALID_DEFINITION",
        &["types.yaml:12", "strings"],
    );
    check_row(&node);
    let unchanged: Json = serde_json::from_str(&{
        let file = node.write_file("definitions.yaml", DEFINITIONS);
        node.atoll(&["plan", "--output", "json", file.to_str().unwrap()])
            .done()
    })
    .unwrap();
    assert_eq!(unchanged["changes"], json!([]), "{unchanged}");
}

#[test]
fn parquet_with_missing_or_extra_columns_is_refused_before_the_first_row_with_the_way_out() {
    let node = node();
    let load = |file: &PathBuf, more: &[&str]| {
        let arguments = [
            "load",
            "--project",
            "lab",
            "--view",
            "state",
            "--output",
            "json",
            "--file",
            file.to_str().unwrap(),
        ];
        node.atoll(&[&arguments, more].concat())
    };
    let ids = || ("id", ints(&[1, 2]));
    let (a, b) = (|| ("a", ints(&[10, 20])), || ("b", texts(&["x", "y"])));
    let missing = parquet(&node, "missing.parquet", vec![ids(), a()]);
    load(&missing, &[]).failed(1, &["b", "--partial", "--map"]);
    let no_key = parquet(&node, "no_key.parquet", vec![a(), b()]);
    load(&no_key, &[]).failed(1, &["join key id", "--map"]);
    let extra = parquet(
        &node,
        "extra.parquet",
        vec![ids(), a(), b(), ("more", ints(&[1, 2]))],
    );
    load(&extra, &[]).failed(1, &["more", "--map more=-"]);
    let wrong_type: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5]));
    let wrong = parquet(&node, "wrong.parquet", vec![ids(), ("a", wrong_type), b()]);
    load(&wrong, &[]).failed(1, &["a", "int64"]);
    let no_parquet = node.write_file("text.parquet", "this is text");
    load(&no_parquet, &[]).failed(1, &["text.parquet"]);
    load(&node.file("nowhere.parquet"), &[]).failed(1, &["nowhere.parquet"]);
    check_row(&node);
    assert_eq!(node.row("state", 2)["a"][1], "NOT_FOUND");

    // The ways out that the messages name.
    let loaded: Json = serde_json::from_str(&load(&extra, &["--map", "more=-"]).done()).unwrap();
    assert_eq!(
        (&loaded["accepted"], &loaded["rejected"]),
        (&json!(2), &json!(0)),
        "{loaded}"
    );
    assert_eq!(node.row("state", 2)["b"][0], "y");
    load(&missing, &["--partial"]).done();
    assert_eq!(node.row("state", 2)["b"][0], "y");
}

#[test]
fn rows_of_a_file_that_are_refused_stand_in_the_rejects_with_their_reasons_and_the_others_are_loaded()
 {
    let node = node();
    let times = ints(&[1_709_251_200_000_000, -1, 99_999_999_999_000_000]);
    let file = parquet(
        &node,
        "times.parquet",
        vec![
            ("id", ints(&[5, 6, 7])),
            ("a", ints(&[50, 60, 70])),
            ("b", texts(&["x", "y", "z"])),
            ("at", times),
        ],
    );
    let said = node.atoll(&[
        "load",
        "--project",
        "lab",
        "--view",
        "state",
        "--file",
        file.to_str().unwrap(),
        "--event-time",
        "at:us",
        "--output",
        "json",
    ]);
    assert_eq!(said.status, Some(1), "a part was refused: {said:?}");
    let loaded: Json =
        serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error} in {said:?}"));
    assert_eq!(
        (&loaded["accepted"], &loaded["rejected"]),
        (&json!(1), &json!(2)),
        "{said:?}"
    );
    let rejects = fs::read_to_string(loaded["rejects"].as_str().unwrap()).unwrap();
    let reasons: Vec<Json> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [json!("EVENT_TIME_TOO_OLD"), json!("EVENT_TIME_IN_FUTURE")],
        "{rejects}"
    );
    assert_eq!(node.row("state", 5)["a"][0], 50);
    check_row(&node);
}

#[test]
fn rows_from_standard_input_that_are_refused_are_told_and_end_with_1() {
    let node = node();
    let rows = concat!(
        r#"{ "id": 2, "event_time": "2024-03-01T10:00:00Z", "a": 2 }"#,
        "\n",
        r#"{ "id": 3, "event_time": "2024-03-01T10:00:00Z", "a": "three" }"#,
        "\n",
        r#"{ "id": 4, "event_time": "2024-03-01T10:00:00Z", "a": 4 }"#,
        "\n",
    );
    let file = node.write_file("rows.jsonl", rows);
    let said = node.atoll(&[
        "write",
        "--project",
        "lab",
        "--view",
        "state",
        "--file",
        file.to_str().unwrap(),
        "--output",
        "json",
    ]);
    said.failed(1, &["row 2", "a", "WRONG_TYPE"]);
    let told: Json = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["accepted"], 2, "{told}");
    assert_eq!(
        [2, 3, 4].map(|id| node.row("state", id)["a"][1].clone()),
        ["PRESENT", "NOT_FOUND", "PRESENT"]
    );
}
