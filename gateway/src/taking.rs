//! Connections that take nothing: what is written to one must be taken in time, or it is given up.
//!
//! A caller of HTTP/1 that asks and never reads would keep its connection and its answer for ever otherwise: nothing
//! asks it for a sign of life, as HTTP/2 does.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// For how long a connection may take nothing at all of what is written to it. Those that are slow only take
/// some of it: what the system holds for a connection goes by how fast that is.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// A connection that must take what is written to it within [`TAKEN_WITHIN`].
pub struct Taking<C> {
    connection: C,
    /// Until when it must take something, while it takes nothing.
    until: Option<Pin<Box<Sleep>>>,
}

impl<C> Taking<C> {
    /// One that was just accepted.
    pub const fn new(connection: C) -> Self {
        Self {
            connection,
            until: None,
        }
    }

    /// What came of writing; an error where nothing was taken for too long.
    fn look<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.until = None;
            return polled;
        }
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(sleep(TAKEN_WITHIN)));
        match until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Taking<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Taking<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write(context, bytes);
        self.look(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.connection).poll_flush(context);
        self.look(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.connection).poll_shutdown(context);
        self.look(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write_vectored(context, slices);
        self.look(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::timeout,
    };

    const ANSWER_BYTES: usize = 1 << 10;

    /// Writes an answer through 64 bytes to who takes a byte every so many seconds.
    async fn written(every: Duration) -> Result<(), io::ErrorKind> {
        let (ours, mut theirs) = duplex(64);
        let reading = tokio::spawn(async move {
            for _ in 0..ANSWER_BYTES {
                sleep(every).await;
                let _ = theirs.read_u8().await;
            }
        });
        let mut connection = Taking::new(ours);
        let written = connection.write_all(&[7; ANSWER_BYTES]).await;
        reading.abort();
        written.map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_and_who_is_slow_is_not() {
        // A thousand bytes, each after half of what one has: hours.
        assert_eq!(written(TAKEN_WITHIN / 2).await, Ok(()));
        assert_eq!(
            written(TAKEN_WITHIN * 2).await,
            Err(io::ErrorKind::TimedOut)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_asked_for_nothing_may_be_silent() {
        let (ours, mut theirs) = duplex(64);
        let mut connection = Taking::new(ours);
        connection.write_all(b"an answer").await.unwrap();
        let silent = timeout(TAKEN_WITHIN * 10, connection.read_u8());
        assert!(silent.await.is_err(), "nobody speaks");
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'x');
    }
}
