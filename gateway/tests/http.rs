//! The HTTP edge end to end: bodies as people write them.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use proto::{id::ShardId, reason::Reason};
use serde_json::{Value, json};
use support::{SECOND, START_MICROS, World, rows::Mood};

async fn ok(world: &World, path: &str, body: Value) -> Value {
    let (status, answer) = world.post(path, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn check_refused(
    world: &World,
    path: &str,
    body: &str,
    status: u16,
    reason: Reason,
    words: &str,
) -> Value {
    let (given, answer) = world.post(path, body).await;
    let error = &answer["error"];
    assert_eq!(
        (given, error["reason"].as_str()),
        (status, Some(reason.as_str())),
        "{answer}"
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(words), "{message:?} lacks {words:?}");
    answer
}

fn lookup_of(features: &[&str], customers: &[i64]) -> Value {
    json!({ "project": "shop", "features": features, "rows": { "customer_id": customers } })
}

#[tokio::test]
async fn every_type_goes_in_and_out_exactly() {
    let world = World::new();
    let row = r#"{"customer_id": 17850, "event_time": "2026-11-20T09:59:59.123456Z", "orders": 9223372036854775807,
        "spend": 0.1, "segment": "päivää", "small": -2147483648, "active": true, "recent": ["a", ""],
        "embedding": ["NaN", 0.1]}"#;
    let body = format!(r#"{{"project": "shop", "view": "activity", "rows": [{row}]}}"#);
    let (status, answer) = world.post("/v1/write", &body).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["rejected"]),
        (200, &json!(1), &json!([])),
        "{answer}"
    );
    assert_eq!(
        (&answer["copies"], &answer["confirmed"]),
        (&json!(2), &json!(["eu"]))
    );
    let features = [
        "orders",
        "spend",
        "segment",
        "small",
        "active",
        "recent",
        "embedding",
    ];
    let features = features.map(|feature| format!("activity:{feature}"));
    let mut request = json!({ "project": "shop", "features": features, "shared": { "customer_id": "17850" }, "event_times": true });
    let answer = ok(&world, "/v1/lookup", request.clone()).await;
    let values: Vec<&Value> = answer["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| &feature["values"][0])
        .collect();
    let expected = json!([
        i64::MAX,
        0.1,
        "päivää",
        i32::MIN,
        true,
        ["a", ""],
        ["NaN", 0.1]
    ]);
    assert_eq!(json!(values), expected);
    let first = &answer["features"][0];
    assert_eq!(
        (&first["shared"], &first["type"], &first["statuses"]),
        (&json!(true), &json!("int64"), &json!(["PRESENT"]))
    );
    assert_eq!(first["event_times"], json!(["2026-11-20T09:59:59.123456Z"]));
    assert_eq!(
        (&answer["rows"], &answer["region"], &answer["revision"]),
        (&json!(0), &json!("eu"), &json!(1))
    );
    assert_eq!(answer["features"][6]["type"], "vector<float32, 2>");
    request["int64_as"] = json!("string");
    let answer = ok(&world, "/v1/lookup", request).await;
    assert_eq!(
        answer["features"][0]["values"],
        json!(["9223372036854775807"])
    );
}

#[tokio::test]
async fn statuses_defaults_and_staleness_are_told() {
    let world = World::new();
    let rows = json!([{ "customer_id": 1, "orders": 4, "spend": null }, { "customer_id": 2, "spend": "Infinity" }]);
    ok(
        &world,
        "/v1/write",
        json!({ "project": "shop", "view": "activity", "rows": rows }),
    )
    .await;
    world.rows.staleness(
        &[
            ("eu", Some(std::time::Duration::from_millis(8))),
            ("ap", None),
        ],
        false,
    );
    let answer = ok(
        &world,
        "/v1/lookup",
        lookup_of(&["activity:orders", "activity:spend"], &[1, 2, 3]),
    )
    .await;
    let (orders, spend) = (&answer["features"][0], &answer["features"][1]);
    assert_eq!(orders["values"], json!([4, 7, 7]));
    assert_eq!(
        orders["statuses"],
        json!(["PRESENT", "NOT_FOUND", "NOT_FOUND"])
    );
    assert_eq!(orders["defaulted"], json!([1, 2]));
    assert_eq!(spend["values"], json!([null, "Infinity", null]));
    assert_eq!(
        spend["statuses"],
        json!(["NULL_VALUE", "PRESENT", "NOT_FOUND"])
    );
    assert_eq!(spend.get("defaulted"), None);
    assert_eq!(
        answer["staleness"],
        json!({ "worst": null, "origins": { "eu": "0.008s", "ap": null } })
    );

    world.clock.set(START_MICROS + 3_601 * SECOND);
    world.rows.fail([]);
    let answer = ok(&world, "/v1/lookup", lookup_of(&["activity:orders"], &[1])).await;
    assert_eq!(
        answer["features"][0]["statuses"],
        json!(["OUTSIDE_MAX_AGE"])
    );
    world.rows.fail((0..8).map(ShardId));
    let answer = ok(&world, "/v1/lookup", lookup_of(&["activity:orders"], &[1])).await;
    assert_eq!(
        (
            &answer["features"][0]["statuses"],
            &answer["features"][0]["values"]
        ),
        (&json!(["UNAVAILABLE"]), &json!([null]))
    );
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_rejected_and_the_others_written() {
    let world = World::new();
    let rows = json!([
        { "customer_id": 1, "orders": 1 },
        { "customer_id": "x", "orders": 1 },
        { "orders": 1 },
        { "customer_id": 4, "orders": 1.5 },
        { "customer_id": 5, "order": 1 },
        { "customer_id": 6, "orders": 1, "event_time": "soon" },
        { "customer_id": 7, "orders": 1, "event_time": "1969-12-31T23:59:59Z" },
        { "customer_id": 8, "orders": 1, "event_time": "2026-11-21T10:00:00Z" },
        { "customer_id": 9, "orders": 9 },
    ]);
    let answer = ok(
        &world,
        "/v1/write",
        json!({ "project": "shop", "view": "activity", "rows": rows }),
    )
    .await;
    assert_eq!(answer["accepted"], 2);
    let rejected: Vec<Value> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!([row["row"], row["reason"], row["field"]]))
        .collect();
    let expected = json!([
        [1, "WRONG_TYPE", "customer_id"],
        [2, "MISSING_KEY", "customer_id"],
        [3, "WRONG_TYPE", "orders"],
        [4, "UNKNOWN_FEATURE", "order"],
        [5, "WRONG_TYPE", "event_time"],
        [6, "EVENT_TIME_TOO_OLD", "event_time"],
        [7, "EVENT_TIME_IN_FUTURE", "event_time"],
    ]);
    assert_eq!(json!(rejected), expected);
    assert!(
        answer["rejected"][3]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean orders?")
    );
    assert_eq!(world.rows.count(), 2);
}

#[tokio::test]
async fn several_views_are_written_at_once_and_unknown_rows_are_numbered_over_all() {
    let world = World::new();
    let body = json!({ "project": "shop", "request_id": "01a1ee32-337b-7fff-bfff-ffffffffffff", "ack": "one_other", "writes": [
        { "view": "activity", "rows": [{ "customer_id": 1, "orders": 1 }, { "customer_id": 2, "orders": false }] },
        { "view": "popularity@1", "rows": [{ "item": "a", "code": "AQI=", "seen": "2026-11-20T10:00:00+01:00" }] },
    ] });
    let answer = ok(&world, "/v1/write", body.clone()).await;
    assert_eq!(
        (&answer["accepted"], &answer["request_id"]),
        (&json!(2), &body["request_id"])
    );
    assert_eq!(
        (
            &answer["rejected"][0]["write"],
            &answer["rejected"][0]["row"]
        ),
        (&json!(0), &json!(1))
    );
    let request = json!({ "project": "shop", "features": ["popularity:code", "popularity:seen"], "rows": { "item": ["a"] } });
    let answer = ok(&world, "/v1/lookup", request).await;
    assert_eq!(answer["features"][0]["values"], json!(["AQI="]));
    assert_eq!(
        answer["features"][1]["values"],
        json!(["2026-11-20T09:00:00Z"])
    );
    world.rows.mood(Mood::Silent);
    let answer = ok(&world, "/v1/write", body).await;
    assert_eq!(answer["unknown"], json!([0, 2]));
}

#[tokio::test]
async fn a_row_is_deleted() {
    let world = World::new();
    ok(&world, "/v1/write", json!({ "project": "shop", "view": "activity", "rows": [{ "customer_id": 1, "orders": 4 }] })).await;
    world.clock.set(START_MICROS + 1);
    let keys = json!([{ "customer_id": 1 }, { "customer_id": 2, "orders": 1 }]);
    let answer = ok(
        &world,
        "/v1/delete",
        json!({ "project": "shop", "view": "activity", "keys": keys, "event_time": null }),
    )
    .await;
    assert_eq!(
        (&answer["accepted"], &answer["rejected"][0]["row"]),
        (&json!(1), &json!(1))
    );
    let mut request = lookup_of(&["activity:orders"], &[1]);
    request["defaults"] = json!(false);
    let answer = ok(&world, "/v1/lookup", request).await;
    assert_eq!(answer["features"][0]["statuses"], json!(["NOT_FOUND"]));
}

#[tokio::test]
async fn bodies_at_fault_are_refused_with_what_to_change() {
    let world = World::new();
    let deadline = r#"{"project": "shop", "service": "feed", "deadline": "soon", "shared": {"customer_id": 1}}"#;
    let cases = [
        (
            "/v1/lookup",
            "{\n \"project\": shop }",
            Reason::InvalidRequest,
            "at line 2 column 13",
        ),
        (
            "/v1/lookup",
            "{}",
            Reason::InvalidRequest,
            "missing field `project`",
        ),
        (
            "/v1/lookup",
            r#"{"project": "shop", "servce": "feed"}"#,
            Reason::InvalidRequest,
            "unknown field `servce`",
        ),
        (
            "/v1/lookup",
            r#"{"project": "shop"}"#,
            Reason::InvalidRequest,
            "either a service or features",
        ),
        (
            "/v1/lookup",
            r#"{"project": "shop", "service": "fed"}"#,
            Reason::UnknownService,
            "did you mean feed?",
        ),
        (
            "/v1/lookup",
            deadline,
            Reason::InvalidRequest,
            "not a duration",
        ),
        (
            "/v1/write",
            r#"{"project": "shop", "view": "activity"}"#,
            Reason::InvalidRequest,
            "a view with its rows",
        ),
        (
            "/v1/write",
            r#"{"project": "shop", "view": "activity", "rows": []}"#,
            Reason::InvalidRequest,
            "no rows",
        ),
        (
            "/v1/delete",
            r#"{"project": "shop", "keys": []}"#,
            Reason::InvalidRequest,
            "either a view or an entity",
        ),
    ];
    for (path, body, reason, words) in cases {
        check_refused(&world, path, body, reason.http_status(), reason, words).await;
    }
}

#[tokio::test]
async fn paths_that_are_none_and_bodies_too_large_are_refused() {
    let world = World::new();
    check_refused(
        &world,
        "/v1/nothing",
        "{}",
        404,
        Reason::InvalidRequest,
        "there is nothing at /v1/nothing",
    )
    .await;
    let long = format!(r#"{{"project": "{}"}}"#, "x".repeat(64 << 20));
    check_refused(
        &world,
        "/v1/write",
        &long,
        400,
        Reason::TooLarge,
        "at most 67108864 bytes",
    )
    .await;
}

#[tokio::test]
async fn keys_at_fault_are_refused_with_their_place() {
    let world = World::new();
    let cases = [
        (
            r#"{"customer_id": [1, 2], "item": ["a"]}"#,
            Reason::UnequalLengths,
            "item has 1 values",
        ),
        (
            r#"{"customer_id": [1]}"#,
            Reason::MissingKey,
            "needs the join key item",
        ),
        (
            r#"{"customer_id": 1, "item": ["a"]}"#,
            Reason::InvalidRequest,
            "rows.customer_id is a list",
        ),
        (
            r#"{"customer_id": [1, null], "item": ["a", "b"]}"#,
            Reason::WrongType,
            "a key cannot be null",
        ),
        (
            r#"{"item": ["a"], "item": ["b"]}"#,
            Reason::InvalidRequest,
            "stands twice",
        ),
        (
            r#"{"customer_id": [1, "x"], "item": ["a", "b"]}"#,
            Reason::WrongType,
            "customer_id is int64",
        ),
    ];
    let mut field = Value::Null;
    for (rows, reason, words) in cases {
        let body =
            format!(r#"{{"project": "shop", "features": ["affinity:bought"], "rows": {rows}}}"#);
        let answer = check_refused(&world, "/v1/lookup", &body, 400, reason, words).await;
        field = answer["error"]["fields"][0]["field"].clone();
    }
    assert_eq!(field, "rows.customer_id[1]");
}

#[tokio::test]
async fn overload_says_when_to_try_again() {
    let world = World::new();
    world.rows.mood(Mood::Refusing(Reason::Overloaded));
    let body = json!({ "project": "shop", "view": "activity", "rows": [{ "customer_id": 1, "orders": 1 }] });
    let answer = check_refused(
        &world,
        "/v1/write",
        &body.to_string(),
        429,
        Reason::Overloaded,
        "nearly full",
    )
    .await;
    assert_eq!(answer["error"]["code"], "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn readiness_and_metrics_are_told() {
    let world = World::new();
    assert_eq!(world.get("/healthz").await.0, 200);
    assert_eq!(world.get("/readyz").await.0, 200);
    world
        .readiness
        .send(gateway::Readiness::NotReady(
            "no cluster yet: atoll init …".into(),
        ))
        .unwrap();
    let (status, text) = world.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains("no cluster yet") && text.contains("NOT_READY"),
        "{text}"
    );

    ok(&world, "/v1/write", json!({ "project": "shop", "view": "activity", "rows": [{ "customer_id": 1, "spend": 1 }] })).await;
    ok(
        &world,
        "/v1/lookup",
        lookup_of(&["activity:orders", "activity:spend"], &[1, 2]),
    )
    .await;
    let (status, text) = world.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "atoll_requests_total{method=\"lookup\",code=\"OK\"} 1",
        "atoll_lookup_values_total{status=\"PRESENT\"} 1",
        "atoll_lookup_values_total{status=\"NOT_FOUND\"} 3",
        "atoll_lookup_defaults_total{view=\"activity\"} 2",
        "atoll_write_rows_total{result=\"accepted\"} 1",
        "atoll_lookup_duration_seconds_count{project=\"shop\",service=\"\"} 1",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(text.contains("atoll_build_info{version="), "{text}");
}

#[tokio::test]
async fn definitions_go_through() {
    let world = World::new();
    let files = json!({ "files": [{ "name": "shop.yaml", "text": "project: shop" }] });
    let plan = ok(&world, "/v1/registry/plan", files.clone()).await;
    assert_eq!(
        (&plan["changes"][0]["action"], &plan["changes"][0]["object"]),
        (&json!("create"), &json!("shop.yaml"))
    );
    assert_eq!(ok(&world, "/v1/registry/apply", files).await["revision"], 2);
    assert_eq!(world.get("/v1/registry/projects/shop/none").await.0, 404);
}

#[tokio::test]
async fn it_listens_where_it_is_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = gateway::http::router(&world.gateway);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(gateway::http::serve(router, listener, async {
        stopped.await.unwrap_or(());
    }));
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("alive\n"),
        "{answer}"
    );
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
