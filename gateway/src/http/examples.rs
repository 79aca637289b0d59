//! Examples of bodies, as the OpenAPI document shows them. A test holds each to its schema.

pub const LOOKUPS: &[&str] = &[
    r#"{ "project": "shop", "service": "recommendations_v1", "shared": { "customer_id": 17850 },
        "rows": { "stock_code": ["85123A", "71053", "84406B"] }, "max_staleness": "5s", "deadline": "20ms" }"#,
    r#"{ "project": "shop", "features": ["customer_activity:orders_30d", "customer_activity:spend_30d"],
        "rows": { "customer_id": [17850, 1] }, "event_times": true, "defaults": false }"#,
];
pub const LOOKUP_ANSWERS: &[&str] = &[r#"{
    "rows": 3,
    "features": [
        { "name": "customer_activity:orders_30d", "type": "int64", "shared": true, "values": [4],
          "statuses": ["PRESENT"] },
        { "name": "item_popularity:views_10m", "type": "int64", "values": [120, null, 0],
          "statuses": ["PRESENT", "UNAVAILABLE", "NOT_FOUND"], "defaulted": [2] }
    ],
    "region": "eu", "revision": 42, "stale": false,
    "staleness": { "worst": null, "origins": { "eu": "0.008s", "us": "0.412s", "ap": null } },
    "token": "AQ==" }"#];

pub const WRITES: &[&str] = &[
    r#"{ "project": "shop", "view": "customer_activity", "ack": "region", "deadline": "200ms",
        "rows": [{ "customer_id": 17850, "event_time": "2026-11-20T10:00:00Z", "orders_30d": 5, "spend_30d": null }] }"#,
    r#"{ "project": "shop", "request_id": "01936f2e-6f00-7000-8000-000000000000", "writes": [
        { "view": "customer_activity", "rows": [{ "customer_id": 17850, "orders_30d": 6 }] },
        { "view": "item_popularity@2", "rows": [{ "stock_code": "85123A", "views_10m": 3 }] }] }"#,
];
pub const WRITE_ANSWERS: &[&str] = &[r#"{
    "request_id": "01936f2e-6f00-7000-8000-000000000000",
    "accepted": 1, "superseded": 0,
    "rejected": [{ "row": 7, "reason": "EVENT_TIME_IN_FUTURE", "field": "event_time",
        "message": "the event is dated more than 5m ahead" }],
    "unknown": [9],
    "region": "eu", "copies": 2, "confirmed": ["eu"], "token": "AQ==" }"#];

pub const DELETES: &[&str] = &[
    r#"{ "project": "shop", "view": "customer_activity", "keys": [{ "customer_id": 17850 }], "event_time": null }"#,
    r#"{ "project": "shop", "entity": "customer", "keys": [{ "customer_id": 17850 }] }"#,
];
pub const DELETE_ANSWERS: &[&str] = &[r#"{
    "request_id": "01936f2e-6f00-7000-8000-000000000000", "accepted": 1, "superseded": 0, "rejected": [],
    "unknown": [], "region": "eu", "copies": 2, "confirmed": ["eu"], "token": "AQ==" }"#];

pub const PLANS: &[&str] =
    &[r#"{ "files": [{ "name": "shop.yaml", "text": "project: shop\n" }], "prune": false }"#];
pub const PLAN_ANSWERS: &[&str] = &[r#"{
    "base_revision": 41, "breaks_readers": false,
    "changes": [{ "action": "create", "project": "shop", "object": "entity customer", "field": "",
        "from": null, "to": null, "breaks_readers": false, "read_by": [], "summary": "create entity customer" }],
    "kept": [], "refusals": [] }"#];
pub const APPLY_ANSWERS: &[&str] = &[r#"{ "revision": 42, "changes": [] }"#];
pub const HISTORIES: &[&str] = &[
    r#"{ "entries": [{ "revision": 42, "applied_at": "2026-11-20T10:00:00Z",
    "author": "anonymous", "changes": ["create entity customer"] }] }"#,
];
pub const LAGS: &[&str] = &[r#"{
    "region": "eu",
    "origins": { "eu": "0.104s", "us": "0.412s", "ap": null },
    "links": {
        "us": { "shards": { "live": 64 }, "held": [] },
        "ap": { "shards": { "live": 61, "held": 2, "unknown": 1 },
            "held": [{ "obstacle": "view 7 is not known here yet; it is taken once the registry's news arrive",
                "shards": 2 }] }
    },
    "outboxes": [{ "regions": ["eu", "us", "ap"], "shards": 64, "entries": 12, "bytes": 3480 }],
    "left_out": [],
    "nodes": [
        { "node": "eu-1", "reachable": true, "staleness": "0.104s",
            "origins": { "eu": "0.104s", "us": "0.412s", "ap": null } },
        { "node": "eu-2", "reachable": false, "staleness": null, "origins": {} }
    ] }"#];
