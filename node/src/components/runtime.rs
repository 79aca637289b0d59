//! The threads that a process runs its tasks on.

use tokio::runtime::Builder;

/// Tasks that a thread runs before it looks for what came in on its sockets. Tokio's own 61 are made for
/// tasks of a few microseconds: 61 lookups of 500 rows each keep everybody else from being read, or
/// refused, for 50 ms.
const TASKS_BETWEEN_LOOKS: u32 = 8;

/// What a process that serves builds its runtime with.
#[must_use]
pub fn runtime() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().event_interval(TASKS_BETWEEN_LOOKS);
    builder
}
