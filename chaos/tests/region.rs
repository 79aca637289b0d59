//! A region of three real processes loses nodes under load: the short form of `chaos region`, with
//! every kind of round. `docs/chaos.md` says how to run the long one.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{cluster::Shape, load::Plan, rounds};
use std::time::Duration;

#[test]
fn a_region_loses_nodes_and_nothing_else() {
    let findings = rounds::run(&rounds::Settings {
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
        rounds: 2,
        freeze: Duration::from_secs(6),
        down: Duration::from_secs(3),
        calm: Duration::from_secs(2),
        // A wiped voter is replaced after a minute, and only then is the region whole.
        whole_within: Duration::from_secs(300),
        keep: None,
    });
    let findings = findings.unwrap();
    assert!(findings.is_clean(), "{findings}");
}
