//! The HTTP interface of Feast's feature server, so that Feast's clients need no change.
//!
//! Requests name no project: it is the one of the settings, or stands in the path. `docs/reference/feast.md`
//! says where `spec` and `python` differ, and what of Feast is not here.

mod describe;
mod fault;
mod frame;
mod read;
mod time;
mod validate;
mod value;
mod write;

pub(super) use describe::{failures, operations};

use super::error::HttpFailure;
use crate::{
    Gateway,
    access::{Caller, Right},
};
use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use fault::Fault;
use std::sync::Arc;

/// Whose behaviour is shown where Feast's specification and its Python server differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// The specification: a written null is `NULL_VALUE`, types are exact, faults of the caller are 4xx.
    #[default]
    Spec,
    /// The Python server: statuses `PRESENT` and `NOT_FOUND`, its conversions, its statuses of errors.
    Python,
}

/// The settings of this interface.
#[derive(Debug, Clone, Default)]
pub struct FeastSettings {
    /// The project of requests under the root.
    pub project: Option<String>,
    /// See [`Compat`].
    pub compat: Compat,
}

type Shared = State<Arc<Gateway>>;

/// The project of a request, who calls, and how to answer.
#[derive(Debug)]
struct Called {
    project: String,
    caller: Caller,
    compat: Compat,
}

impl Called {
    /// Refuses a caller without the right, as every call of Atoll's does, and then all callers where this
    /// process serves none: before anything is looked up, so that nobody learns what is not theirs.
    fn refusal(&self, gateway: &Gateway, right: Right) -> Option<Response> {
        if let Err(failure) = self.caller.may(right, &self.project) {
            return Some(HttpFailure::from(failure).into_response());
        }
        let served = gateway.clients().check();
        let failure = served.err()?;
        Some(Fault::from(failure).answer(self.compat))
    }
}

impl FromRequestParts<Arc<Gateway>> for Called {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, Response> {
        let settings = &gateway.settings().feast;
        let compat = settings.compat;
        let given = RawPathParams::from_request_parts(parts, gateway).await;
        let given = given.map_err(IntoResponse::into_response)?;
        let in_path = given.iter().find(|(name, _)| *name == "project");
        let in_path = in_path.map(|(_, project)| project.to_owned());
        match in_path.or_else(|| settings.project.clone()) {
            Some(project) => Ok(Self {
                project,
                caller: Caller::of(&parts.extensions),
                compat,
            }),
            None => {
                let message = format!(
                    "requests of Feast name no project: set feast.project in the node's settings, or call \
                     /feast/<project>{}",
                    parts.uri.path()
                );
                Err(Fault::text(StatusCode::NOT_FOUND, message).answer(compat))
            }
        }
    }
}

async fn get_online_features(State(gateway): Shared, called: Called, body: Body) -> Response {
    if let Some(refused) = called.refusal(&gateway, Right::Read) {
        return refused;
    }
    match read::answer(&gateway, &called, body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(fault) => fault.answer(called.compat),
    }
}

async fn push(State(gateway): Shared, called: Called, body: Body) -> Response {
    if let Some(refused) = called.refusal(&gateway, Right::Write) {
        return refused;
    }
    match write::push(&gateway, &called, body).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(fault) => fault.answer(called.compat),
    }
}

async fn write_to_online_store(State(gateway): Shared, called: Called, body: Body) -> Response {
    if let Some(refused) = called.refusal(&gateway, Right::Write) {
        return refused;
    }
    match write::write(&gateway, &called, body).await {
        Ok(()) => Json(()).into_response(),
        Err(fault) => fault.answer(called.compat),
    }
}

async fn health(State(gateway): Shared) -> StatusCode {
    match gateway.check_ready() {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
