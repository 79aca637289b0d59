//! Judges what only real processes show, after the fact and purely: whether every lookup was
//! answered that could be, and how long writes stood still.
//!
//! # Which lookups must be answered
//!
//! A node *serves* from the moment its `/readyz` says so until the signal that kills or freezes it
//! is about to be sent. A lookup is *answerable* when from before it left until after its answer
//! came its gateway served and at most one node of the cluster did not: every shard had two copies in
//! sync before the one went, so a live replica can answer. Such a lookup must come with values, none
//! of them `UNAVAILABLE`, or with `STALE` where it carried a token; and with the values that were
//! written, where the harness knows them.
//!
//! In the first seconds after a node went or came ([`FAILOVER`]) failures are counted and shown, and
//! are no violation: connections break, and shards get new primaries.
//!
//! # The write gap
//!
//! One writer for each shard writes one row over and over, with retries through every gateway. The
//! gap of a shard is the longest time between two of its acknowledgements; that of a round is the
//! longest of any shard. It must stay within [`GAP_LIMIT`].

mod gaps;
mod lookups;
mod timeline;

pub use gaps::{Beat, GAP_LIMIT, Gap, longest_gap};
pub use lookups::{Asked, FAILOVER, Lookups, Outcome, judge};
pub use timeline::{Change, Timeline, When};
