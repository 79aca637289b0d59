//! The guard before the services of gRPC: it lets a call in as a [`Caller`], or answers for them.

use super::{
    caller::Caller,
    guard::{Guard, Refused},
    table::{self, Endpoint, Kept},
    trail::{Note, Outcome, TrailEntry},
};
use crate::{failure::Failure, grpc::to_status};
use axum::http::{HeaderMap, Request, Response};
use futures::future::{BoxFuture, Either, ready};
use proto::reason::Reason;
use std::task::{Context, Poll};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Puts a guard before services.
#[derive(Clone)]
pub struct AccessLayer(pub Guard);

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> AccessService<S> {
        AccessService {
            guard: self.0.clone(),
            inner,
        }
    }
}

/// Services behind a guard.
#[derive(Clone)]
pub struct AccessService<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request<Body>> for AccessService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(endpoint) = table::of_path(request.uri().path()) else {
            // As the services would, were they asked.
            let status = Status::unimplemented(format!("there is no {}", request.uri().path()));
            return Either::Right(Box::pin(ready(Ok(status.into_http()))));
        };
        let admitted = self.guard.admit(request.headers(), endpoint.requirement);
        match (admitted, endpoint.kept) {
            (Ok(caller), Kept::Unkept) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            (Ok(caller), Kept::InTrail) => {
                let note = Note::blank();
                let extensions = request.extensions_mut();
                extensions.insert(caller.clone());
                extensions.insert(note.clone());
                let (guard, answer) = (self.guard.clone(), self.inner.call(request));
                Either::Right(Box::pin(async move {
                    let answer = answer.await?;
                    guard.keep(endpoint, &caller, &note, outcome(answer.headers()));
                    Ok(answer)
                }))
            }
            (Err(Refused { caller, failure }), kept) => {
                if kept == Kept::InTrail {
                    let note = Note::default();
                    self.guard
                        .keep(endpoint, &caller, &note, Outcome::from(&failure));
                }
                let answer = to_status(failure).into_http();
                Either::Right(Box::pin(ready(Ok(answer))))
            }
        }
    }
}

impl Guard {
    /// Writes down what was done.
    pub(crate) fn keep(&self, endpoint: &Endpoint, caller: &Caller, note: &Note, outcome: Outcome) {
        let Some(trail) = self.trail() else {
            return;
        };
        trail.keep(TrailEntry {
            at_millis: self.wall_millis(),
            who: caller.author(),
            token: caller.token(),
            call: format!("{} {}", endpoint.method, endpoint.path),
            what: note.read(),
            outcome,
        });
    }
}

/// An answer that is a failure says so in its headers: it has nothing else.
fn outcome(headers: &HeaderMap) -> Outcome {
    use tonic_types::StatusExt as _;
    match Status::from_header_map(headers) {
        Some(status) if status.code() != tonic::Code::Ok => {
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| info.reason.clone());
            Outcome::Refused {
                reason: reason.unwrap_or_else(|| Reason::Internal.as_str().into()),
                message: status.message().into(),
            }
        }
        Some(_) | None => Outcome::Done,
    }
}

impl Caller {
    /// The caller of a request, as the guard left it there.
    #[must_use]
    pub fn asking<T>(request: &tonic::Request<T>) -> Self {
        let extensions = request.extensions();
        extensions.get().cloned().unwrap_or_else(Self::nobody)
    }
}

impl Note {
    /// The note of a request.
    #[must_use]
    pub fn beside<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        refused.failure
    }
}
