//! Connections: how many there are, and how long a caller may take to say what it wants.

use super::fixed;
use crate::{
    opening::{OPENED_WITHIN, Opening},
    taking::Taking,
};
use axum::{Router, serve::Listener};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{fmt::Debug, future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{Semaphore, watch},
    time::timeout,
};

/// Connections at once: each costs some tens of KiB, and slow ones are cheap for who opens them.
const CONNECTIONS: usize = 4_096;
/// What a caller gets for the head of a request, and an idle connection for its next one.
const HEAD_WITHIN: Duration = OPENED_WITHIN;
/// How often a silent connection of HTTP/2 is asked for a sign of life, and how long it has for one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// Calls at once on one connection of HTTP/2.
const CALLS_PER_CONNECTION: u32 = 256;
/// What a connection that is one too many gets to take its answer.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// Serves connections until `shutdown`, then lets calls in flight end.
pub async fn serve<L>(
    router: Router,
    mut listener: L,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener,
    L::Addr: Debug,
{
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let (connection, _) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
            tokio::spawn(turn_away(connection));
            continue;
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        tokio::spawn(async move {
            serve_one(router, connection, stopping).await;
            drop(permit);
        });
    }
    drop((listener, stopping));
    // Each connection holds a receiver; when the last is gone, so is the last call.
    let _ = stop.send(());
    stop.closed().await;
    Ok(())
}

async fn serve_one<C>(router: Router, connection: C, mut stopping: watch::Receiver<()>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SIGN_OF_LIFE)
        .keep_alive_timeout(SIGN_OF_LIFE)
        .max_concurrent_streams(CALLS_PER_CONNECTION);
    let connection = TokioIo::new(Opening::new(Taking::new(connection)));
    let service = TowerToHyperService::new(router);
    let mut served = pin!(builder.serve_connection(connection, service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = stopping.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Says why, rather than letting the caller wait for nothing.
async fn turn_away<C: AsyncWrite + Unpin>(mut connection: C) {
    let goodbye = async {
        connection.write_all(fixed::TOO_MANY_CONNECTIONS).await?;
        connection.shutdown().await
    };
    // Who does not take the answer goes without one.
    let _ = timeout(GOODBYE_WITHIN, goodbye).await;
}
