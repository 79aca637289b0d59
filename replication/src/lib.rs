//! A shard's replicas inside a region (who may append, what is committed, how a replica catches up), and
//! the links that carry its streams between regions.
//!
//! Pure cores: a [`Replica`] is a plain struct whose `step` takes the time, one event and a list for
//! effects. There is no clock, no IO, no randomness and no async runtime in this crate; durability is
//! an event, sending is an effect. A driver holds one [`Replica`] for each shard of its node and
//! carries the effects out in the order in which they were given.
//!
//! Absent on purpose: rows (entries pass through as bytes with a parsed header), the registry,
//! choosing primaries (the placement controller does, by a committed [`Configuration`]), and what
//! carries records between regions (Kafka, QUIC).
//!
//! The rules stand in `docs/decisions/0040-replica-cores.md`; each closes a hole that `tests/model.rs`
//! finds again when the rule is taken out.

pub mod configuration;
pub mod settings;

pub mod entry;
pub mod requests;
pub mod streams;

mod base;
mod log;

pub mod context;
pub mod effect;
pub mod event;
pub mod message;
pub mod remote;
pub mod write;

mod core;
mod follow;

mod backup;
mod idle;
mod joining;
mod primary;
mod reading;
pub mod replica;

pub mod closes;
pub mod token;

pub mod link;

pub mod codec;
pub mod planted;

pub use base::{Base, Recovered};
pub use configuration::{Configuration, Fence, Member, Primary, Proposal};
pub use context::{Budget, Context, Micros, Now};
pub use effect::{Broken, Effect};
pub use entry::{Entry, Mark};
pub use event::{Event, Read};
pub use log::Ticket;
pub use message::Message;
pub use remote::Remote;
pub use replica::{Identity, Replica, RoleName};
