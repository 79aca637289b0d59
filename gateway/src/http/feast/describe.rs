//! Feast's endpoints, as the OpenAPI document has them: under the root and under each project.

use super::{get_online_features, health, push, write_to_online_store};
use crate::{
    Gateway,
    access::{
        Endpoint,
        Requirement::{InProject, Open},
        Right::{Read, Write},
    },
    admission::Load,
    http::operation::{About, Content, Fails, Operation, json_of, object, posting, reading, text},
};
use axum::routing::{MethodRouter, get, post};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const READ_BODY: &str = r#"{ "entities": { "customer_id": [17850, 1], "stock_code": ["85123A", "71053"] },
    "features": ["customer_activity:orders_30d", "item_popularity:views_10m"], "full_feature_names": false }"#;
const READ_ANSWER: &str = r#"{ "metadata": { "feature_names": ["customer_id", "orders_30d"] }, "results": [
    { "values": [17850, 1], "statuses": ["PRESENT", "PRESENT"],
      "event_timestamps": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] },
    { "values": [5, null], "statuses": ["PRESENT", "NOT_FOUND"],
      "event_timestamps": ["2026-11-20T10:00:00Z", "1970-01-01T00:00:00Z"] }] }"#;
const PUSH_BODY: &str = r#"{ "push_source_name": "customer_activity", "to": "online", "df": {
    "customer_id": [17850], "orders_30d": [5], "event_timestamp": ["2026-11-20T10:00:00Z"] } }"#;
const WRITE_BODY: &str = r#"{ "feature_view_name": "customer_activity", "df": {
    "customer_id": [17850], "orders_30d": [5], "event_timestamp": ["2026-11-20T10:00:00Z"] } }"#;

/// All of them.
pub fn operations() -> Vec<Operation> {
    let mut all = at(
        [
            "/get-online-features",
            "/push",
            "/write-to-online-store",
            "/health",
        ],
        ["feastRead", "feastPush", "feastWrite", "feastHealth"],
    );
    all.extend(at(
        [
            "/feast/{project}/get-online-features",
            "/feast/{project}/push",
            "/feast/{project}/write-to-online-store",
            "/feast/{project}/health",
        ],
        [
            "feastProjectRead",
            "feastProjectPush",
            "feastProjectWrite",
            "feastProjectHealth",
        ],
    ));
    all
}

/// The four of one root, at these paths and by these ids.
fn at(
    [read, pushed, written, healthy]: [&'static str; 4],
    ids: [&'static str; 4],
) -> Vec<Operation> {
    vec![
        taking(
            posting(read, InProject(Read)).loading(Load::Lookup),
            post(get_online_features),
            ids[0],
            "Feast: features of entities, column by column",
            (
                json_of(read_schema(), &[READ_BODY]),
                json_of(answer_schema(), &[READ_ANSWER]),
            ),
        ),
        taking(
            posting(pushed, InProject(Write)).loading(Load::Write),
            post(push),
            ids[1],
            "Feast: rows of a push source, whose name is the view's",
            (
                json_of(write_schema("push_source_name"), &[PUSH_BODY]),
                text("text/plain"),
            ),
        ),
        taking(
            posting(written, InProject(Write)).loading(Load::Write),
            post(write_to_online_store),
            ids[2],
            "Feast: rows of a feature view",
            (
                json_of(write_schema("feature_view_name"), &[WRITE_BODY]),
                json_of(json!({ "type": "null" }), &[]),
            ),
        ),
        Operation {
            endpoint: reading(healthy, Open),
            handler: get(health),
            about: About {
                id: ids[3],
                tag: "feast",
                summary: "Feast: whether traffic may come",
                takes: None,
                gives: text("text/plain"),
                fails: Fails::AsFeast,
            },
        },
    ]
}

fn taking(
    endpoint: Endpoint,
    handler: MethodRouter<Arc<Gateway>>,
    id: &'static str,
    summary: &'static str,
    (takes, gives): (Content, Content),
) -> Operation {
    Operation {
        endpoint,
        handler,
        about: About {
            id,
            tag: "feast",
            summary,
            takes: Some(takes),
            gives,
            fails: Fails::AsFeast,
        },
    }
}

fn read_schema() -> Value {
    json!({
        "type": "object",
        "required": ["entities"],
        "properties": {
            "entities": { "type": "object", "additionalProperties": { "type": "array" },
                "description": "A list for each join key, of equal lengths" },
            "feature_service": { "type": ["string", "null"] },
            "features": { "type": "array", "items": { "type": "string" },
                "description": "\"view:feature\" or \"view@v2:feature\"" },
            "full_feature_names": { "type": ["boolean", "string", "integer"], "default": false },
            "include_feature_view_version_metadata": { "type": "boolean", "default": false },
        },
        "additionalProperties": true,
    })
}

fn answer_schema() -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let status = json!({ "enum": ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"] });
    let column = object(&[
        ("values", json!({ "type": "array" })),
        ("statuses", json!({ "type": "array", "items": status })),
        ("event_timestamps", texts()),
    ]);
    object(&[
        ("metadata", object(&[("feature_names", texts())])),
        ("results", json!({ "type": "array", "items": column })),
    ])
}

fn write_schema(name: &str) -> Value {
    json!({
        "type": "object",
        "required": [name, "df"],
        "properties": {
            name: { "type": "string" },
            "df": { "type": "object", "additionalProperties": { "type": "array" },
                "description": "Columns of one length: join keys, features, event_timestamp" },
            "to": { "type": "string", "default": "online" },
            "allow_registry_cache": { "type": "boolean", "default": true },
            "transform_on_write": { "type": "boolean", "default": true },
        },
        "additionalProperties": true,
    })
}

/// How Feast's endpoints fail once the caller is let in; `error` is Atoll's own body, of a gateway that
/// does not know its callers yet.
pub fn failures(error: &Value) -> Map<String, Value> {
    let exception = json!({ "type": "string",
        "description": "A message, or an exception of Feast's as JSON: module, class, message" });
    let detail = object(&[
        ("type", json!({ "type": "string" })),
        ("loc", json!({ "type": "array" })),
        ("msg", json!({ "type": "string" })),
        ("input", json!(true)),
    ]);
    let mut detail = detail;
    detail["properties"]["ctx"] = json!({ "type": "object", "additionalProperties": true });
    let body = object(&[("detail", json!({ "type": "array", "items": detail }))]);
    let statuses = [
        (400, "The request is at fault (under python: 500)"),
        (404, "What is named does not exist"),
        (408, "The body came too slowly"),
        (409, "The registry moved on"),
        (
            412,
            "The view is not held in this region, or the process is no gateway",
        ),
        (422, "The body is not of its form"),
        (429, "Too much work; try again"),
        (500, "Names that collide; under python any fault"),
        (503, "Rows cannot be read or written now; try again"),
        (504, "No answer by the deadline"),
    ];
    let answer = |(status, about): (u16, &str)| {
        let schema = match status {
            503 => json!({ "oneOf": [exception, body, error] }),
            _ => json!({ "oneOf": [exception, body] }),
        };
        let content = json!({ "application/json": { "schema": schema } });
        (
            status.to_string(),
            json!({ "description": about, "content": content }),
        )
    };
    statuses.into_iter().map(answer).collect()
}
