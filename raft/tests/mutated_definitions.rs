//! Definition files that somebody damaged: the reader answers or refuses with a place, and never panics.
//!
//! Kept files, a seeded generator, a bounded run; a failure names its seed.

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

/// Numbers that a seed tells.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) % end.max(1) as u64) as usize
    }
}

fn mutated(kept: &str, numbers: &mut Numbers) -> String {
    let mut text = kept.to_owned();
    for _ in 0..=numbers.below(4) {
        let at = text.floor_char_boundary(numbers.below(text.len()));
        let end = text.floor_char_boundary((at + numbers.below(24)).min(text.len()));
        match numbers.below(4) {
            0 => text.insert_str(at, PIECES[numbers.below(PIECES.len())]),
            1 => text.replace_range(at..end, ""),
            2 => text.replace_range(at..end, PIECES[numbers.below(PIECES.len())]),
            _ => {
                let copied = text[at..end].to_owned();
                text.push_str(&copied);
            }
        }
    }
    text
}

#[test]
fn damaged_files_are_refused_with_a_place_or_read() {
    let mut refused = 0;
    for seed in 0..RUNS {
        let mut numbers = Numbers(seed);
        let text = mutated(KEPT[numbers.below(KEPT.len())], &mut numbers);
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
