//! The HTTP edge: JSON for people and for clients without gRPC. Not the hot path.
//!
//! Bodies are turned into the messages of the gRPC edge and go the same way from there.

mod body;
mod cell;
mod error;
mod guarded;
mod lookup;
mod registry;
mod scalar;
pub(crate) mod text;
mod write;

use crate::{
    Gateway, Readiness,
    access::{Caller, Endpoint, Guard, Requirement, Right},
};
pub use axum::serve::Listener;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use body::Body;
use error::HttpFailure;
use guarded::Guarded;
use proto::limits::MESSAGE_BYTES;
use std::{fmt::Debug, future::Future, io, sync::Arc};
use tokio::sync::watch;

type Shared = State<Arc<Gateway>>;

/// The gateway's routes; others of the process can be merged with them.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    let (router, _) = guarded(gateway.guard()).finish();
    router
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES))
        .with_state(Arc::clone(gateway))
}

/// All that the router answers, and what each asks of its callers.
#[must_use]
pub fn endpoints(guard: &Guard) -> Vec<Endpoint> {
    guarded(guard).finish().1
}

fn guarded(guard: &Guard) -> Guarded {
    use Requirement::{Everywhere, InProject, Open};
    use Right::{Define, Read, See, Write};
    Guarded::new(guard)
        .post("/v1/lookup", InProject(Read), look_up)
        .post("/v1/write", InProject(Write), take_write)
        .post("/v1/delete", InProject(Write), take_delete)
        .post("/v1/registry/plan", InProject(See), registry::plan)
        .post_kept("/v1/registry/apply", InProject(Define), registry::apply)
        .get("/v1/registry/history", Everywhere(See), registry::history)
        .get("/v1/registry/projects", InProject(See), registry::projects)
        .get(
            "/v1/registry/projects/{project}",
            InProject(See),
            registry::objects,
        )
        .get(
            "/v1/registry/projects/{project}/{name}",
            InProject(See),
            registry::object,
        )
        .get("/healthz", Open, || async { "alive\n" })
        .get("/readyz", Open, ready)
        // They name projects and services.
        .get("/metrics", Everywhere(See), metrics)
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
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
}

/// Serves connections until `shutdown`, then lets calls in flight end.
pub async fn serve<L>(
    router: Router,
    listener: L,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener,
    L::Addr: Debug,
{
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
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

async fn metrics(State(gateway): Shared) -> Response {
    match gateway.metrics_text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
