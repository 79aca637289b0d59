//! Callers that do not take their answers, under load: the short form of `chaos slow-clients`.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{cluster::Shape, limping::Settings, load::Plan, slow_clients};
use std::time::Duration;

/// Of each kind six: what they leave lying is less than a gateway keeps.
const CALLERS: usize = 24;

#[test]
fn callers_that_take_nothing_cost_bounded_memory_and_no_lookup() {
    let settings = Settings {
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
            bulk_rows: 1_000,
            readers: 1,
        },
        whom: Vec::new(),
        before: Duration::from_secs(2),
        fault: Duration::ZERO,
        whole_within: Duration::from_secs(120),
        keep: None,
    };
    let findings = slow_clients::run(&settings, CALLERS).unwrap();
    assert!(findings.is_clean(), "{findings}");
}
