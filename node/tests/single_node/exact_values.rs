//! Values at the edges of their types, exactly and by both ways in and out.

use super::{process::Node, reflection::Client};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::Value;
use serde_json::{Value as Json, json};

const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: exact
    version: 1
    entity: thing
    features:
      - { name: flag, type: bool }
      - { name: small, type: int32 }
      - { name: whole, type: int64 }
      - { name: single, type: float32 }
      - { name: double, type: float64 }
      - { name: text, type: string }
      - { name: blob, type: bytes }
      - { name: moment, type: timestamp }
      - { name: texts, type: list<string> }
      - { name: doubles, type: list<float64> }
      - { name: vector, type: \"vector<float32, 3>\" }
      - { name: bytes_vector, type: \"vector<int8, 2>\" }
";

/// Rows as JSON writes them; what is written is what must be read.
fn rows() -> Vec<Json> {
    let blob = STANDARD.encode([0, 255, 0, 10]);
    vec![
        json!({ "flag": true, "small": i32::MIN, "whole": i64::MIN, "single": "NaN", "double": "NaN", "text": "",
            "blob": "", "moment": "1970-01-01T00:00:00Z", "texts": [], "doubles": [], "vector": [0.0, -1.5, 3.0e38],
            "bytes_vector": [-128, 127] }),
        json!({ "flag": false, "small": i32::MAX, "whole": i64::MAX, "single": "Infinity", "double": "-Infinity",
            "text": "\u{0}\u{1F600}\"\\\n", "blob": blob, "moment": "2024-02-29T23:59:59.999999Z",
            "texts": ["", "a", ""], "doubles": ["NaN", "Infinity", "-Infinity", -0.0, 0.1], "vector": ["NaN", "Infinity", "-Infinity"],
            "bytes_vector": [0, -1] }),
        json!({ "flag": null, "small": null, "whole": null, "single": null, "double": null, "text": null, "blob": null,
            "moment": null, "texts": null, "doubles": null, "vector": null, "bytes_vector": null }),
        json!({ "flag": true, "small": 0, "whole": 9_007_199_254_740_993_i64, "single": 16_777_216.0, "double": f64::MIN_POSITIVE / 4.0,
            "text": "é", "blob": blob, "moment": "1969-12-31T23:59:59.999999Z", "texts": ["x"], "doubles": [f64::MAX, f64::MIN],
            "vector": [-0.0, 1.0e-45, 0.1], "bytes_vector": [1, 2] }),
        json!({ "flag": true, "small": -1, "whole": -1, "single": -0.0, "double": -0.0, "text": "x", "blob": blob,
            "moment": "9999-12-31T23:59:59.999999Z", "texts": ["x"], "doubles": [1.0], "vector": [0.0, 0.0, 0.0], "bytes_vector": [0, 0] }),
    ]
}

fn check_over_http(node: &Node, written: &[Json]) {
    let ids: Vec<u64> = (0..).take(written.len()).collect();
    for (id, (read, written)) in node.rows("exact", &ids).iter().zip(written).enumerate() {
        for (name, value) in written.as_object().unwrap() {
            let status = if value.is_null() {
                "NULL_VALUE"
            } else {
                "PRESENT"
            };
            // As text: to JSON's own comparison, two zeros are the same number.
            let read = [read[name][0].to_string(), read[name][1].to_string()];
            let expected = if name == "vector" || name == "single" {
                single(value)
            } else {
                value.to_string()
            };
            assert_eq!(read, [expected, format!("\"{status}\"")], "{name} of {id}");
        }
    }
}

/// Numbers of 32 bits are written with as few digits as tell them apart.
fn single(value: &Json) -> String {
    match value {
        Json::Array(items) => format!(
            "[{}]",
            items.iter().map(single).collect::<Vec<_>>().join(",")
        ),
        Json::Number(number) => serde_json::to_string(&(number.as_f64().unwrap() as f32)).unwrap(),
        other => other.to_string(),
    }
}

#[test]
fn values_at_the_edges_of_their_types_are_exact_in_json_and_after_a_kill() {
    let mut node = Node::start();
    node.apply(DEFINITIONS);
    let written = rows();
    let keyed = (0..).zip(&written).map(|(id, row): (u64, &Json)| {
        let mut row = row.clone();
        row["id"] = json!(id);
        row
    });
    node.write("exact", keyed.collect());
    check_over_http(&node, &written);
    node.kill_and_restart();
    check_over_http(&node, &written);
}

#[test]
fn the_commands_write_and_read_the_same_values_as_http() {
    let node = Node::start();
    node.apply(DEFINITIONS);
    let written = rows();
    let lines = (0..).zip(&written).map(|(id, row): (u64, &Json)| {
        let mut row = row.clone();
        row["id"] = json!(id);
        format!("{row}\n")
    });
    let file = node.write_file("rows.jsonl", &lines.collect::<String>());
    node.atoll(&[
        "write",
        "--project",
        "lab",
        "--view",
        "exact",
        "--file",
        file.to_str().unwrap(),
    ])
    .done();
    check_over_http(&node, &written);
    let read = node.atoll(&[
        "get",
        "--project",
        "lab",
        "--features",
        "exact:*",
        "--rows",
        "id=0,1,2,3,4,99",
        "--event-times",
        "--output",
        "json",
    ]);
    let read: Json = serde_json::from_str(&read.done()).unwrap();
    let body = json!({
        "project": "lab", "features": ["exact:*"], "rows": { "id": [0, 1, 2, 3, 4, 99] }, "event_times": true,
    });
    let expected = node.posted("/v1/lookup", &body);
    // As text, for the zeros again.
    assert_eq!(
        read["features"].to_string(),
        expected["features"].to_string()
    );
    assert_eq!(
        (&read["rows"], &read["token"]),
        (&expected["rows"], &expected["token"])
    );
}

const DOUBLES: [f64; 7] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    f64::MIN_POSITIVE / 4.0,
    0.1,
    f64::MAX,
];

/// A float as JSON has it: what has no number is a text.
fn in_json(value: f64) -> Json {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

fn bits_over_grpc(client: &Client, ids: &[u64]) -> Vec<u64> {
    let request = json!({
        "project": "lab", "features": { "names": ["exact:double"] }, "rows": [{ "name": "id", "ints": ids }],
    });
    let answer = client.call("Lookup", &request).unwrap();
    let columns = answer.get_field_by_name("columns").unwrap();
    let column = columns.as_list().unwrap()[0].as_message().unwrap();
    let values = column.get_field_by_name("f64").unwrap();
    let bits = |value: &Value| value.as_f64().unwrap().to_bits();
    values.as_list().unwrap().iter().map(bits).collect()
}

#[test]
fn floats_keep_their_bits_over_grpc_whichever_way_they_were_written() {
    let node = Node::start();
    node.apply(DEFINITIONS);
    let client = Client::of(&node);
    let texts = DOUBLES.map(in_json);
    let ids: Vec<u64> = (0..).take(DOUBLES.len()).collect();
    let request = json!({
        "project": "lab",
        "writes": [{
            "view": "exact", "keys": [{ "name": "id", "ints": ids }],
            "features": [{ "feature": "double", "type": "TYPE_FLOAT64", "f64": texts }],
        }],
    });
    let written = client.called("Write", &request);
    assert_eq!(written["accepted"], DOUBLES.len(), "{written}");
    let others: Vec<u64> = ids.iter().map(|id| id + 100).collect();
    let rows = others.iter().zip(&texts);
    let rows = rows.map(|(id, value)| json!({ "id": id, "double": value }));
    node.write("exact", rows.collect());
    for ids in [&ids, &others] {
        assert_eq!(bits_over_grpc(&client, ids), DOUBLES.map(f64::to_bits));
    }
}

#[test]
fn a_column_over_grpc_tells_values_nulls_and_what_is_left_as_it_is_apart() {
    let node = Node::start();
    node.apply(DEFINITIONS);
    let request = json!({
        "project": "lab",
        "writes": [{
            "view": "exact", "keys": [{ "name": "id", "ints": [1, 2, 3] }],
            "features": [
                { "feature": "whole", "type": "TYPE_INT64", "i64": [i64::MIN, i64::MAX, 0] },
                { "feature": "text", "type": "TYPE_STRING", "strings": ["", "", ""], "cells": STANDARD.encode([1, 2, 0]) },
            ],
        }],
    });
    let written = Client::of(&node).called("Write", &request);
    assert_eq!(written["accepted"], 3, "{written}");
    let read = node.rows("exact", &[1, 2, 3]);
    let read: Json = read
        .iter()
        .map(|row| json!([row["whole"][0], row["text"][0], row["text"][1]]))
        .collect();
    let expected = json!([
        [i64::MIN, "", "PRESENT"],
        [i64::MAX, null, "NULL_VALUE"],
        [0, null, "NOT_FOUND"],
    ]);
    assert_eq!(read, expected);
}
