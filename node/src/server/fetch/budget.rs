//! How many hedges there may be: one for ten lookups, and what was saved up before.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Lookups that pay for a hedge.
const LOOKUPS_PER_HEDGE: u32 = 10;
/// Hedges that can be saved up: as many as lookups in flight wait for one node when it freezes.
const SAVED_MOST: u32 = 64;

/// A bucket of hedges, counted in lookups. Pure.
#[derive(Debug)]
pub struct Budget {
    lookups: u32,
}

impl Default for Budget {
    /// Full: a gateway that just started has nothing to go by but hedges.
    fn default() -> Self {
        Self {
            lookups: SAVED_MOST * LOOKUPS_PER_HEDGE,
        }
    }
}

impl Budget {
    /// A lookup pays in.
    pub fn pay(&mut self) {
        self.lookups = (self.lookups + 1).min(SAVED_MOST * LOOKUPS_PER_HEDGE);
    }

    /// Takes a hedge out, if there is one.
    pub fn take(&mut self) -> bool {
        let rest = self.lookups.checked_sub(LOOKUPS_PER_HEDGE);
        self.lookups = rest.unwrap_or(self.lookups);
        rest.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// Counts hedges by what came of them.
#[derive(Debug, Clone, Default)]
pub struct Hedges(Family<ResultLabels, Counter>);

impl Hedges {
    /// Shows them in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Times that a second replica was asked: its rows were used (won), were not (lost), \
                    or it was not asked since the budget was spent (denied)";
        // The library appends `_total` to the names of counters.
        registry.register("atoll_lookup_hedges", help, self.0.clone());
        for result in ["won", "lost", "denied"] {
            drop(self.0.get_or_create(&ResultLabels { result }));
        }
    }

    /// A second replica was asked; whether its rows were used.
    pub fn hedged(&self, is_used: IsUsed) {
        let result = match is_used {
            IsUsed::Won => "won",
            IsUsed::Lost => "lost",
        };
        self.0.get_or_create(&ResultLabels { result }).inc();
    }

    /// A second replica would have been asked.
    pub fn denied(&self) {
        let result = "denied";
        self.0.get_or_create(&ResultLabels { result }).inc();
    }
}

/// What came of a hedge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsUsed {
    /// At least one shard's rows are from it.
    Won,
    /// None are.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_stay_within_a_tenth_of_the_lookups_and_what_was_saved() {
        let mut budget = Budget::default();
        let saved = (0..1_000).filter(|_| budget.take()).count();
        assert_eq!(saved, SAVED_MOST as usize);
        let mut hedges = 0;
        for _ in 0..10_000 {
            budget.pay();
            hedges += u32::from(budget.take());
        }
        assert_eq!(hedges, 1_000);
        (0..100_000).for_each(|_| budget.pay());
        let saved = (0..1_000).filter(|_| budget.take()).count();
        assert_eq!(saved, SAVED_MOST as usize);
    }
}
