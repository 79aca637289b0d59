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
use proto::reason::Reason;
use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
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
            let within = timeout(headers);
            let answer = self.inner.call(request);
            return match within {
                None => Either::Left(answer),
                Some(within) => Either::Right(Either::Right(Box::pin(ended(within, answer)))),
            };
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

/// The answer of a call that heeds its deadline in nothing else.
async fn ended<E>(within: Duration, answer: impl Future<Output = Answered<E>>) -> Answered<E> {
    let late = || {
        let message = "the deadline passed before the call was done; it may still be carried out";
        Ok(refused(Failure::new(Reason::Deadline, message)))
    };
    tokio::time::timeout(within, answer)
        .await
        .unwrap_or_else(|_| late())
}

async fn work<E>(
    gate: Arc<Gate>,
    permit: Permit,
    answer: impl Future<Output = Answered<E>>,
) -> Answered<E> {
    let answer = match gate.work(&permit, answer).await {
        Ok(answer) => answer?,
        Err(failure) => return Ok(refused(failure)),
    };
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
