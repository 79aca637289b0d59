//! `/v1/registry/…`: definitions as JSON.

pub mod schema;

use super::{body::Body, error::HttpFailure};
use crate::{
    Gateway,
    access::{Caller, Note},
    registry::{self, json as form},
};
use axum::{
    Json,
    extract::{Path, State},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use wire::v1;

type Shared = State<Arc<Gateway>>;
type Answer = Result<Json<Value>, HttpFailure>;

/// One definition file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DefinitionFile")]
struct File {
    /// Where it came from, for messages.
    #[serde(default)]
    name: String,
    /// YAML, or JSON, which is YAML.
    text: String,
}

/// The body of plan and apply; `break_readers` is apply's alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DefinitionFiles")]
pub struct Files {
    files: Vec<File>,
    /// Remove what the files of a project leave out.
    #[serde(default)]
    prune: bool,
    /// Refused where the registry has moved on since.
    expect_revision: Option<u64>,
    /// Carry out what breaks readers, too.
    #[serde(default)]
    break_readers: bool,
}

fn files(files: Vec<File>) -> Vec<v1::DefinitionFile> {
    files
        .into_iter()
        .map(|file| v1::DefinitionFile {
            name: file.name,
            text: file.text,
        })
        .collect()
}

pub async fn plan(State(gateway): Shared, caller: Caller, Body(body): Body<Files>) -> Answer {
    let request = v1::PlanRequest {
        files: files(body.files),
        prune: body.prune,
        expect_revision: body.expect_revision,
    };
    let plan = gateway.registry().plan(&caller, request).await?;
    Ok(Json(form::plan(&plan)))
}

pub async fn apply(
    State(gateway): Shared,
    caller: Caller,
    note: Note,
    Body(body): Body<Files>,
) -> Answer {
    let request = v1::ApplyRequest {
        files: files(body.files),
        prune: body.prune,
        expect_revision: body.expect_revision,
        break_readers: body.break_readers,
    };
    note.write(registry::names_of(&request.files));
    let applied = gateway.registry().apply(&caller, request).await?;
    Ok(Json(form::applied(&applied)))
}

pub async fn history(State(gateway): Shared) -> Answer {
    let request = v1::HistoryRequest { limit: 0 };
    let history = gateway.registry().history(request).await?;
    let entries: Vec<Value> = history.entries.iter().map(form::history_entry).collect();
    Ok(Json(json!({ "entries": entries })))
}

pub async fn projects(state: Shared, caller: Caller) -> Answer {
    list(state, caller, String::new()).await
}

pub async fn objects(state: Shared, caller: Caller, Path(project): Path<String>) -> Answer {
    list(state, caller, project).await
}

async fn list(State(gateway): Shared, caller: Caller, project: String) -> Answer {
    let list = gateway
        .registry()
        .list(
            &caller,
            v1::ListRequest {
                project,
                object: String::new(),
                at_revision: None,
            },
        )
        .await?;
    let objects: Vec<Value> = list.objects.iter().map(form::object).collect();
    Ok(Json(
        json!({ "revision": list.revision, "objects": objects }),
    ))
}

pub async fn object(
    State(gateway): Shared,
    caller: Caller,
    Path((project, name)): Path<(String, String)>,
) -> Answer {
    let request = v1::GetRequest {
        project,
        object: String::new(),
        name,
    };
    let object = gateway.registry().get(&caller, request).await?;
    Ok(Json(form::object(&object)))
}
