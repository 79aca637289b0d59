//! I19: no caller touches anything without right. One secured node with real sockets.
//!
//! What is called comes from the schema and from the router themselves: an endpoint that this test has
//! no request for fails it.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "access/cluster.rs"]
mod cluster;
#[path = "access/endpoints.rs"]
mod endpoints;
#[path = "access/raw.rs"]
mod raw;
#[path = "access/tokens.rs"]
mod tokens;
