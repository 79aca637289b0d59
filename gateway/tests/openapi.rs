//! `/openapi.json` is what is served: no more, no less.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use gateway::access::Requirement;
use proto::reason::Reason;
use serde_json::{Value, json};
use support::{World, openapi};

#[tokio::test]
async fn the_document_is_served_and_names_every_route_once() {
    let world = World::new();
    let (status, text) = world.get("/openapi.json").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let endpoints = gateway::http::endpoints();
    let described = document["paths"].as_object().unwrap().values();
    let described: usize = described.map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(described, endpoints.len());
    for endpoint in endpoints {
        let operation = &document["paths"][endpoint.path][endpoint.method.to_lowercase()];
        assert!(operation["operationId"].is_string(), "{}", endpoint.path);
    }
}

/// Who may call stands in the document, as the guard goes by it.
#[test]
fn an_operation_says_what_it_asks_of_its_callers_and_how_it_refuses_others() {
    for endpoint in gateway::http::endpoints() {
        let operation = openapi::operation(endpoint.method, endpoint.path).unwrap();
        let is_open = endpoint.requirement == Requirement::Open;
        let asks = if is_open {
            json!([])
        } else {
            json!([{ "token": [] }])
        };
        assert_eq!(operation["security"], asks, "{}", endpoint.path);
        for status in ["401", "403"] {
            let refusal = &operation["responses"][status];
            assert_eq!(refusal.is_null(), is_open, "{} {status}", endpoint.path);
            if !is_open {
                let schema = &refusal["content"]["application/json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Error");
            }
        }
    }
    let schemes = &gateway::http::document()["components"]["securitySchemes"];
    assert_eq!(schemes["token"]["scheme"], "bearer");
}

#[test]
fn every_reason_is_in_the_document() {
    let document = gateway::http::document();
    let named = &document["components"]["schemas"]["ErrorOfCall"]["properties"]["reason"]["enum"];
    let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(named, &json!(all));
}

#[tokio::test]
async fn what_the_document_names_is_answered() {
    let world = World::new();
    for endpoint in gateway::http::endpoints() {
        let path = endpoint
            .path
            .replace("{project}", "shop")
            .replace("{name}", "activity");
        let (status, text) = match endpoint.method {
            "GET" => world.get(&path).await,
            _ => {
                let (status, answer) = world.post(&path, "{}").await;
                (status, answer.to_string())
            }
        };
        assert!(
            status != 405 && !text.contains("there is nothing at /"),
            "{path}: {text}"
        );
    }
}

/// Routes come from the list alone: nothing else adds one.
#[test]
fn nothing_is_routed_past_the_list() {
    let sources = [
        include_str!("../src/http.rs"),
        include_str!("../src/http/endpoints.rs"),
        include_str!("../../node/src/server/start/edge.rs"),
    ];
    let routes: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter(|line| {
            line.contains(".route(") || line.contains(".merge(") || line.contains(".nest(")
        })
        .map(str::trim)
        .collect();
    let expected = [
        "router = router.route(path, guarded::guarded(gateway, operation));",
        // A process that waits for its cluster.
        ".route(\"/healthz\", get(fixed::alive))",
        ".route(\"/readyz\", get(ready))",
    ];
    assert_eq!(routes, expected);
}

#[test]
fn every_example_is_as_its_schema_says() {
    let mut count = 0;
    let mut check = |content: &Value| {
        let Some(examples) = content["examples"].as_object() else {
            return;
        };
        for example in examples.values() {
            count += 1;
            let faults = openapi::faults(&content["schema"], &example["value"]);
            assert_eq!(faults, Vec::<String>::new(), "{example}");
        }
    };
    for endpoint in gateway::http::endpoints() {
        let operation = openapi::operation(endpoint.method, endpoint.path).unwrap();
        check(&operation["requestBody"]["content"]["application/json"]);
        check(&operation["responses"]["200"]["content"]["application/json"]);
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn an_undocumented_field_or_status_is_found() {
    let told = |sent: &'static str, status: u16, answer: &'static str| {
        std::panic::catch_unwind(|| {
            openapi::check("POST", "/v1/registry/apply", sent, status, answer);
        })
    };
    let (sent, answer) = (r#"{"files": []}"#, r#"{"revision": 1, "changes": []}"#);
    told(sent, 200, answer).unwrap();
    told(sent, 202, answer).unwrap_err();
    told(sent, 200, r#"{"revision": 1, "changes": [], "more": 1}"#).unwrap_err();
    told(sent, 200, r#"{"revision": 1}"#).unwrap_err();
    told(r#"{"files": [], "more": 1}"#, 200, answer).unwrap_err();
    told(sent, 404, r#"{"error": {"code": "NOT_FOUND"}}"#).unwrap_err();
}

#[tokio::test]
async fn the_cluster_is_told() {
    let world = World::new();
    let of = async |path: &str| -> Value {
        let (status, text) = world.get(path).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let status = of("/v1/status").await;
    assert_eq!(
        (&status["cluster_name"], &status["warnings"][0]),
        (&json!("shop-prod"), &json!("1 voter"))
    );
    assert_eq!(of("/v1/shards").await["shards"][0]["committed"], 7);
    let topology = of("/v1/topology").await;
    assert_eq!(topology["regions"][0]["state"], "active");
    assert_eq!(topology["gateways"][0]["node"], "eu-1");
    let lag = of("/v1/lag").await;
    assert_eq!(lag["origins"], json!({ "eu": "0.25s", "us": null }));
    assert_eq!(lag["links"]["us"]["shards"]["replay"], 1);
}
