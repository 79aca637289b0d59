//! The times and sizes of replication, each with its reason.
//!
//! They are constants: nobody has yet needed other values, and every replica of a shard must agree
//! on what "silent" means.

use crate::context::Micros;
use std::time::Duration;

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

/// A gap of a link that is not filled by then is taken for a loss: a snapshot fills it.
pub const GAP_PATIENCE: Micros = Micros(10_000_000);
/// How often a stream with a gap is read anew: the read itself may have been lost.
pub const GAP_READ_AGAIN: Micros = Micros(3_000_000);
/// How far before the watermark's stamp a stream with a gap is read: clocks of one region differ.
pub const GAP_SLACK: Duration = Duration::from_secs(2);
/// A snapshot that was asked for and did not come is asked for again.
pub const SNAPSHOT_RETRY: Micros = Micros(30_000_000);
/// How often an idle link writes down how far it has read: retention must not pass it by.
pub const POSITION_INTERVAL: Micros = Micros(10_000_000);
/// Bytes that one link handed to its shard's primary and that are not committed: beyond it the
/// transport is told to wait.
pub const LINK_PENDING_BYTES: usize = 8 << 20;
/// Bytes of one stream given to the transport and not confirmed.
pub const LINK_IN_FLIGHT_BYTES: usize = 4 << 20;
/// Bytes of one stream kept in memory until they are confirmed; more is read from the log again.
pub const LINK_WINDOW_BYTES: usize = 8 << 20;
/// Closes of a stream that wait for their entries; younger ones take the place of the last.
pub const LINK_CLOSES_WAITING: usize = 16;
/// A clock that did not rise for this long belongs to a run that ended: it is given back no more.
pub const ECHO_KEPT: Micros = Micros(30_000_000);
