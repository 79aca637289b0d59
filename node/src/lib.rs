//! The process and the `atoll` command: settings and components in, a running node or a command's
//! answer out.
//!
//! Drivers live here. They carry out what the pure cores of the other crates decide; a driver that
//! branches on epochs, quorums or freshness has taken a decision that belongs in a core.

pub mod components;
pub mod security;
pub mod settings;

pub mod region_log;

pub mod peer;
pub mod server;

pub mod client;

pub mod cli;
pub mod demo;
pub mod export;
pub mod import;
pub mod load;
pub mod objects;

#[cfg(test)]
#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;
