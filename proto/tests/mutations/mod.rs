//! Damage as a fuzzer does it, on stable Rust: kept bytes or text, a seed, a few changes. The tests of every
//! crate that reads what others wrote share it.

#![allow(dead_code, reason = "each test damages either bytes or text")]

/// Numbers that a seed tells.
pub struct Numbers(u64);

impl Numbers {
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, which it never is; 0 where there is nothing below.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One of them.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// How many times a decoder is tried: `ATOLL_MUTATIONS`, where that is set, makes a run longer.
#[allow(
    clippy::disallowed_methods,
    reason = "whoever wants a longer run says so from outside"
)]
pub fn runs(usual: u64) -> u64 {
    let asked = std::env::var("ATOLL_MUTATIONS").ok();
    asked.map_or(usual, |runs| {
        runs.parse().expect("ATOLL_MUTATIONS is a number of runs")
    })
}

/// A few changes: flipped bits, extreme bytes and words, cuts, repeats.
pub fn bytes(kept: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = kept.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(6) {
            _ if bytes.is_empty() => bytes.push(numbers.next() as u8),
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = numbers.one(&[0, 1, 0x7f, 0x80, 0xff]),
            2 => {
                let end = bytes.len().min(at + 4);
                bytes[at..end].fill(0xff);
            }
            3 => bytes.truncate(at),
            4 => bytes.insert(at, numbers.next() as u8),
            _ => {
                let end = bytes.len().min(at + numbers.below(32));
                let copied = bytes[at..end].to_vec();
                bytes.extend(copied);
            }
        }
    }
    bytes
}

/// A few changes: pieces put in or in the place of others, cuts, repeats.
pub fn text(kept: &str, pieces: &[&str], numbers: &mut Numbers) -> String {
    let mut text = kept.to_owned();
    for _ in 0..=numbers.below(4) {
        let at = text.floor_char_boundary(numbers.below(text.len()));
        let end = text.floor_char_boundary((at + numbers.below(24)).min(text.len()));
        match numbers.below(5) {
            0 => text.insert_str(at, numbers.one(pieces)),
            1 => text.replace_range(at..end, ""),
            2 => text.replace_range(at..end, numbers.one(pieces)),
            3 => replace_a_value(&mut text, numbers.one(pieces), numbers),
            _ => {
                let copied = text[at..end].to_owned();
                text.insert_str(end, &copied);
            }
        }
    }
    text
}

/// Puts a piece where a value stands, so that more than the parser is met.
fn replace_a_value(text: &mut String, piece: &str, numbers: &mut Numbers) {
    let values: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
    let Some(at) = values.get(numbers.below(values.len())).copied() else {
        return;
    };
    let end = text[at..].find([',', '}', ']', '\n']);
    text.replace_range(at..end.map_or(text.len(), |end| at + end), piece);
}

/// Damages what is kept, `usual` times, and has it decoded. A panic tells its seed.
#[track_caller]
pub fn check(usual: u64, kept: &[&[u8]], decode: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    for seed in 0..runs(usual) {
        let mut numbers = Numbers::of(seed);
        let damaged = bytes(numbers.one(kept), &mut numbers);
        let decoded = std::panic::catch_unwind(|| decode(&damaged));
        assert!(
            decoded.is_ok(),
            "seed {seed} makes it panic: {damaged:02x?}"
        );
    }
}
