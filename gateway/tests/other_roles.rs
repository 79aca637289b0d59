//! A process without the role gateway: lookups and writes are sent elsewhere, on every path there is.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use gateway::{
    Clients, Settings,
    access::{Requirement, Right},
    http::FeastSettings,
};
use support::{World, catalog};

const FRAME: &str = r#"{ "customer_id": [], "orders": [] }"#;

/// A body that the endpoint can read.
fn body(path: &str) -> String {
    if path.ends_with("/get-online-features") {
        r#"{ "entities": { "customer_id": [1] }, "features": ["activity:orders"] }"#.to_owned()
    } else if path.ends_with("/push") {
        format!(r#"{{ "push_source_name": "activity", "df": {FRAME} }}"#)
    } else if path.ends_with("/write-to-online-store") {
        format!(r#"{{ "feature_view_name": "activity", "df": {FRAME} }}"#)
    } else if path.ends_with("/lookup") {
        r#"{ "project": "shop", "features": ["activity:orders"], "rows": { "customer_id": [1] } }"#
            .to_owned()
    } else if path.ends_with("/write") {
        r#"{ "project": "shop", "writes": [] }"#.to_owned()
    } else {
        r#"{ "project": "shop", "view": "activity", "keys": [] }"#.to_owned()
    }
}

#[tokio::test]
async fn no_path_of_http_serves_rows_in_a_process_of_another_role() {
    let world = World::with_settings(
        catalog::shop(),
        Settings {
            clients: Clients::SentElsewhere,
            feast: FeastSettings {
                project: Some("shop".to_owned()),
                ..FeastSettings::default()
            },
            ..Settings::default()
        },
    );
    let serves_rows =
        |asks: Requirement| matches!(asks, Requirement::InProject(Right::Read | Right::Write));
    let mut asked = 0;
    for endpoint in gateway::http::endpoints() {
        if !serves_rows(endpoint.requirement) {
            continue;
        }
        asked += 1;
        let path = endpoint.path.replace("{project}", "shop");
        let (status, answer) = world.post(&path, &body(&path)).await;
        assert_eq!(status, 412, "{path}: {answer}");
        let text = answer.to_string();
        assert!(text.contains("NOT_A_GATEWAY"), "{path}: {text}");
    }
    assert_eq!(asked, 9, "lookup, write, delete, and three of Feast twice");
    let (status, _) = world.get("/v1/status").await;
    assert_eq!(status, 200);
}
