//! One node's disk gets slow under load: the short form of `chaos slow-disk`.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{
    cluster::Shape,
    limping::{Settings, Who},
    load::Plan,
    slow_disk,
};
use std::time::Duration;

#[test]
fn a_node_with_a_slow_disk_leaves_and_comes_back() {
    let findings = slow_disk::run(&Settings {
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
        whom: vec![Who::Voter, Who::Leader],
        before: Duration::from_secs(2),
        // A leader of the region's group is out after 9 s on a machine that does little else.
        fault: Duration::from_secs(16),
        whole_within: Duration::from_secs(120),
        keep: None,
    });
    let findings = findings.unwrap();
    assert!(findings.is_clean(), "{findings}");
}
