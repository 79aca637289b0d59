//! The metrics that dashboards and alerts name.

use super::{client, process::Node};
use serde_json::json;

#[test]
fn metrics_have_the_names_that_dashboards_use() {
    let node = Node::start();
    node.apply(
        "
project: lab
entities: [{ name: thing, keys: [{ name: id, type: int64 }] }]
views: [{ name: state, entity: thing, features: [{ name: a, type: int64, default: 1 }] }]
",
    );
    node.write("state", json!([{ "id": 1, "a": 5 }]));
    let lookup = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [1, 2] } });
    node.posted("/v1/lookup", &lookup);
    let (status, text) = client::get(node.http(), "/metrics").unwrap();
    assert_eq!(status, 200);
    for line in [
        r#"atoll_requests_total{method="lookup",code="OK"} 1"#,
        r#"atoll_lookup_values_total{status="PRESENT"} 1"#,
        r#"atoll_lookup_values_total{status="NOT_FOUND"} 1"#,
        r#"atoll_lookup_duration_seconds_count{project="lab",service=""} 1"#,
        "atoll_write_duration_seconds_count",
        "atoll_lookup_rows_count",
        "atoll_lookup_defaults_total",
        r#"atoll_lookup_hedges_total{result="won"} 0"#,
        "atoll_write_rows_total",
        r#"atoll_store_bytes{kind="live"}"#,
        "atoll_store_index_bytes ",
        r#"atoll_store_read_total{tier="memory"} 1"#,
        r#"atoll_store_read_total{tier="disk"} 0"#,
        r#"atoll_store_read_total{tier="absent"} "#,
        r#"atoll_store_io_bytes_total{op="read"} "#,
        r#"atoll_store_io_bytes_total{op="write"} "#,
        "atoll_store_compaction_bytes_total 0",
        r#"atoll_catch_up_bytes_total{way="snapshot"} 0"#,
        r#"atoll_raft_is_leader{group="global"} 1"#,
        r#"atoll_raft_is_leader{group="region local"} 1"#,
        r#"atoll_raft_revision{group="global"} "#,
        r#"atoll_shard_role{role="primary"} 68"#,
        r#"atoll_shard_role{role="stopped"} 0"#,
        "atoll_in_sync_copies 1",
        r#"atoll_replication_staleness_seconds{origin="local"} "#,
        "# TYPE atoll_replication_link_state gauge",
        "atoll_replication_outbox_bytes 0",
        "atoll_build_info",
    ] {
        let stands = text.lines().any(|own| own.starts_with(line));
        assert!(stands, "no line begins with {line}\n{text}");
    }
}

#[test]
fn ages_of_what_is_served_and_reasons_of_what_is_not_taken_are_counted() {
    let node = Node::start();
    node.apply(
        "
project: lab
entities: [{ name: thing, keys: [{ name: id, type: int64 }] }]
views: [{ name: state, entity: thing, features: [{ name: a, type: int64 }] }]
",
    );
    let old = json!([{ "id": 1, "a": 5, "event_time": "2020-01-01T00:00:00Z" }]);
    node.write("state", old);
    let rows = json!([
        { "id": 2, "a": 5, "event_time": "2200-01-01T00:00:00Z" },
        { "id": 3, "a": 6, "event_time": "2200-01-01T00:00:00Z" },
    ]);
    let write = json!({ "project": "lab", "view": "state", "rows": rows });
    assert_eq!(
        node.posted("/v1/write", &write)["rejected"][0]["reason"],
        "EVENT_TIME_IN_FUTURE"
    );
    let lookup = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [1] } });
    // One in eight lookups tells, the first of them.
    for _ in 0..9 {
        node.posted("/v1/lookup", &lookup);
    }
    let (_, text) = client::get(node.http(), "/metrics").unwrap();
    for line in [
        r#"atoll_ingest_rejected_total{reason="EVENT_TIME_IN_FUTURE"} 2"#,
        r#"atoll_served_value_age_seconds_count{view="state"} 2"#,
        // Older than the largest bound, a month.
        r#"atoll_served_value_age_seconds_bucket{le="2592000.0",view="state"} 0"#,
    ] {
        assert!(
            text.lines().any(|own| own == line),
            "no line {line}\n{text}"
        );
    }
}
