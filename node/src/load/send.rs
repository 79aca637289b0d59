//! One batch to the cluster: repeated under its request id until every row has an answer.

use crate::client::{
    gateways::{CallError, Gateways},
    request_id,
};
use proto::{reason::Reason, request::RequestId};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wire::v1;

/// How long a batch may take, from first to last repeat.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Of one call.
    pub deadline: Duration,
    /// Of all calls and waits together; a batch that is not done by then ends the load.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(20),
            total: Duration::from_mins(2),
        }
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Sends until each row has its answer. A repeat under the same id gets the first answer, so
/// nothing is done twice; an id that was forgotten meanwhile is replaced.
pub async fn send(
    gateways: &Gateways,
    mut request: v1::WriteRequest,
    patience: Patience,
) -> Result<v1::WriteResponse, CallError> {
    let began = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        let outcome = gateways.write(request.clone(), patience.deadline).await;
        let hint = match outcome {
            Ok(answer) if answer.unknown.is_empty() => return Ok(answer),
            Ok(answer) if began.elapsed() >= patience.total => return Ok(answer),
            Ok(_) => None,
            Err(error) if error.reason() == Some(Reason::RequestIdExpired) => {
                request.request_id = request_id::bytes(request_id::draw());
                None
            }
            Err(error) if !error.is_retryable() || began.elapsed() >= patience.total => {
                return Err(error);
            }
            Err(CallError::Refused(fault)) => fault.retry_after,
            Err(CallError::Unreachable { .. }) => None,
        };
        // A hint says when to ask again, not how often: who is refused every time asks ever less often.
        sleep(hint.map_or(wait, |hint| hint.max(wait)).min(LONGEST_WAIT)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// The request that carries a batch.
#[must_use]
pub fn request(project: &str, rows: v1::ViewRows, id: RequestId) -> v1::WriteRequest {
    v1::WriteRequest {
        project: project.to_owned(),
        request_id: request_id::bytes(id),
        writes: vec![rows],
        ..Default::default()
    }
}
