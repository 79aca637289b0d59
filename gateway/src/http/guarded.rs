//! Routes behind the guard: what an operation asks of its callers stands in the list with it.

use super::{error::HttpFailure, operation::Operation};
use crate::{
    Gateway,
    access::{Caller, Endpoint, Guard, Kept, Note, Outcome, Refused},
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
struct Gate {
    guard: Guard,
    endpoint: Endpoint,
}

/// The route of an operation, with its gate before it.
pub fn guarded(guard: &Guard, operation: Operation) -> MethodRouter<Arc<Gateway>> {
    let gate = Gate {
        guard: guard.clone(),
        endpoint: operation.endpoint,
    };
    operation
        .handler
        .route_layer(from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Gate { guard, endpoint } = gate;
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
        return next.run(request).await;
    }
    let note = Note::blank();
    request.extensions_mut().insert(note.clone());
    let response = next.run(request).await;
    let failure = response.extensions().get::<Outcome>().cloned();
    guard.keep(&endpoint, &caller, &note, failure.unwrap_or(Outcome::Done));
    response
}

/// The caller, as the gate saw it.
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
