//! Scenarios on one cluster of three real processes: a request that is sent again over a failover,
//! and definitions that change while a node stands still.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    requests, schema,
};
use std::time::Duration;

const WHOLE_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn repeats_get_the_first_answer_and_old_rows_stay_readable_over_a_change() {
    let shape = Shape {
        nodes: 3,
        copies: 2,
        shards: 16,
    };
    let mut cluster = Cluster::found(Atoll::find().unwrap(), shape, Clock::start()).unwrap();
    let repeats = requests::run(&mut cluster, 1, WHOLE_WITHIN).unwrap();
    assert!(repeats.is_clean(), "{repeats}");
    let changes = schema::run(&mut cluster, WHOLE_WITHIN).unwrap();
    assert!(changes.is_clean(), "{changes}");
}
