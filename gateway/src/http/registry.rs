//! `/v1/registry/…`: definitions as JSON.

use super::{body::Body, error::HttpFailure};
use crate::Gateway;
use axum::{
    Json,
    extract::{Path, State},
};
use proto::reason::Reason;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use wire::v1;

type Shared = State<Arc<Gateway>>;
type Answer = Result<Json<Value>, HttpFailure>;

/// One definition file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: String,
    text: String,
}

/// The body of plan and apply.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    files: Vec<File>,
    #[serde(default)]
    prune: bool,
    expect_revision: Option<u64>,
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

pub async fn plan(State(gateway): Shared, Body(body): Body<Files>) -> Answer {
    let request = v1::PlanRequest {
        files: files(body.files),
        prune: body.prune,
    };
    let plan = gateway.registry().plan(request).await?;
    let refusals = plan.refusals.iter().map(|refusal| {
        json!({ "reason": refusal.reason, "field": refusal.field, "message": refusal.message })
    });
    Ok(Json(json!({
        "base_revision": plan.base_revision,
        "changes": changes(&plan.changes),
        "kept": plan.kept,
        "refusals": refusals.collect::<Vec<_>>(),
    })))
}

pub async fn apply(State(gateway): Shared, Body(body): Body<Files>) -> Answer {
    let request = v1::ApplyRequest {
        files: files(body.files),
        prune: body.prune,
        expect_revision: body.expect_revision,
    };
    let applied = gateway.registry().apply(request).await?;
    Ok(Json(
        json!({ "revision": applied.revision, "changes": changes(&applied.changes) }),
    ))
}

pub async fn history(State(gateway): Shared) -> Answer {
    let history = gateway
        .registry()
        .history(v1::HistoryRequest { limit: 0 })
        .await?;
    let entries = history.entries.into_iter().map(|entry| {
        json!({
            "revision": entry.revision,
            "applied_at": super::text::timestamp(entry.applied_at_us),
            "author": entry.author,
            "changes": entry.changes,
        })
    });
    Ok(Json(json!({ "entries": entries.collect::<Vec<_>>() })))
}

pub async fn projects(state: Shared) -> Answer {
    list(state, String::new()).await
}

pub async fn objects(state: Shared, Path(project): Path<String>) -> Answer {
    list(state, project).await
}

async fn list(State(gateway): Shared, project: String) -> Answer {
    let list = gateway
        .registry()
        .list(v1::ListRequest {
            project,
            object: String::new(),
        })
        .await?;
    let objects = list
        .objects
        .iter()
        .map(object_json)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Json(
        json!({ "revision": list.revision, "objects": objects }),
    ))
}

pub async fn object(
    State(gateway): Shared,
    Path((project, name)): Path<(String, String)>,
) -> Answer {
    let request = v1::GetRequest {
        project,
        object: String::new(),
        name,
    };
    let object = gateway.registry().get(request).await?;
    Ok(Json(object_json(&object)?))
}

fn object_json(object: &v1::RegistryObject) -> Result<Value, HttpFailure> {
    let definition: Value = match object.definition.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).map_err(|error| {
            crate::failure::Failure::new(
                Reason::Internal,
                format!("the registry gave a definition that is not JSON: {error}"),
            )
        })?,
    };
    Ok(json!({
        "object": object.object,
        "project": object.project,
        "name": object.name,
        "revision": object.revision,
        "summary": object.summary,
        "definition": definition,
    }))
}

fn changes(changes: &[v1::Change]) -> Vec<Value> {
    let one = |change: &v1::Change| {
        json!({
            "action": change.action().as_str_name().to_lowercase(),
            "project": change.project,
            "object": change.object,
            "field": change.field,
            "from": change.from,
            "to": change.to,
            "breaks_readers": change.breaks_readers,
            "read_by": change.read_by,
            "summary": change.summary,
        })
    };
    changes.iter().map(one).collect()
}
