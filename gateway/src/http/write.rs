//! `POST /v1/write` and `POST /v1/delete`.
//!
//! Rows of JSON become columns. A row that cannot be read is set aside with its reason and keeps its
//! number, so the others are written all the same.

mod answer;
pub(super) mod columns;

pub use answer::{Answer, AnswerBody};

use super::{
    body::Object,
    text::{bytes_of, duration_of, micros},
};
use crate::{
    Gateway,
    access::{Caller, Right},
    failure::Failure,
};
use bytes::Bytes;
use columns::{KeyRows, ViewColumns};
use proto::{
    reason::{Reason, Refusal},
    request::{Rejection, RequestId},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc};
use wire::twin::{self, delete_request::What};

/// The body of a write: rows of one view, or several `writes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WriteRequest")]
pub struct WriteBody {
    project: String,
    /// "view" or "view@version".
    view: Option<String>,
    rows: Option<Vec<Row>>,
    /// Several views, instead of `view` and `rows`.
    writes: Option<Vec<RowsOfView>>,
    /// A UUID of version 7, kept over retries; made where it is left out.
    request_id: Option<String>,
    #[serde(default)]
    ack: Ack,
    /// How long to wait, as "200ms"; 5s where it is left out.
    deadline: Option<String>,
    /// What the write follows, as given by an earlier lookup or write.
    token: Option<String>,
    /// For features that combine: the region whose slot is written.
    slot: Option<String>,
}

/// Rows of one view.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RowsOfView {
    /// "view" or "view@version".
    view: String,
    rows: Vec<Row>,
}

/// Join keys, `event_time` and features by name. An absent feature keeps its value, null is a value;
/// without an event time it is now.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Row(#[schemars(with = "BTreeMap<String, Json>")] Object);

/// The body of a deletion: rows of one view, or of all views of an entity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeleteRequest")]
pub struct DeleteBody {
    project: String,
    view: Option<String>,
    entity: Option<String>,
    /// The join keys of each row.
    #[schemars(with = "Vec<BTreeMap<String, Json>>")]
    keys: Vec<Object>,
    /// Null or left out: now. RFC 3339, or microseconds since 1970.
    event_time: Option<Json>,
    /// A UUID of version 7, kept over retries; made where it is left out.
    request_id: Option<String>,
    #[serde(default)]
    ack: Ack,
    /// How long to wait, as "200ms"; 5s where it is left out.
    deadline: Option<String>,
}

/// When a write is answered: once durable in the region that took it, in one other too, or in all.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ack {
    #[default]
    Region,
    OneOther,
    All,
}

impl From<Ack> for i32 {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Region => twin::Ack::Region,
            Ack::OneOther => twin::Ack::OneOther,
            Ack::All => twin::Ack::All,
        }
        .into()
    }
}

/// Takes a write.
pub async fn write(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    body: WriteBody,
) -> Result<Answer, Failure> {
    // Before anything is looked up: what a project has is told to nobody else.
    caller.may(Right::Write, &body.project)?;
    let names_writes = body.writes.is_some();
    let writes = match (body.view, body.rows, body.writes) {
        (Some(view), Some(rows), None) => vec![RowsOfView { view, rows }],
        (None, None, Some(writes)) => writes,
        _ => {
            let message = "give a view with its rows, or writes: a list of views with their rows";
            return Err(Failure::new(Reason::InvalidRequest, message));
        }
    };
    let catalog = gateway.catalog()?;
    let project = catalog.project(&body.project)?;
    let now = i64::try_from(gateway.wall_micros()).unwrap_or(i64::MAX);
    let mut set_aside = Vec::new();
    let mut laid_out = Vec::with_capacity(writes.len());
    for (number, of_view) in (0..).zip(&writes) {
        let view = project.view(&of_view.view)?;
        let mut columns = ViewColumns::new(view, of_view.rows.len(), now);
        for (row, object) in of_view.rows.iter().enumerate() {
            if let Err(refusal) = columns.push(row, &object.0) {
                set_aside.push(rejection(number, row, refusal));
            }
        }
        laid_out.push(columns.finish(of_view.view.clone())?);
    }
    let request = twin::WriteRequest {
        project: body.project,
        request_id: request_id(body.request_id.as_deref())?,
        writes: laid_out,
        ack: body.ack.into(),
        token: bytes_of("token", body.token.as_deref())?.into(),
        slot: body.slot.unwrap_or_default(),
    };
    let deadline = duration_of("deadline", body.deadline.as_deref())?;
    let response = gateway.write(caller, &request, set_aside, deadline).await?;
    Ok(Answer {
        response,
        names_writes,
    })
}

/// Takes a deletion.
pub async fn delete(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    body: DeleteBody,
) -> Result<Answer, Failure> {
    // Before anything is looked up: what a project has is told to nobody else.
    caller.may(Right::Write, &body.project)?;
    let catalog = gateway.catalog()?;
    let project = catalog.project(&body.project)?;
    let (entity, what, views) = match (body.view, body.entity) {
        (Some(view), None) => (
            Arc::clone(&project.view(&view)?.entity),
            What::View(view),
            1,
        ),
        (None, Some(name)) => {
            let entity = Arc::clone(project.entity(&name)?);
            let views = project
                .views
                .values()
                .flatten()
                .filter(|view| view.entity.id == entity.id)
                .count();
            (entity, What::Entity(name), views)
        }
        _ => {
            return Err(Failure::new(
                Reason::InvalidRequest,
                "name either a view or an entity",
            ));
        }
    };
    let mut keys = KeyRows::new(&entity);
    let mut set_aside = Vec::new();
    for (row, object) in body.keys.iter().enumerate() {
        let only_keys = keys.refuse_others(object);
        if let Err(refusal) = keys.push(object).and(only_keys) {
            // An entity's deletion is one write per view; each of them sets the row aside.
            let numbers = 0..u32::try_from(views).expect("views are limited");
            set_aside.extend(numbers.map(|number| rejection(number, row, refusal.clone())));
        }
    }
    let event_time = body.event_time.filter(|time| !time.is_null());
    let event_time = event_time.map(|time| micros(&time)).transpose();
    let request = twin::DeleteRequest {
        project: body.project,
        what: Some(what),
        keys: keys.finish(),
        event_time_us: event_time
            .map_err(|fault| Failure::of_field(Reason::WrongType, "event_time", fault))?,
        request_id: request_id(body.request_id.as_deref())?,
        ack: body.ack.into(),
    };
    let deadline = duration_of("deadline", body.deadline.as_deref())?;
    let response = gateway
        .delete(caller, &request, set_aside, deadline)
        .await?;
    Ok(Answer {
        response,
        names_writes: false,
    })
}

fn rejection(write: u32, row: usize, refusal: Refusal) -> Rejection {
    Rejection {
        write,
        row: u32::try_from(row).unwrap_or(u32::MAX),
        refusal,
    }
}

fn request_id(text: Option<&str>) -> Result<Bytes, Refusal> {
    let Some(text) = text else {
        return Ok(Bytes::new());
    };
    let id: RequestId = text.parse().map_err(|error: proto::request::NotVersion7| {
        Refusal::of_field(Reason::InvalidRequest, "request_id", error.to_string())
    })?;
    Ok(Bytes::copy_from_slice(id.as_bytes()))
}
