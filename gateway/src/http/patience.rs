//! Bodies of HTTP, which come in their time or are refused.

use crate::{
    failure::Failure,
    pace::{AT_LEAST, allowed, too_slow},
};
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use proto::{limits::MESSAGE_BYTES, reason::Reason};
use std::pin::pin;
use tokio::time::sleep;

/// A whole body within the limits of size and time.
pub async fn read(mut body: Body) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > MESSAGE_BYTES as u64 {
        return Err(too_large());
    }
    let mut patience = pin!(sleep(AT_LEAST));
    let start = patience.deadline() - AT_LEAST;
    let (mut first, mut rest) = (Bytes::new(), Vec::new());
    let received = |first: &Bytes, rest: &Vec<u8>| first.len() + rest.len();
    loop {
        let so_far = received(&first, &rest);
        patience.as_mut().reset(start + allowed(so_far));
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = patience.as_mut() => return Err(too_slow(so_far)),
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            let message = format!("the body could not be read: {error}");
            Failure::new(Reason::InvalidRequest, message)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if so_far + data.len() > MESSAGE_BYTES {
            return Err(too_large());
        }
        // Most bodies come in one piece, which is then not copied.
        if so_far == 0 {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

fn too_large() -> Failure {
    let message = format!("a body has at most {MESSAGE_BYTES} bytes; split the request");
    Failure::new(Reason::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::{convert::Infallible, time::Duration};

    /// A body whose pieces come so many seconds apart.
    fn dripping(pieces: usize, bytes: usize, seconds: u64) -> Body {
        let piece = move |left: usize| async move {
            let left = left.checked_sub(1)?;
            sleep(Duration::from_secs(seconds)).await;
            Some((Ok::<_, Infallible>(vec![b'x'; bytes]), left))
        };
        Body::from_stream(stream::unfold(pieces, piece))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_refused_and_a_large_one_has_its_time() {
        let refused = read(dripping(100, 1, 1)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::TooSlow);
        assert!(refused.message.contains("bytes in 10 s"), "{refused}");
        let whole = read(dripping(40, 256 << 10, 1)).await.unwrap();
        assert_eq!(whole.len(), 10 << 20);
        assert_eq!(read(dripping(3, 2, 3)).await.unwrap().len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_beyond_the_limit_is_refused_before_it_has_come() {
        let refused = read(dripping(80, 1 << 20, 0)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::TooLarge);
    }
}
