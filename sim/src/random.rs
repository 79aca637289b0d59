//! Random numbers under a seed: SplitMix64, so that a schedule printed with its seed stays the same
//! over versions of every dependency.
//!
//! Not for secrets, and not a source of entropy: equal seeds give equal numbers, always.

use std::ops::Range;

/// A generator. Cloning it repeats its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of `seed`.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for one purpose, so that drawing more for one purpose does not move another.
    #[must_use]
    pub fn of_purpose(seed: u64, purpose: &str) -> Self {
        Self::of(xxhash_rust::xxh3::xxh3_64_with_seed(
            purpose.as_bytes(),
            seed,
        ))
    }

    /// What [`Self::of`] takes to go on from here.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.state
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 128 bits.
    pub fn wide_bits(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0: there is no such number.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `range`, which is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which are not none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let place = self.below(items.len() as u64) as usize;
        &items[place]
    }

    /// A number below `bound` that is small far more often than large: keys are not equally hot.
    pub fn skewed(&mut self, bound: u64) -> u64 {
        let upper = 1 + self.below(bound);
        self.below(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut random = Random::of(7);
        assert_eq!(
            [random.bits(), random.bits()],
            [0x63cb_e1e4_5932_0dd7, 0x044c_3cd7_f43c_661c]
        );
        assert_eq!(
            Random::of_purpose(7, "faults").bits(),
            Random::of_purpose(7, "faults").bits()
        );
        assert_ne!(
            Random::of_purpose(7, "faults").bits(),
            Random::of_purpose(7, "load").bits()
        );
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut random = Random::of(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.within(3..7)).collect();
        for number in 3..7 {
            assert!(drawn.contains(&number));
        }
        assert!(drawn.iter().all(|number| (3..7).contains(number)));
        let low = (0..1_000).filter(|_| random.skewed(100) < 25).count();
        assert!(low > 450, "{low} of 1,000 lie in the first quarter");
    }
}
