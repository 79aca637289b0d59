//! The HTTP edge: JSON for people and for clients without gRPC. Not the hot path.
//!
//! Bodies are turned into the messages of the gRPC edge and go the same way from there.

mod endpoints;
mod examples;
mod openapi;
mod operation;

mod guarded;
mod serving;

mod body;
mod error;
mod patience;

mod feast;

mod cell;
mod cluster;
mod fixed;
mod lookup;
mod registry;
mod scalar;
pub(crate) mod text;
mod write;

pub use feast::{Compat, FeastSettings};
pub use openapi::document;
pub use serving::serve;
pub(crate) use text::seconds;

use crate::{
    Gateway, Readiness,
    access::{Caller, Endpoint},
    failure::Failure,
};
pub use axum::serve::Listener;
use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use body::Body;
use error::HttpFailure;
use std::sync::Arc;
use tokio::sync::watch;

type Shared = State<Arc<Gateway>>;

/// The gateway's routes; others of the process can be merged with them.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    let mut router = Router::new();
    for operation in endpoints::operations() {
        let path = operation.endpoint.path;
        router = router.route(path, guarded::guarded(gateway, operation));
    }
    router
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(Arc::clone(gateway))
}

/// All that the router answers, and what each asks of its callers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    let operations = endpoints::operations().into_iter();
    operations.map(|operation| operation.endpoint).collect()
}

/// The routes of a process that cannot answer yet: alive, and why it is not ready.
pub fn waiting_router(readiness: watch::Receiver<Readiness>) -> Router {
    let ready = move || {
        let readiness = readiness.clone();
        async move {
            let checked = readiness.borrow().check();
            checked.map(|()| "ready\n").map_err(HttpFailure::from)
        }
    };
    Router::new()
        .route("/healthz", get(fixed::alive))
        .route("/readyz", get(ready))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
}

async fn look_up(
    State(gateway): Shared,
    caller: Caller,
    Body(request): Body<lookup::Request>,
) -> Result<Response, HttpFailure> {
    let answer = lookup::answer(&gateway, &caller, request).await?;
    Ok(Json(answer).into_response())
}

async fn take_write(
    State(gateway): Shared,
    caller: Caller,
    Body(request): Body<write::WriteBody>,
) -> Result<Response, HttpFailure> {
    let answer = write::write(&gateway, &caller, request).await?;
    Ok(Json(answer).into_response())
}

async fn take_delete(
    State(gateway): Shared,
    caller: Caller,
    Body(request): Body<write::DeleteBody>,
) -> Result<Response, HttpFailure> {
    let answer = write::delete(&gateway, &caller, request).await?;
    Ok(Json(answer).into_response())
}

async fn ready(State(gateway): Shared) -> Result<&'static str, HttpFailure> {
    gateway.check_ready()?;
    Ok("ready\n")
}

async fn metrics(State(gateway): Shared) -> Result<Response, HttpFailure> {
    let text = gateway
        .metrics_text()
        .map_err(|_| Failure::internal("the metrics could not be written"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
