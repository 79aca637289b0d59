//! A stream on its way from its origin to the other holders: one [`Outbox`] at the origin's primary,
//! one [`Link`] at each primary that receives it.
//!
//! Pure cores, as a shard's replicas are: a step takes the time, one event and a list for effects. What
//! carries records (Kafka, QUIC) stands behind the events. Nothing is assumed of it but that a stream
//! can be read again: records may be lost, repeated, overtake each other, or vanish for good.
//!
//! - Entry n+1 is taken after entry n, a *start* after what its lineage keeps. Everything else is known
//!   already, or a gap. A link never skips.
//! - [`Link`] decides what becomes of records that arrive, and what may be said of the stream here.
//! - [`Outbox`] decides what is given to the transport, and what again.
//! - [`Echoes`] and the closes make an age that never compares the clocks of two machines.
//! - [`Rebirth`] keeps a new incarnation from closing its streams too early.
//!
//! The rules stand in `docs/decisions/0048-links.md`; each is missed by `tests/links.rs` when taken out.

mod order;

mod echoes;
mod freshness;

mod outbox;
mod rebirth;
mod receiver;

pub use echoes::{Echoes, Said};
pub use freshness::{Covering, passed_on};
pub use outbox::{Audience, Outbox, OutboxEffect, OutboxEvent};
pub use rebirth::{Rebirth, RebirthEffect, RebirthEvent};
pub use receiver::{From, Link, LinkEffect, LinkEvent, LinkState, Obstacle, StreamMark};
