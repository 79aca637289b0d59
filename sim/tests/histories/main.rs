//! The checker against a correct cluster in miniature: its histories pass, whatever the seed, and
//! every kind of damage done to them afterwards is found.

mod damage;
mod model;

use damage::Damage;
use model::{Model, Run};
use proptest::prelude::*;
use sim::checker::{Invariant, Report, judge};

fn report_of(run: &Run) -> Report {
    judge(&run.history()).expect("the model records its calls as it should")
}

/// Damages the histories of twenty seeds and expects each to be judged broken in one of these ways.
fn check(damage: Damage, expects: &[Invariant]) {
    // Not every history has a place for every damage.
    let histories = (0..200).map(|seed| (seed, Model::run(seed)));
    let damaged = histories.filter_map(|(seed, run)| Some((seed, damage(&run)?)));
    let mut judged = 0;
    for (seed, broken) in damaged.take(20) {
        judged += 1;
        let report = report_of(&broken);
        let found = expects.iter().any(|invariant| report.breaks(*invariant));
        assert!(
            found,
            "seed {seed}: none of {expects:?} was found\n{report}"
        );
    }
    assert_eq!(judged, 20, "too few histories had a place for this damage");
}

#[test]
fn a_dropped_acknowledged_write_is_found() {
    // An open deletion may explain what is missing; then the rest of its row shows that it did not.
    check(
        damage::drop_an_acknowledged_write,
        &[Invariant::I3, Invariant::I4],
    );
}

#[test]
fn a_changed_value_is_found() {
    check(damage::change_a_value, &[Invariant::I4]);
}

#[test]
fn reads_in_the_wrong_order_are_found() {
    check(
        damage::swap_two_reads,
        &[Invariant::I6, Invariant::I5, Invariant::I4, Invariant::I3],
    );
}

#[test]
fn a_resurrected_row_is_found() {
    check(damage::resurrect, &[Invariant::I10]);
}

#[test]
fn an_expired_value_that_is_present_is_found() {
    check(damage::show_an_expired_value, &[Invariant::I11]);
}

#[test]
fn a_claim_of_too_little_staleness_is_found() {
    check(damage::claim_less_staleness, &[Invariant::I14]);
}

#[test]
fn a_failure_told_as_a_miss_is_found() {
    check(damage::tell_a_failure_as_a_miss, &[Invariant::I16]);
}

#[test]
fn another_answer_to_the_same_request_is_found() {
    check(damage::answer_a_retry_otherwise, &[Invariant::I8]);
}

#[test]
fn a_replica_that_differs_is_found() {
    check(damage::differ_on_one_replica, &[Invariant::I1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn histories_of_a_correct_cluster_pass(seed in any::<u64>()) {
        let run = Model::run(seed);
        let report = report_of(&run);
        prop_assert!(report.is_clean(), "{report}");
        prop_assert!(report.judged.bounded_values > 100, "{report}");
        prop_assert_eq!(report.judged.rows_without_final_read, 0);
    }
}
