//! One node's disk fills up under load: the short form of `chaos full-disk`. It needs root, for a namespace to
//! mount in; who has not got it must say so, see [`WITHOUT_NAMESPACES`].
//!
//! There is one test in this file, since it begins its process anew within a namespace.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{
    cluster::Shape,
    full_disk,
    limping::{Settings, Who},
    load::Plan,
};
use std::time::Duration;

/// Set to anything, it leaves out the test that makes a namespace.
const WITHOUT_NAMESPACES: &str = "ATOLL_TESTS_WITHOUT_NAMESPACES";

#[test]
fn a_node_with_a_full_disk_refuses_writes_and_takes_them_again() {
    if std::env::var_os(WITHOUT_NAMESPACES).is_some() {
        eprintln!("skipped: {WITHOUT_NAMESPACES} is set");
        return;
    }
    if let Err(error) = full_disk::enter() {
        panic!("{error:#}; {WITHOUT_NAMESPACES}=1 leaves this test out");
    }
    let findings = full_disk::run(&Settings {
        shape: Shape {
            nodes: 3,
            copies: 2,
            shards: 16,
        },
        load: Plan {
            seed: 1,
            mixed: 1,
            patient: 1,
            probes: 100,
            pause: Duration::from_millis(60),
            bulk_rows: 1_000,
            readers: 1,
        },
        whom: vec![Who::Leader],
        before: Duration::from_secs(2),
        // Nodes hear of it by gossip within two seconds or so.
        fault: Duration::from_secs(12),
        whole_within: Duration::from_secs(120),
        keep: None,
    });
    let findings = findings.unwrap();
    assert!(findings.is_clean(), "{findings}");
}
