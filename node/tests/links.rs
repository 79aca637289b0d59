//! Three regions of real processes with a real broker each: what is written in one is read in all, late
//! events included, and brokers and nodes that go lose nothing.
//!
//! Skipped, with the reason, where no broker is installed; with `CI=true` it has to be.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod links {
    mod storms;
    mod streams;

    #[path = "../kafka/broker.rs"]
    #[allow(dead_code, reason = "tests of the seam use the rest")]
    mod broker;
    #[path = "../single_node/client.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod client;
    #[path = "../regions/cluster.rs"]
    #[allow(dead_code, reason = "tests of the metadata use the rest")]
    mod cluster;
    #[path = "../single_node/process.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod process;
}
