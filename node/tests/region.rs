//! A region of real processes: what is written through one node is read through every other.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod region {
    mod cluster;
    mod full_disk;
    mod losses;
    mod memory;
    mod observers;
    mod reads;
    mod slow;
    mod writes;

    #[path = "../single_node/client.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod client;
    #[path = "../single_node/process.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod process;
}
