//! The gate before the services of gRPC.

use super::{
    answers::{Answer, AnswerBytes},
    class::Class,
    gate::{Asking, Gate, Permit},
};
use crate::{
    access::of_path,
    failure::Failure,
    grpc::{timeout, to_status},
    service::DEFAULT_DEADLINE,
};
use axum::http::{Request, Response};
use futures::future::{BoxFuture, Either, Ready, ready};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::yield_now;
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt as _};

/// Puts a gate before services.
#[derive(Clone)]
pub(crate) struct AdmissionLayer(pub Arc<Gate>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> AdmissionService<S> {
        AdmissionService {
            gate: Arc::clone(&self.0),
            inner,
        }
    }
}

/// Services behind a gate.
#[derive(Clone)]
pub(crate) struct AdmissionService<S> {
    gate: Arc<Gate>,
    inner: S,
}

type Answered<E> = Result<Response<Body>, E>;

impl<S> Service<Request<Body>> for AdmissionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<
        S::Future,
        Either<Ready<Answered<S::Error>>, BoxFuture<'static, Answered<S::Error>>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let headers = request.headers();
        let load = of_path(request.uri().path()).map(|endpoint| endpoint.load);
        let Some(class) = load.and_then(|load| Class::of(load, headers)) else {
            return Either::Left(self.inner.call(request));
        };
        let within = timeout(headers).unwrap_or(DEFAULT_DEADLINE);
        let gate = Arc::clone(&self.gate);
        Either::Right(match gate.ask(class, within) {
            Asking::Refused(failure) => Either::Left(ready(Ok(refused(failure)))),
            Asking::Inside(permit) => {
                let answer = self.inner.call(request);
                Either::Right(Box::pin(work(gate, permit, answer)))
            }
            Asking::Waits(waiting) => {
                let inner = self.inner.clone();
                Either::Right(Box::pin(async move {
                    match waiting.await {
                        Ok(permit) => work(gate, permit, inner.oneshot(request)).await,
                        Err(failure) => Ok(refused(failure)),
                    }
                }))
            }
        })
    }
}

async fn work<E>(
    gate: Arc<Gate>,
    permit: Permit,
    answer: impl Future<Output = Answered<E>>,
) -> Answered<E> {
    // Connections are read and written before this call is worked on: who is to be refused is told first, and
    // answers do not pile up behind the making of others.
    yield_now().await;
    if let Err(failure) = permit.begin() {
        return Ok(refused(failure));
    }
    let answer = answer.await?;
    let Some(AnswerBytes(bytes)) = answer.extensions().get().copied() else {
        return Ok(answer);
    };
    Ok(answer.map(|body| {
        let body = axum::body::Body::new(body);
        Body::new(Answer::counted(&gate, (bytes, Some(permit)), body))
    }))
}

fn refused(failure: Failure) -> Response<Body> {
    to_status(failure).into_http()
}
