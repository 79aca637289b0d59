//! The `atoll` command: its arguments, and a file for each command.
//!
//! Commands are thin. What they do is in [`crate::client`], [`crate::load`] and [`crate::demo`], or
//! in the node itself; here stand words, tables and exit statuses.

pub mod arguments;
pub mod session;

pub mod failure;
pub mod output;

pub mod consistency;
pub mod key_values;
pub mod lookup_answer;
pub mod write_answer;

pub mod delete;
pub mod get;
pub mod write;

pub mod apply;
pub mod debug;
mod definition_files;
pub mod export;
pub mod import;
pub mod plan;
pub mod registry;

pub mod export_rows;
pub mod load;

pub mod lag;
pub mod node;
pub mod recover;
pub mod region;
pub mod shards;
pub mod status;

pub mod audit;
mod audit_log;
pub mod quota;
pub mod token;

pub mod demo;
pub mod init;
pub mod serve;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod write_tests;
