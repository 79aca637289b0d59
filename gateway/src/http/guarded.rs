//! Routes behind the guard: what an operation asks of its callers stands in the list with it.

use super::{error::HttpFailure, operation::Operation};
use crate::{
    Gateway,
    access::{Caller, Endpoint, Kept, Note, Outcome, Refused},
    admission::Class,
};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use std::{convert::Infallible, sync::Arc};

/// What stands before one route.
#[derive(Clone)]
struct Door {
    gateway: Arc<Gateway>,
    endpoint: Endpoint,
}

/// The route of an operation, with its door before it.
pub fn guarded(gateway: &Arc<Gateway>, operation: Operation) -> MethodRouter<Arc<Gateway>> {
    let door = Door {
        gateway: Arc::clone(gateway),
        endpoint: operation.endpoint,
    };
    operation
        .handler
        .route_layer(from_fn_with_state(door, pass))
}

async fn pass(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Door { gateway, endpoint } = door;
    let guard = gateway.guard();
    let caller = match guard.admit(request.headers(), endpoint.requirement) {
        Ok(caller) => caller,
        Err(Refused { caller, failure }) => {
            if endpoint.kept == Kept::InTrail {
                let outcome = Outcome::from(&failure);
                guard.keep(&endpoint, &caller, &Note::default(), outcome);
            }
            return HttpFailure::from(failure).into_response();
        }
    };
    request.extensions_mut().insert(caller.clone());
    if endpoint.kept == Kept::Unkept {
        return work(&gateway, endpoint, request, next).await;
    }
    let note = Note::blank();
    request.extensions_mut().insert(note.clone());
    let response = next.run(request).await;
    let failure = response.extensions().get::<Outcome>().cloned();
    guard.keep(&endpoint, &caller, &note, failure.unwrap_or(Outcome::Done));
    response
}

/// Runs a call once it is its turn.
async fn work(gateway: &Gateway, endpoint: Endpoint, request: Request, next: Next) -> Response {
    let Some(class) = Class::of(endpoint.load, request.headers()) else {
        return next.run(request).await;
    };
    // The deadline stands in the body, which is not read yet.
    let within = gateway.settings().default_deadline;
    let entered = gateway.gate().enter(class, within).await;
    let permit = match entered {
        Ok(permit) => permit,
        Err(failure) => return HttpFailure::from(failure).into_response(),
    };
    match gateway.gate().work(&permit, next.run(request)).await {
        Ok(answer) => gateway.gate().count(permit, answer),
        Err(failure) => HttpFailure::from(failure).into_response(),
    }
}

/// The caller, as the guard saw it.
impl FromRequestParts<Arc<Gateway>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Where a kept call says what it was asked for.
impl FromRequestParts<Arc<Gateway>> for Note {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
