//! The published JSON Schema says what the reader says: it takes every file that is taken, and
//! refuses whatever a schema can express of what is refused.

use super::{SHOP, parse_yaml};
use crate::registry::schema::json_schema;
use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    jsonschema::validator_for(&json_schema()).unwrap()
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

#[track_caller]
fn check_taken(validator: &Validator, yaml: &str) {
    parse_yaml("taken.yaml", yaml).unwrap();
    for document in documents(yaml) {
        if let Err(fault) = validator.validate(&document) {
            panic!("the schema refuses what is read: {fault} in\n{yaml}");
        }
    }
}

#[track_caller]
fn check_refused(validator: &Validator, yaml: &str) {
    assert!(parse_yaml("refused.yaml", yaml).is_err(), "read: {yaml}");
    let documents = documents(yaml);
    let taken = documents
        .iter()
        .all(|document| validator.is_valid(document));
    assert!(!taken, "the schema takes: {yaml}");
}

/// A view's line, among all else that a file needs.
fn view(line: &str) -> String {
    format!(
        "project: p\nentities: [{{ name: e, keys: [{{ name: k, type: int64 }}] }}]\nviews:\n  - name: v\n    \
         entity: e\n    {line}\n    features: [{{ name: f, type: int64 }}]\n"
    )
}

fn feature(text: &str) -> String {
    view("version: 1").replace("{ name: f, type: int64 }", text)
}

fn service(text: &str) -> String {
    format!("{}services: [{text}]\n", view("version: 1"))
}

#[test]
fn the_published_schema_is_the_one_that_files_are_read_by() {
    let published = include_str!("../../../../docs/reference/definitions.schema.json");
    let present = serde_json::to_string_pretty(&json_schema()).unwrap();
    assert!(
        published.trim_end() == present,
        "docs/reference/definitions.schema.json is to be:\n{present}\n"
    );
}

const EXAMPLES: [(&str, &str); 4] = [
    (
        "articles",
        include_str!("../../../../examples/shop/articles.yaml"),
    ),
    (
        "customers",
        include_str!("../../../../examples/shop/customers.yaml"),
    ),
    (
        "items",
        include_str!("../../../../examples/shop/items.yaml"),
    ),
    (
        "services",
        include_str!("../../../../examples/shop/services.yaml"),
    ),
];

#[test]
fn every_example_validates() {
    let validator = validator();
    for (name, text) in EXAMPLES {
        let head = "# yaml-language-server: $schema=../../docs/reference/definitions.schema.json";
        assert!(text.starts_with(head), "{name} names no schema");
        check_taken(&validator, text);
    }
}

#[test]
fn what_is_read_validates() {
    let validator = validator();
    check_taken(&validator, SHOP);
    for line in [
        "ttl: none",
        "ttl: 1500ms",
        "purge_after: 7d",
        "order_by: write_time",
        "max_late: 1h",
        "regions: all",
        "regions: [eu, us]",
        "elsewhere: cache",
        "owner: somebody",
        "owner: null",
        "description: \"\"",
        "tags: [a, b]",
        "freshness: 10m",
        "version: 65535",
    ] {
        check_taken(&validator, &view(line));
    }
    for text in [
        "{ name: f, type: \"list<string>\", default: [a, b] }",
        "{ name: f, type: \"vector<float16, 2>\", default: [0.5, 1] }",
        "{ name: f, type: float64, default: null }",
        "{ name: f, type: float64, default: \"NaN\" }",
        "{ name: f, type: bool, default: true, deprecated: true, description: x }",
        "{ name: f, type: timestamp, combine: max }",
    ] {
        check_taken(&validator, &feature(text));
    }
    for text in [
        "{ name: s, features: [\"v:*\"] }",
        "{ name: s, features: [\"v@1:f\"], owner: me, tags: [a], description: d }",
        "{ name: s, features: [\"v:*\"], columns: [\"v@1:f\"] }",
    ] {
        check_taken(&validator, &service(text));
    }
}

#[test]
fn what_is_refused_does_not_validate() {
    let validator = validator();
    for line in [
        "tlt: 30d",
        "ttl: 30 days",
        "ttl: 30",
        "purge_after: none",
        "order_by: time",
        "version: 0",
        "version: 65536",
        "version: one",
        "regions: []",
        "regions: some",
        "regions: [Eu]",
        "elsewhere: store",
        "owner: [a]",
        "tags: core",
        "tags: [\"\"]",
        "tags: [a, a]",
    ] {
        check_refused(&validator, &view(line));
    }
    for text in [
        "{ name: F, type: int64 }",
        "{ name: event_time, type: int64 }",
        "{ name: f }",
        "{ type: int64 }",
        "{ name: f, type: int }",
        "{ name: f, type: \"list<list<int64>>\" }",
        "{ name: f, type: \"vector<float64, 3>\" }",
        "{ name: f, type: \"vector<int8, 0>\" }",
        "{ name: f, type: int64, combine: mean }",
        "{ name: f, type: int64, deprecated: 1 }",
        "{ name: f, type: string, default: { a: b } }",
        "",
    ] {
        check_refused(&validator, &feature(text));
    }
    for text in [
        "{ name: s }",
        "{ name: s, features: [] }",
        "{ name: s, features: [\"v\"] }",
        "{ name: s, features: [\"v@0:f\"] }",
        "{ name: s, features: [\"v:f\", \"v:f\"] }",
        "{ name: s, features: [\"v:*\"], columns: [\"v:f\"] }",
        "{ name: s, features: [\"v:*\"], columns: [\"v@1:*\"] }",
    ] {
        check_refused(&validator, &service(text));
    }
    for text in [
        "views: []\n",
        "project: P\n",
        "project: [p]\n",
        "project: p\nentity: []\n",
        "project: p\nentities: [{ name: e, keys: [] }]\n",
        "project: p\nentities: [{ name: e, keys: [{ name: k, type: float64 }] }]\n",
        "project: p\nentities: [{ name: e, keys: [{ name: k, type: int64 }], copies: two }]\n",
        "project: p\nentities: [{ name: e, keys: [{ name: k, type: int64 }], shard_by: [] }]\n",
        "project: p\nentities: [{ name: e, keys: [{ name: k, type: int64 }], shard_by: [k, k] }]\n",
        "[]\n",
    ] {
        check_refused(&validator, text);
    }
}
