//! A region of real processes grows, shrinks and restarts under load: the short form of
//! `chaos operations`.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{cluster::Shape, load::Plan, operations};
use std::time::Duration;

#[test]
fn nodes_join_are_emptied_leave_and_restart_and_nothing_is_lost() {
    let findings = operations::run(&operations::Settings {
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
            bulk_rows: 5_000,
            readers: 1,
        },
        calm: Duration::from_secs(2),
        whole_within: Duration::from_secs(300),
        keep: None,
    });
    let findings = findings.unwrap();
    assert!(findings.is_clean(), "{findings}");
}
