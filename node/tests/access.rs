//! I19: no caller touches anything without right. One secured node with real sockets.
//!
//! What is called comes from the schema and from the router themselves: an endpoint that this test has
//! no request for fails it.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "access/cluster.rs"]
mod cluster;
#[path = "access/endpoints.rs"]
mod endpoints;
#[path = "access/join.rs"]
mod join;
#[path = "access/raw.rs"]
mod raw;
#[path = "access/tokens.rs"]
mod tokens;

#[path = "single_node/client.rs"]
#[allow(dead_code, reason = "tests of one node use the rest")]
mod client;
#[path = "single_node/process.rs"]
#[allow(dead_code, reason = "tests of one node use the rest")]
mod process;

#[path = "access/bundle.rs"]
mod bundle;
#[path = "access/certificates.rs"]
mod certificates;
#[path = "access/clients.rs"]
mod clients;
#[path = "access/lab.rs"]
mod lab;
#[path = "access/starts.rs"]
mod starts;
