//! Bodies of gRPC, which come in their time or are refused: a call whose message never comes would keep its place
//! inside for as long as its connection lives, and a connection has many calls.

use super::to_status;
use crate::pace::{AT_LEAST, allowed, too_slow};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::{Body, Incoming};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

/// Methods whose callers send messages whenever they like.
const STREAMS: [&str; 3] = [
    "/atoll.v1.FeatureService/WriteStream",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The body of a call, as its method must send it.
pub fn body(path: &str, body: Incoming) -> tonic::body::Body {
    if STREAMS.contains(&path) {
        tonic::body::Body::new(body)
    } else {
        tonic::body::Body::new(Patient::of(body))
    }
}

/// A body that must go on in time.
struct Patient<B> {
    body: B,
    received_bytes: usize,
    /// Since when it is waited for, once it was; most bodies are there when they are asked for.
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> Patient<B> {
    const fn of(body: B) -> Self {
        Self {
            body,
            received_bytes: 0,
            waits: None,
        }
    }

    /// Whether it has come too slowly; if not, the task is woken when it has.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let allowed = allowed(self.received_bytes);
        let (since, until) = self.waits.get_or_insert_with(|| {
            let until = sleep(AT_LEAST);
            (until.deadline() - AT_LEAST, Box::pin(until))
        });
        let deadline = *since + allowed;
        if until.deadline() != deadline {
            until.as_mut().reset(deadline);
        }
        until.as_mut().poll(context).is_ready()
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    let data = frame.data_ref();
                    self.received_bytes += data.map_or(0, Bytes::len);
                }
                Poll::Ready(
                    frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))),
                )
            }
            Poll::Pending if self.is_late(context) => {
                let failure = too_slow(self.received_bytes);
                Poll::Ready(Some(Err(to_status(failure))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use std::{convert::Infallible, time::Duration};
    use tonic_types::StatusExt as _;

    /// What comes of a body whose pieces are so many seconds apart.
    async fn read(pieces: usize, bytes: usize, seconds: u64) -> Result<usize, Status> {
        let piece = move |left: usize| async move {
            let left = left.checked_sub(1)?;
            sleep(Duration::from_secs(seconds)).await;
            let data = Bytes::from(vec![b'x'; bytes]);
            Some((Ok::<_, Infallible>(Frame::data(data)), left))
        };
        let dripping = Box::pin(stream::unfold(pieces, piece));
        let patient = Patient::of(StreamBody::new(dripping));
        patient.collect().await.map(|body| body.to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_refused_and_a_large_one_has_its_time() {
        let refused = read(100, 1, 1).await.unwrap_err();
        let reason = refused
            .get_error_details()
            .error_info()
            .unwrap()
            .reason
            .clone();
        assert_eq!(reason, "TOO_SLOW");
        assert!(refused.message().contains("bytes in 10 s"), "{refused}");
        assert_eq!(read(40, 256 << 10, 1).await.unwrap(), 10 << 20);
        assert_eq!(read(3, 2, 3).await.unwrap(), 6);
    }
}
