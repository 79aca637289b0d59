//! The settings files of a cluster and its nodes.

use super::{Node, Shape};
use std::fmt::Write as _;

/// The region of every node.
pub const REGION: &str = "eu";

/// What `atoll init` is given.
pub fn cluster(shape: &Shape) -> String {
    let Shape { copies, shards, .. } = shape;
    format!(
        "[cluster]\nname = \"chaos\"\nshards = {shards}\n\n\
         [[region]]\nname = \"{REGION}\"\ncopies = {copies}\nmin_in_sync = 1\n"
    )
}

/// What `atoll serve --config` is given.
pub fn node(node: &Node, seeds: &[String]) -> String {
    let mut text = format!("[cluster]\nname = \"chaos\"\nseeds = {seeds:?}\n\n");
    let name = node.name();
    let data = node.data_dir();
    if node.host().disk().is_some() {
        // What a store keeps back is counted in segments.
        text.push_str("[store]\nsegment_bytes = \"4MiB\"\n\n");
    }
    let _ = writeln!(
        text,
        "[node]\nname = \"{name}\"\nregion = \"{REGION}\"\nzone = \"zone-{name}\"\n\
         roles = [\"node\", \"gateway\", \"voter\"]\ndata_dir = {:?}\n\n[listen]",
        data.display().to_string()
    );
    for (place, key) in ["grpc", "http", "peer", "link", "gossip"]
        .iter()
        .enumerate()
    {
        let port = node.port() + place as u16;
        let _ = writeln!(text, "{key} = \"{}:{port}\"", node.address());
    }
    if !node.address().is_loopback() {
        text.push_str("insecure_open = true\n");
    }
    text
}
