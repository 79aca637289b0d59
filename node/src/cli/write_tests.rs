//! `atoll write` against a gateway over a real connection.

use super::{
    arguments::{Access, OutputFormat},
    failure::PartRefused,
    output::Output,
    session::Session,
    write::{Ack, WriteArguments, run},
};
use crate::client::{cell::Cell, test_gateway::TestGateway};
use proto::value::Value;
use std::{fs, io::Write as _};
use tempfile::NamedTempFile;

const ENTITY: &str = r#"{"name": "customer", "keys": [{"name": "customer_id", "type": "int64"}]}"#;
const VIEW: &str = r#"{"name": "activity", "entity": "customer", "features": [
    {"name": "orders", "type": "int64"}, {"name": "spend", "type": "float64"}]}"#;

async fn write(gateway: &TestGateway, rows: &str) -> anyhow::Result<()> {
    let mut file = NamedTempFile::new()?;
    file.write_all(rows.as_bytes())?;
    let session = Session {
        gateways: gateway.connect(),
        output: Output::new(OutputFormat::Json, true),
    };
    let arguments = WriteArguments {
        project: "shop".to_owned(),
        view: "activity".to_owned(),
        file: Some(file.path().to_owned()),
        input: None,
        ack: Ack::Region,
        access: Access::default(),
    };
    run(&session, arguments).await
}

fn cell(gateway: &TestGateway, key: &str, feature: &str) -> Option<Cell> {
    gateway.row("activity", &[key])?.cells.get(feature).cloned()
}

#[tokio::test]
async fn a_row_sets_what_it_names_and_null_is_a_value() {
    let gateway = TestGateway::start(ENTITY, VIEW).await;
    let rows = "{\"customer_id\": 7, \"orders\": 5, \"spend\": 1.5, \"event_time\": \"2026-11-20T10:00:00Z\"}\n";
    write(&gateway, rows).await.unwrap();
    let rows = "{\"customer_id\": 7, \"spend\": null, \"event_time\": \"2026-11-20T10:00:01Z\"}\n";
    write(&gateway, rows).await.unwrap();
    assert_eq!(
        cell(&gateway, "7", "orders"),
        Some(Cell::Value(Value::Int64(5)))
    );
    assert_eq!(cell(&gateway, "7", "spend"), Some(Cell::Null));
}

#[tokio::test]
async fn a_refused_row_fails_the_command_and_no_other_row() {
    let gateway = TestGateway::start(ENTITY, VIEW).await;
    let rows = "{\"customer_id\": 1, \"orders\": 1.5, \"event_time\": \"2026-11-20T10:00:00Z\"}\n\
                not json\n\
                {\"customer_id\": 2, \"orders\": 2, \"event_time\": \"2026-11-20T10:00:00Z\"}\n";
    let error = write(&gateway, rows).await.unwrap_err();
    assert!(error.is::<PartRefused>());
    assert_eq!(gateway.count(), 1);
    assert!(cell(&gateway, "2", "orders").is_some());
}

#[tokio::test]
async fn an_unknown_view_is_refused_before_anything_is_sent() {
    let gateway = TestGateway::start(ENTITY, &VIEW.replace("activity", "other")).await;
    let error = write(&gateway, "{}\n").await.unwrap_err();
    assert!(error.to_string().contains("[UNKNOWN_VIEW]"), "{error}");
    assert!(gateway.state.lock().unwrap().request_ids.is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let gateway = TestGateway::start(ENTITY, VIEW).await;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("rows.jsonl");
    assert!(fs::metadata(&missing).is_err());
    let session = Session {
        gateways: gateway.connect(),
        output: Output::new(OutputFormat::Table, true),
    };
    let arguments = WriteArguments {
        project: "shop".to_owned(),
        view: "activity".to_owned(),
        file: Some(missing.clone()),
        input: None,
        ack: Ack::Region,
        access: Access::default(),
    };
    let error = run(&session, arguments).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read {}", missing.display())
    );
}
