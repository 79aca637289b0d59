//! A region of three real nodes under faults drawn from seeds: the same seed twice leaves the same
//! trace, every history is judged clean, and together they see the rare states.
//!
//! Runs of a process are serial, so the seeds are run by two processes of the program `sim`.
//! `ATOLL_SIM_SEEDS` sets how many seeds they are.

use sim::region::{self, Plan, Rare, rare};
use std::process::{Child, Command, Stdio};

/// Seeds of a usual run of the tests.
const SEEDS: u64 = 50;
/// The first of them.
const FIRST: u64 = 1;
/// Processes that run them.
const PROCESSES: u64 = 2;

#[test]
fn the_same_seed_twice_leaves_the_same_trace() {
    for seed in [1, 2, 5] {
        let run = || region::run(&Plan::of(seed)).unwrap_or_else(|error| panic!("{error}"));
        let (first, again) = (run(), run());
        let mut entries = first.history.entries().iter().zip(again.history.entries());
        let parted = entries.find(|(first, again)| first != again);
        assert_eq!(first.hash, again.hash, "seed {seed} parts at {parted:#?}");
    }
}

fn start(first: u64, seeds: u64) -> Child {
    let folder = std::env::temp_dir().join("atoll-histories");
    Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["region", "--seed", &first.to_string()])
        .args(["--seeds", &seeds.to_string()])
        .arg("--keep-broken")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests' own program starts")
}

#[test]
fn every_seed_keeps_its_promises_and_together_they_see_the_rare_states() {
    let seeds = std::env::var("ATOLL_SIM_SEEDS");
    let seeds = seeds.map_or(SEEDS, |seeds| seeds.parse().expect("a number of seeds"));
    let each = seeds.div_ceil(PROCESSES);
    let running: Vec<Child> = (0..PROCESSES)
        .map(|process| start(FIRST + process * each, each))
        .collect();
    let mut rare = Rare::default();
    for child in running {
        let output = child.wait_with_output().expect("a child ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{error}");
        rare += &Rare::read(&text);
    }
    println!("rare states of {seeds} seeds\n{rare}");
    for state in [
        rare::PROMOTION,
        rare::RESTART,
        rare::GROWTH,
        rare::SHRINK,
        rare::CUT,
        rare::STALE_TAIL,
        rare::LOST_DISK,
        rare::LOSS,
    ] {
        assert!(
            rare.times(state) > 0,
            "no {state} in {seeds} seeds:\n{rare}"
        );
    }
}
