//! The requests that were sent to Feast's own feature server, sent to Atoll: answers are compared field by
//! field with those that were recorded (`deploy/dev/feast/record.sh` records them again).

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use gateway::http::{Compat, FeastSettings};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use support::{
    START_MICROS, World,
    catalog::{catalog, entity, feature, view},
};

const RECORDED: &str = include_str!("feast/answers.jsonl");

/// Answers whose status and form agree and whose words are Atoll's own: Python shows there what it
/// stumbled over inside (an attribute, a position, the order of a set), or the path is none of Feast's.
const OWN_WORDS: &[&str] = &[
    "no key",
    "another key",
    "no rows",
    "a null key",
    "a null key among others",
    "a list for a key",
    "an object for a key",
    "a null event time",
    "a null key, written",
    "a body that is not JSON",
    "a body that ends in a comma",
    "a write that is not JSON",
    "a push that is not JSON",
    "lookups are posted",
    "health is not posted",
    "a path of nobody",
    "nothing to get",
    "writes are posted",
    "pushes are posted",
];

/// Feast's Python server does not look at the ttl (feast-dev/feast#6821); Atoll never serves what is expired.
const EXPIRED: &[&str] = &["an expired row", "an expired row among others"];

/// The views of `deploy/dev/feast/repo/features.py`.
fn world(compat: Compat) -> World {
    let customer = entity(1, "customer", &[("customer_id", "int64")], &[0]);
    let item = entity(2, "item", &[("stock_code", "string")], &[0]);
    let keys = [("customer_id", "int64"), ("stock_code", "string")];
    let pair = entity(3, "customer_item", &keys, &[0]);
    let mut activity = view(
        1,
        "customer_activity",
        &customer,
        1,
        vec![
            feature("orders_30d", "int64"),
            feature("spend_30d", "float64"),
            feature("segment", "string"),
        ],
    );
    activity.ttl = Some(Duration::from_hours(30 * 24));
    let mut popularity = view(
        2,
        "item_popularity",
        &item,
        1,
        vec![
            feature("views_10m", "int64"),
            feature("price", "float32"),
            feature("segment", "string"),
        ],
    );
    popularity.ttl = Some(Duration::from_hours(1));
    let affinity = vec![feature("bought", "int64"), feature("score", "float64")];
    let affinity = view(3, "customer_item_affinity", &pair, 1, affinity);
    let types = [
        ("flag", "bool"),
        ("small", "int32"),
        ("big", "int64"),
        ("single", "float32"),
        ("double", "float64"),
        ("text", "string"),
        ("raw", "bytes"),
        ("seen", "timestamp"),
        ("flags", "list<bool>"),
        ("smalls", "list<int32>"),
        ("bigs", "list<int64>"),
        ("singles", "list<float32>"),
        ("doubles", "list<float64>"),
        ("texts", "list<string>"),
    ];
    let types = types.map(|(name, ty)| feature(name, ty)).to_vec();
    let types = view(4, "every_type", &customer, 1, types);
    let services: &[(&str, &[&str])] = &[
        (
            "recommendations_v1",
            &["customer_activity:*", "item_popularity:views_10m"],
        ),
        (
            "affinities_v1",
            &["customer_item_affinity:*", "customer_activity:orders_30d"],
        ),
        ("types_v1", &["every_type:*"]),
    ];
    let catalog = catalog(1, vec![activity, popularity, affinity, types], services);
    let project = Some("shop".to_owned());
    World::with_feast(catalog, FeastSettings { project, compat })
}

/// `{T-60}` of a request as the time it stands for.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{T-") {
        let (place, after) = after.split_once('}').unwrap();
        let (seconds, form) = place.split_once('|').unwrap_or((place, ""));
        let micros = (seconds.parse::<f64>().unwrap() * 1e6) as u64;
        let hours = if form == "offset" { 2 } else { 0 };
        let at = START_MICROS - micros + hours * 3_600_000_000;
        let time = jiff::Timestamp::from_microsecond(at.try_into().unwrap()).unwrap();
        let time = time.to_string();
        let plain = time.trim_end_matches('Z');
        filled.push_str(before);
        filled.push_str(&match form {
            "" => time.clone(),
            "naive" => plain.to_owned(),
            "space" => plain.replace('T', " "),
            "offset" => format!("{plain}+02:00"),
            other => panic!("no form {other}"),
        });
        rest = after;
    }
    filled + rest
}

/// An answer's columns by name: within a view their order is a Python set's, new in each process.
fn by_name(answer: &Value) -> BTreeMap<String, Value> {
    let names = answer["metadata"]["feature_names"].as_array().unwrap();
    let columns = answer["results"].as_array().unwrap();
    assert_eq!(names.len(), columns.len());
    let columns = names.iter().zip(columns);
    columns
        .map(|(name, column)| (name.as_str().unwrap().to_owned(), column.clone()))
        .collect()
}

/// Times in the answer as they were recorded: from the start of the comparison.
fn relative(mut answer: Value) -> Value {
    let results = answer.get_mut("results").and_then(Value::as_array_mut);
    let Some(results) = results else {
        return answer;
    };
    for result in results {
        for time in result["event_timestamps"].as_array_mut().unwrap() {
            let parsed: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
            let micros = parsed.as_microsecond();
            if micros != 0 {
                let ago = i64::try_from(START_MICROS).unwrap() - micros;
                *time = json!(format!("{{T-{}}}", ago as f64 / 1e6));
            }
        }
    }
    answer
}

fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_object(), theirs.as_object()) {
        (Some(own), Some(other))
            if own.contains_key("results") && other.contains_key("results") =>
        {
            own.len() == other.len() && by_name(ours) == by_name(theirs)
        }
        _ => ours == theirs,
    }
}

