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
        r#"atoll_catch_up_bytes_total{way="snapshot"} 0"#,
        r#"atoll_raft_is_leader{group="global"} 1"#,
        r#"atoll_raft_is_leader{group="region local"} 1"#,
        r#"atoll_raft_revision{group="global"} "#,
        r#"atoll_shard_role{role="primary"} 68"#,
        r#"atoll_shard_role{role="stopped"} 0"#,
        "atoll_in_sync_copies 1",
        "atoll_build_info",
    ] {
        let stands = text.lines().any(|own| own.starts_with(line));
        assert!(stands, "no line begins with {line}\n{text}");
    }
}
