//! One real node with its gateway under faults drawn from seeds: the same seed twice leaves the same
//! trace, every history is judged clean, the rare states did occur, and a disk that lies is found.
//!
//! `ATOLL_SIM_SEEDS` sets how many seeds are run.

mod forgetful;

use forgetful::forgets_its_first_life;
use sim::{
    checker::Invariant,
    one_node::{self, Outcome, Plan, Seen},
};

/// Seeds of a usual run of the tests.
const SEEDS: u64 = 12;

fn run(plan: &Plan) -> Outcome {
    one_node::run(plan).unwrap_or_else(|error| panic!("{error}"))
}

fn judge(outcome: &Outcome) {
    if outcome.report.is_clean() {
        return;
    }
    let folder = std::env::temp_dir().join("atoll-histories");
    let kept = outcome
        .keep(&folder, "one-node")
        .map(|path| path.display().to_string());
    panic!(
        "seed {} breaks promises; its history: {kept:?}\n{}{}",
        outcome.seed, outcome.schedule, outcome.report
    );
}

#[test]
fn the_same_seed_twice_leaves_the_same_trace() {
    for seed in [1, 2] {
        let (first, again) = (run(&Plan::of(seed)), run(&Plan::of(seed)));
        let mut entries = first.history.entries().iter().zip(again.history.entries());
        let parted = entries.find(|(first, again)| first != again);
        assert_eq!(first.hash, again.hash, "seed {seed} parts at {parted:#?}");
    }
}

#[test]
fn every_seed_keeps_its_promises_and_together_they_see_the_rare_states() {
    let seeds = std::env::var("ATOLL_SIM_SEEDS");
    let seeds = seeds.map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let mut seen = Seen::default();
    for seed in 100..100 + seeds {
        let outcome = run(&Plan::of(seed));
        judge(&outcome);
        let judged = outcome.report.judged;
        assert!(judged.acknowledged_rows > 300, "seed {seed}: {judged:?}");
        assert!(judged.bounded_values > 1_000, "seed {seed}: {judged:?}");
        assert_eq!(judged.rows_without_final_read, 0, "seed {seed}");
        seen += outcome.seen;
    }
    let Seen {
        crashes,
        crashes_after_acknowledgements,
        crashes_with_loss,
        others,
        unknown,
        acknowledged_again,
    } = seen;
    for (state, times) in [
        ("crash", crashes),
        (
            "crash after acknowledgements",
            crashes_after_acknowledgements,
        ),
        ("crash that lost what was not synced", crashes_with_loss),
        ("pause or cut", others),
        ("write without an outcome", unknown),
        ("write acknowledged when sent again", acknowledged_again),
    ] {
        assert!(
            times as u64 >= seeds / 4,
            "{times} × {state} in {seeds} seeds"
        );
    }
}

#[test]
fn a_disk_that_forgets_what_it_called_synced_is_found_by_the_judge() {
    for seed in 0..3 {
        let plan = Plan {
            between: Some(forgets_its_first_life()),
            ..Plan::of(seed)
        };
        let report = run(&plan).report;
        assert!(report.breaks(Invariant::I3), "seed {seed}: {report}");
    }
}
