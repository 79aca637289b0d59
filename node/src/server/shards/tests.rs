//! Real drivers on disks in memory, connected by real meshes over a network in memory; of the nodes
//! only Raft is left out.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod lineages;
mod links;
mod logs;
mod node;
mod pieces;
mod region;
mod repairs;
mod snapshots;
mod wire;
mod world;
