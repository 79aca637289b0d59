//! A region of three real nodes under faults drawn from seeds.

use sim::region::{self, Plan};

#[test]
fn the_same_seed_twice_leaves_the_same_trace() {
    for seed in [1, 2] {
        let run = || region::run(&Plan::of(seed)).unwrap_or_else(|error| panic!("{error}"));
        let (first, again) = (run(), run());
        let mut entries = first.history.entries().iter().zip(again.history.entries());
        let parted = entries.find(|(first, again)| first != again);
        assert_eq!(first.hash, again.hash, "seed {seed} parts at {parted:#?}");
    }
}
