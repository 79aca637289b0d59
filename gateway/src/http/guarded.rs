//! Routes behind the guard: one cannot be made without saying what it asks of its callers.

use super::error::HttpFailure;
use crate::{
    Gateway,
    access::{Caller, Endpoint, Guard, Kept, Note, Outcome, Refused, Requirement},
};
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    handler::Handler,
    http::request::Parts,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use std::{convert::Infallible, sync::Arc};

/// See the module.
pub struct Guarded {
    router: Router<Arc<Gateway>>,
    endpoints: Vec<Endpoint>,
    guard: Guard,
}

/// What stands before one route.
#[derive(Clone)]
struct Gate {
    guard: Guard,
    endpoint: Endpoint,
}

impl Guarded {
    /// No routes yet.
    pub fn new(guard: &Guard) -> Self {
        Self {
            router: Router::new(),
            endpoints: Vec::new(),
            guard: guard.clone(),
        }
    }

    /// Answers `GET`.
    pub fn get<H, T>(self, path: &'static str, requirement: Requirement, handler: H) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.route("GET", path, (requirement, Kept::Unkept), get(handler))
    }

    /// Answers `POST`.
    pub fn post<H, T>(self, path: &'static str, requirement: Requirement, handler: H) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.route("POST", path, (requirement, Kept::Unkept), post(handler))
    }

    /// Answers `POST`, and leaves a trail.
    pub fn post_kept<H, T>(self, path: &'static str, requirement: Requirement, handler: H) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.route("POST", path, (requirement, Kept::InTrail), post(handler))
    }

    fn route(
        mut self,
        method: &'static str,
        path: &'static str,
        (requirement, kept): (Requirement, Kept),
        answering: MethodRouter<Arc<Gateway>>,
    ) -> Self {
        let endpoint = Endpoint {
            method,
            path,
            requirement,
            kept,
        };
        let gate = Gate {
            guard: self.guard.clone(),
            endpoint,
        };
        self.endpoints.push(endpoint);
        let guarded = answering.route_layer(from_fn_with_state(gate, pass));
        self.router = self.router.route(path, guarded);
        self
    }

    /// The routes, and what each asks for.
    pub fn finish(self) -> (Router<Arc<Gateway>>, Vec<Endpoint>) {
        (self.router, self.endpoints)
    }
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
