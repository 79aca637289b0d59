//! Three regions of real processes: one registry for all, a placement each, and what is left of either
//! when regions are gone.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod regions {
    mod cluster;
    mod losses;

    #[path = "../single_node/client.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod client;
    #[path = "../single_node/process.rs"]
    #[allow(dead_code, reason = "tests of one node use the rest")]
    mod process;
}
