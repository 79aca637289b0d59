//! `POST /push` and `POST /write-to-online-store`.
//!
//! A frame is written whole or, where a row of it cannot be read, not at all; Feast knows no rejected rows.

use super::{
    Called, Compat,
    fault::Fault,
    frame::Frame,
    validate::{Flag, Form},
};
use crate::{Gateway, catalog::View, failure::Failure, http::write::columns::ViewColumns};
use axum::{body::Body, http::StatusCode};
use std::sync::Arc;
use wire::twin;

/// Takes a push: the push source's name is the view's.
pub async fn push(gateway: &Arc<Gateway>, called: &Called, body: Body) -> Result<(), Fault> {
    let mut form = Form::read(body).await?;
    let source = form.text("push_source_name");
    let frame = form.object("df");
    form.flag("allow_registry_cache", Flag::Yes);
    let to = form.text_or("to", "online");
    form.flag("transform_on_write", Flag::Yes);
    form.check()?;
    let frame = Frame::read(frame)?;
    check_target(&to)?;
    let view = view(gateway, called, &source).map_err(|_| {
        let message = format!("Unable to find push source '{source}'.");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Fault::feast(status, "PushSourceNotFoundException", message)
    })?;
    store(gateway, called, &view, &frame).await
}

/// Takes a write.
pub async fn write(gateway: &Arc<Gateway>, called: &Called, body: Body) -> Result<(), Fault> {
    let mut form = Form::read(body).await?;
    let name = form.text("feature_view_name");
    let frame = form.object("df");
    form.flag("allow_registry_cache", Flag::Yes);
    form.flag("transform_on_write", Flag::Yes);
    form.check()?;
    let frame = Frame::read(frame)?;
    let view = view(gateway, called, &name).map_err(|_| {
        let message = format!("Can't recognize feast object with a name {name}");
        Fault::feast(
            StatusCode::NOT_FOUND,
            "FeastObjectNotFoundException",
            message,
        )
    })?;
    store(gateway, called, &view, &frame).await
}

/// There is no offline store here, and half of a push would look like all of it.
fn check_target(to: &str) -> Result<(), Fault> {
    match to {
        "online" => Ok(()),
        "offline" | "online_and_offline" => Err(Fault::caller(format!(
            "there is no offline store here: push to \"online\", and write offline rows where they are kept ({to} \
             was asked for)"
        ))),
        other => Err(Fault::caller(format!(
            "{other} is not a supported push format. Please specify one of these ['online', 'offline', \
             'online_and_offline']."
        ))),
    }
}

fn view(gateway: &Gateway, called: &Called, name: &str) -> Result<Arc<View>, Failure> {
    let catalog = gateway.catalog()?;
    Ok(Arc::clone(catalog.project(&called.project)?.view(name)?))
}

async fn store(
    gateway: &Arc<Gateway>,
    called: &Called,
    view: &View,
    frame: &Frame,
) -> Result<(), Fault> {
    if frame.rows() == 0 {
        return Ok(());
    }
    frame.check_columns(view, called.compat)?;
    if called.compat == Compat::Python && frame.is_only_nulls(view) {
        return Ok(());
    }
    let mut columns = ViewColumns::new(view, frame.rows(), 0);
    for (row, object) in frame.objects(view, called.compat)?.iter().enumerate() {
        let pushed = columns.push(row, object);
        pushed.map_err(|refusal| Fault::caller(format!("row {row}: {refusal}")))?;
    }
    let request = twin::WriteRequest {
        project: called.project.clone(),
        writes: vec![columns.finish(format!("{}@{}", view.name, view.version))?],
        ..Default::default()
    };
    let answer = gateway
        .write(&called.caller, &request, Vec::new(), None)
        .await?;
    check_answer(&answer, frame.rows())
}

/// All rows are durable, or the caller must hear of it.
fn check_answer(answer: &twin::WriteResponse, rows: usize) -> Result<(), Fault> {
    if let Some(first) = answer.rejected.first() {
        return Err(Fault::caller(format!(
            "{} of {rows} rows were rejected and the others written; row {}: {} [{}]",
            answer.rejected.len(),
            first.row,
            first.message,
            first.reason
        )));
    }
    if answer.unknown.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} of {rows} rows had no answer by the deadline: write them again, which changes nothing twice",
        answer.unknown.len()
    );
    Err(Fault::text(StatusCode::GATEWAY_TIMEOUT, message))
}
