//! The edge: what a call goes through between its bytes and the replicas.
//!
//! `lookup` and `write` decide what to ask of which shard and what the answer is; `grpc` and `http`
//! speak with callers. Which node holds a shard, and how bytes get there, is not known here: that is
//! behind [`lookup::fetch::Replicas`] and [`write::writer::Writer`]. Listeners, time and randomness are
//! handed in, so the same code serves production and the simulated world.

pub mod access;
pub mod admission;
pub mod edge;
pub mod failure;
pub(crate) use proto::nearby;

pub mod catalog;
mod keys;

pub mod lookup;
pub mod scan;
pub mod write;

pub mod cluster;
mod metrics;
pub mod registry;
mod service;

pub use service::{Clients, Gateway, Parts, Readiness, Settings};

pub mod grpc;
pub mod http;
mod opening;
mod pace;
pub mod slow;
mod taking;
pub mod trace;
