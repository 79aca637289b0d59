//! One replica of three real processes stands still under lookups: the short form of `chaos frozen`.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{cluster::Shape, frozen, load::Plan};
use std::time::Duration;

#[test]
fn lookups_go_on_while_a_replica_stands_still_within_the_budget_of_hedges() {
    let findings = frozen::run(&frozen::Settings {
        shape: Shape {
            nodes: 3,
            copies: 2,
            shards: 16,
        },
        load: Plan {
            seed: 1,
            mixed: 1,
            patient: 0,
            probes: 100,
            pause: Duration::from_millis(60),
            bulk_rows: 2_000,
            readers: 2,
        },
        measure: Duration::from_secs(8),
        whole_within: Duration::from_secs(120),
    });
    let findings = findings.unwrap();
    assert!(findings.is_clean(), "{findings}");
}