async fn send(world: &World, request: &Value) -> (u16, Value) {
    let path = request["path"].as_str().unwrap();
    let text = match &request["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        body => body.to_string(),
    };
    let (status, text) = world
        .exchange(request["method"].as_str().unwrap(), path, &filled(&text))
        .await;
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "text": text }));
    (status, relative(answer))
}

#[tokio::test]
async fn recorded_requests_are_answered_as_feasts_python_server_did() {
    let world = world(Compat::Python);
    let (mut same, mut own) = (0, 0);
    let mut differences = Vec::new();
    for line in RECORDED.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let name = recorded["name"].as_str().unwrap();
        let (status, answer) = send(&world, &recorded).await;
        if u64::from(status) != recorded["status"].as_u64().unwrap() {
            differences.push(format!(
                "{name}: {status} and not {}: {answer}",
                recorded["status"]
            ));
        } else if OWN_WORDS.contains(&name) {
            own += 1;
            assert!(!answer.is_null(), "{name}");
        } else if EXPIRED.contains(&name) {
            own += 1;
            let text = answer.to_string();
            assert!(
                text.contains("OUTSIDE_MAX_AGE") && !text.contains("regular"),
                "{text}"
            );
        } else if is_same(&answer, &recorded["answer"]) {
            same += 1;
        } else {
            differences.push(format!("{name}: {answer} and not {}", recorded["answer"]));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(own, OWN_WORDS.len() + EXPIRED.len());
    assert!(same >= 200, "{same}");
}

#[tokio::test]
async fn the_specification_tells_nulls_ages_and_faults_apart() {
    let world = world(Compat::Spec);
    let frame = json!({
        "customer_id": [1, 2], "orders_30d": [1, null], "spend_30d": [0.5, 1.5],
        "event_timestamp": [filled("{T-10.25}"), filled("{T-3456000}")],
    });
    let body = json!({ "feature_view_name": "customer_activity", "df": frame });
    let (status, text) = world
        .exchange("POST", "/write-to-online-store", &body.to_string())
        .await;
    assert_eq!((status, text.as_str()), (200, "null"));
    let newer =
        json!({ "customer_id": [2], "orders_30d": [null], "event_timestamp": [filled("{T-5}")] });
    let body = json!({ "push_source_name": "customer_activity", "df": newer });
    assert_eq!(
        world
            .exchange("POST", "/feast/shop/push", &body.to_string())
            .await
            .0,
        200
    );

    let features = [
        "customer_activity:orders_30d",
        "customer_activity:spend_30d",
        "customer_activity:segment",
    ];
    let body = json!({ "entities": { "customer_id": [1, 2] }, "features": features });
    let (status, text) = world
        .exchange("POST", "/get-online-features", &body.to_string())
        .await;
    assert_eq!(status, 200, "{text}");
    let columns = by_name(&serde_json::from_str(&text).unwrap());
    assert_eq!(
        columns["orders_30d"]["statuses"],
        json!(["PRESENT", "NULL_VALUE"])
    );
    assert_eq!(
        columns["spend_30d"]["statuses"],
        json!(["PRESENT", "OUTSIDE_MAX_AGE"])
    );
    assert_eq!(
        columns["segment"]["statuses"],
        json!(["NOT_FOUND", "NOT_FOUND"])
    );
    assert_eq!(
        columns["orders_30d"]["event_timestamps"][0],
        "2026-11-20T09:59:49.750Z"
    );
    the_specification_says_what_is_wrong(&world, &features).await;
}

async fn the_specification_says_what_is_wrong(world: &World, features: &[&str]) {
    for (body, words) in [
        (
            json!({ "entities": { "customer_id": ["x"] }, "features": features }),
            "customer_id",
        ),
        (
            json!({ "entities": { "customer_id": [1] }, "features": [] }),
            "No features",
        ),
        (
            json!({ "entities": { "stock_code": ["a"] }, "features": features }),
            "Missing join key",
        ),
    ] {
        let (status, text) = world
            .exchange("POST", "/get-online-features", &body.to_string())
            .await;
        assert!(status == 400 && text.contains(words), "{status} {text}");
    }
    let (status, text) = world
        .exchange(
            "POST",
            "/feast/none/get-online-features",
            "{\"entities\": {}}",
        )
        .await;
    assert!(
        status == 404 && text.contains("UNKNOWN_PROJECT"),
        "{status} {text}"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_or_read_is_said_and_never_a_miss() {
    let world = world(Compat::Spec);
    let frame =
        json!({ "customer_id": [1], "orders_30d": [1], "event_timestamp": [filled("{T-1}")] });
    for to in ["offline", "online_and_offline"] {
        let body = json!({ "push_source_name": "customer_activity", "df": frame, "to": to });
        let (status, text) = world.exchange("POST", "/push", &body.to_string()).await;
        assert!(
            status == 400 && text.contains("no offline store"),
            "{status} {text}"
        );
    }
    let late = json!({ "customer_id": [1], "orders_30d": [1], "event_timestamp": ["2027-11-20T10:00:00Z"] });
    let body = json!({ "push_source_name": "customer_activity", "df": late });
    let (status, text) = world.exchange("POST", "/push", &body.to_string()).await;
    assert!(
        status == 400 && text.contains("EVENT_TIME_IN_FUTURE"),
        "{status} {text}"
    );
    world.rows.fail((0..8).map(proto::id::ShardId));
    let body =
        json!({ "entities": { "customer_id": [1] }, "features": ["customer_activity:orders_30d"] });
    let (status, text) = world
        .exchange("POST", "/get-online-features", &body.to_string())
        .await;
    assert!(
        status == 503 && text.contains("could not be read"),
        "{status} {text}"
    );
}
