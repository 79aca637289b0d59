//! The times and sizes of replication, each with its reason.
//!
//! They are constants: nobody has yet needed other values, and every replica of a shard must agree
//! on what "silent" means.

use crate::context::Micros;

/// How often a primary closes its streams and lets its peers hear from it.
pub const CLOSE_INTERVAL: Micros = Micros(250_000);
/// A peer not heard from for this long is silent: four beats.
pub const SILENT_AFTER: Micros = Micros(1_000_000);
/// A peer that answers but makes no progress for this long counts as silent: its disk hangs.
pub const STALLED_AFTER: Micros = Micros(3_000_000);
/// Ticks further apart mean that this process itself stood still, so nobody else is to blame.
pub const OWN_PAUSE: Micros = Micros(500_000);
/// A proposal without an outcome is made again after this: it may have gone to a leader that stands
/// still, while another was elected. A second one that arrives changes nothing.
pub const PROPOSAL_RETRY: Micros = Micros(500_000);
/// A replica that nobody could need for this long may go: a placement that goes back and forth, as one
/// does around a restart, finds its rows where they were.
pub const LEFTOVER_AFTER: Micros = Micros(60_000_000);
/// Repeats of one mismatch within this time are answered once: they come from messages in flight.
pub const REWIND_PAUSE: Micros = Micros(100_000);

/// Bytes sent to one peer and not acknowledged, over all shards; more would only fill its queue.
pub const IN_FLIGHT_BYTES: usize = 16 << 20;
/// Bytes appended on one node and not committed, over all shards; beyond it writes are refused.
pub const PENDING_BYTES: usize = 64 << 20;
/// Bytes of entries in one message: large enough to be efficient, small enough to share a stream.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// Close rounds that wait for promises; older ones are covered by younger ones.
pub const ROUNDS_KEPT: usize = 16;
