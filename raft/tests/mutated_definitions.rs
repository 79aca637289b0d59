//! Definition files that somebody damaged: the reader answers or refuses with a place, and never panics.
//!
//! Kept files, a seeded generator, a bounded run; a failure names its seed.

#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;

use mutations::Numbers;
use raft::registry::{parse_yaml, place_of_object};

const RUNS: u64 = 3_000;
const KEPT: [&str; 3] = [
    include_str!("../../examples/shop/customers.yaml"),
    include_str!("../../examples/shop/items.yaml"),
    include_str!("../../examples/shop/services.yaml"),
];
/// What YAML and the model give a meaning to.
const PIECES: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "---\n",
    "&a ",
    "*a",
    "\"",
    "'",
    "|\n",
    "!!int ",
    "<<: ",
    "null",
    "~",
    "-1",
    "99999999999999999999",
    "vector<int8, 0>",
    "\u{0}",
    "é",
];

#[test]
fn damaged_files_are_refused_with_a_place_or_read() {
    let mut refused = 0;
    for seed in 0..mutations::runs(RUNS) {
        let mut numbers = Numbers::of(seed);
        let text = mutations::text(numbers.one(&KEPT), &PIECES, &mut numbers);
        let read = std::panic::catch_unwind(|| {
            let _ = place_of_object(&text, "view customer_activity@1");
            parse_yaml("damaged.yaml", &text)
        });
        let read = read.unwrap_or_else(|_| panic!("seed {seed} makes it panic:\n{text}"));
        if let Err(fault) = read {
            assert!(fault.line > 0 && fault.column > 0, "seed {seed}: {fault}");
            assert!(!fault.message.is_empty(), "seed {seed}");
            refused += 1;
        }
    }
    assert!(
        refused > RUNS / 4,
        "only {refused} of {RUNS} were refused: nothing is tried"
    );
}
