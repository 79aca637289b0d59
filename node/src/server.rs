//! A running node, from its data directory up to its listeners.
//!
//! `start` tells the story; the other modules are its parts, in the order in which it names them.

pub mod data_dir;
pub mod hlc_bound;

mod frames;
mod methods;
mod peers;

mod audits;
mod clocks;
mod confirmations;
mod consensus;
mod diagnosis;
mod enrolment;
mod founding;
mod growth;
mod joining;
mod metadata;
mod registration;
mod rosters;
mod states;

mod global;

mod activation;
mod region;
mod region_logs;
mod regional;
mod repair;
pub mod shards;
mod streams;
mod upkeep;

pub mod gossip;

mod admin;
mod attempts;
mod client_tls;
mod definitions;
mod direct;
mod edge;
mod fetch;
mod guard;
mod reads;
mod registry;
mod remote_writes;
mod replicas;
mod trail;
mod write_codec;
mod writes;

mod listen;
mod metrics;
mod readiness;
mod running;
mod scans;
pub mod single;
mod snapshots;
mod start;

pub use founding::{Founded, InitError, init};
pub use running::Running;
pub use start::{StartError, start, start_single};
