//! Consensus metadata: what the cluster agrees on, and how.
//!
//! `registry` (global group) and `placement` (one group per region) are pure state machines with
//! versioned commands. `group` runs either of them on openraft: log and vote on the store's
//! segments, snapshots as checksummed files, applied state in sled. Rows never pass through here.

pub mod machine;
pub mod placement;
pub mod registry;

pub mod group;
