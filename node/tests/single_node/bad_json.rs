//! Bodies that are no JSON, or not the JSON that a call takes.

use super::{
    bad_requests::World,
    client::{check_refused, post},
};
use serde_json::json;

#[test]
fn malformed_json_is_told_by_line_and_column() {
    let world = World::new();
    let send = |path: &str, body: &str| post(world.node.http(), path, body).unwrap();
    for path in [
        "/v1/lookup",
        "/v1/write",
        "/v1/delete",
        "/v1/registry/plan",
        "/v1/registry/apply",
    ] {
        let (status, answer) = send(path, "{\n  ,\n}");
        check_refused(
            (status, &answer),
            400,
            "INVALID_REQUEST",
            &["JSON", "line 2", "column"],
        );
        let (status, answer) = send(path, "");
        check_refused((status, &answer), 400, "INVALID_REQUEST", &["JSON"]);
        let (status, answer) = send(path, "{\n  \"projekt\": \"lab\"\n}");
        check_refused(
            (status, &answer),
            400,
            "INVALID_REQUEST",
            &["projekt", "line 2"],
        );
    }
    let (status, answer) = send(
        "/v1/write",
        r#"{ "project": "lab", "view": "state", "rows": [{ "id": 1, "id": 2 }] }"#,
    );
    check_refused((status, &answer), 400, "INVALID_REQUEST", &["id", "twice"]);
    let (status, answer) = send("/v1/lookups", "{}");
    check_refused((status, &answer), 404, "INVALID_REQUEST", &["/v1/lookups"]);
    let request =
        json!({ "project": "lab", "view": "state", "rows": [{ "id": 1 }], "request_id": "17" });
    world
        .node
        .refused("/v1/write", &request, 400, "INVALID_REQUEST", &["7"]);
    world.finish();
}
