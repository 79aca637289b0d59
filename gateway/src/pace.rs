//! How long a request's body may take: a sender that stalls, or sends a byte now and then, must not hold memory, a
//! place among the calls and a connection for ever.

use crate::failure::Failure;
use proto::reason::Reason;
use std::time::Duration;

/// What any body gets; an honest small one takes milliseconds.
pub const AT_LEAST: Duration = Duration::from_secs(10);
/// A body must come at this rate beyond that: the largest one has a little over four minutes.
const BYTES_PER_SECOND: usize = 256 << 10;

/// When a body must have gone on, counted from its start, of which so much has come.
pub const fn allowed(received_bytes: usize) -> Duration {
    AT_LEAST.saturating_add(Duration::from_secs(
        (received_bytes / BYTES_PER_SECOND) as u64,
    ))
}

/// What a sender is told whose body did not go on in time.
pub fn too_slow(received_bytes: usize) -> Failure {
    let message = format!(
        "the body came too slowly: {received_bytes} bytes in {} s; a body gets {} s and one more for each {} KiB",
        allowed(received_bytes).as_secs(),
        AT_LEAST.as_secs(),
        BYTES_PER_SECOND >> 10
    );
    Failure::new(Reason::TooSlow, message)
}
