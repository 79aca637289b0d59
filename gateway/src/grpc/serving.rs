//! Connections of gRPC: how many there are, and what each may hold.
//!
//! They are served here and not by tonic's own server so that there is a limit to all of it: connections that say
//! nothing, and answers that lie in HTTP/2 unsent.

use super::patience;
use crate::{opening::Opening, taking::Taking};
use axum::http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::Service as HyperService};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tower::Service;

/// Connections at once: each costs some tens of KiB, and slow ones are cheap for who opens them.
const CONNECTIONS: usize = 4_096;
/// What one stream may send before it is read: a whole answer of usual size, and not 64 KiB.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// What HTTP/2 takes of one answer before the socket has taken it: the rest stays where it is counted.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Calls at once on one connection; callers' libraries keep others back.
const CALLS_PER_CONNECTION: u32 = 1_024;
/// How often a silent connection is asked for a sign of life, and how long it has for one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Serves connections until `shutdown`, then lets calls in flight end.
pub(super) async fn serve<S, Connection, Fault>(
    service: S,
    connections: impl Stream<Item = Result<Connection, Fault>>,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    {
        let (mut connections, mut shutdown) = (pin!(connections), pin!(shutdown));
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = connections.next() => accepted,
            };
            let connection = match accepted {
                Some(Ok(connection)) => connection,
                Some(Err(_)) => continue,
                None => break,
            };
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
                tracing::warn!("a connection was closed: there are {CONNECTIONS} already");
                continue;
            };
            let (service, stopping) = (service.clone(), stopping.clone());
            tokio::spawn(async move {
                converse(service, connection, stopping).await;
                drop(permit);
            });
        }
    }
    drop(stopping);
    // Each connection holds a receiver; when the last is gone, so is the last call.
    let _ = stop.send(());
    stop.closed().await;
}

async fn converse<S, Connection>(
    service: S,
    connection: Connection,
    mut stopping: watch::Receiver<()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(SIGN_OF_LIFE)
        .keep_alive_timeout(SIGN_OF_LIFE);
    let connection = TokioIo::new(Opening::new(Taking::new(connection)));
    let mut connection = pin!(builder.serve_connection(connection, Calling(service)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// The services as a connection calls them.
struct Calling<S>(S);

impl<S> HyperService<Request<Incoming>> for Calling<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        let (head, body) = request.into_parts();
        let body = patience::body(head.uri.path(), body);
        // None of the services is ever not ready.
        self.0.clone().call(Request::from_parts(head, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opening::OPENED_WITHIN;
    use axum::http::StatusCode;
    use h2::client::{self, SendRequest};
    use std::io;
    use tokio::{
        io::{AsyncReadExt as _, DuplexStream, duplex},
        sync::Notify,
        task::JoinHandle,
        time::timeout,
    };
    use tokio_stream::iter;
    use tower::service_fn;

    /// A server with one connection, which answers `/now` at once and all else when it is told to.
    struct Lab {
        told: Arc<Notify>,
        stop: Arc<Notify>,
        served: JoinHandle<()>,
    }

    impl Lab {
        fn new() -> (Self, DuplexStream) {
            let (ours, theirs) = duplex(1 << 20);
            let (told, stop) = (Arc::<Notify>::default(), Arc::<Notify>::default());
            let (waits, stopped) = (Arc::clone(&told), Arc::clone(&stop));
            let service = service_fn(move |request: Request<Body>| {
                let (waits, is_now) = (Arc::clone(&waits), request.uri().path() == "/now");
                async move {
                    if !is_now {
                        waits.notified().await;
                    }
                    Ok(Response::new(Body::empty()))
                }
            });
            let connections = iter([Ok::<_, io::Error>(theirs)]).chain(tokio_stream::pending());
            let served = tokio::spawn(async move {
                serve(service, connections, stopped.notified()).await;
            });
            (Self { told, stop, served }, ours)
        }
    }

    async fn speak(connection: DuplexStream) -> SendRequest<axum::body::Bytes> {
        let (calls, connection) = client::handshake(connection).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        calls.ready().await.unwrap()
    }

    fn call(calls: &mut SendRequest<axum::body::Bytes>, path: &str) -> client::ResponseFuture {
        let request = Request::post(format!("http://gateway{path}"));
        let request = request.body(()).unwrap();
        calls.send_request(request, true).unwrap().0
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_holds_up_nobody_and_is_answered_before_the_server_ends() {
        let (mut lab, connection) = Lab::new();
        let mut calls = speak(connection).await;
        let slow = call(&mut calls, "/later");
        assert!(call(&mut calls, "/now").await.is_ok());
        lab.stop.notify_one();
        let ends = timeout(Duration::from_secs(5), &mut lab.served);
        assert!(ends.await.is_err(), "a call is in flight");
        lab.told.notify_one();
        assert_eq!(slow.await.unwrap().status(), StatusCode::OK);
        drop(calls);
        lab.served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed() {
        let (lab, mut connection) = Lab::new();
        let mut said = Vec::new();
        // The server's own greeting, and then the end.
        let early = timeout(OPENED_WITHIN / 2, connection.read_to_end(&mut said));
        assert!(early.await.is_err(), "it may be slow");
        let late = timeout(OPENED_WITHIN, connection.read_to_end(&mut said));
        late.await.expect("it is closed").unwrap();
        lab.stop.notify_one();
        lab.served.await.unwrap();
    }
}
