//! Connections that say nothing: each must say what it speaks in time.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// What a connection gets for its first bytes.
pub const OPENED_WITHIN: Duration = Duration::from_secs(30);
/// By so many bytes it has said which version of HTTP it speaks.
const VERSION_BYTES: usize = 24;

/// A connection that must say what it speaks within [`OPENED_WITHIN`]; servers' own time for heads begins
/// only then.
pub struct Opening<C> {
    connection: C,
    read_bytes: usize,
    until: Pin<Box<Sleep>>,
}

impl<C> Opening<C> {
    /// One that was just accepted.
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            read_bytes: 0,
            until: Box::pin(tokio::time::sleep(OPENED_WITHIN)),
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Opening<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.connection).poll_read(context, buffer);
        if self.read_bytes >= VERSION_BYTES {
            return polled;
        }
        self.read_bytes += buffer.filled().len() - before;
        if polled.is_pending() && self.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Opening<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}
