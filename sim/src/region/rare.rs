//! Rare states that runs exist to come into, read from what the nodes logged.

use crate::world::Line;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::AddAssign,
};

/// How often a run came into each rare state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rare(BTreeMap<&'static str, usize>);

/// The states, each with when a line tells of it.
const LOGGED: [(&str, &str, Option<&str>); 4] = [
    (CUT, "a tail that nobody committed is cut", Some("Backup")),
    (
        STALE_TAIL,
        "a tail that nobody committed is cut",
        Some("Joining"),
    ),
    (SNAPSHOT, "the shard begins anew, to take a snapshot", None),
    (STUCK_WRITE, "a change of a shard was refused", None),
];

/// A backup's tail was cut to match a new primary's.
pub const CUT: &str = "cut after promotion";
/// A returning replica had more than the primary, from an earlier epoch.
pub const STALE_TAIL: &str = "stale longer tail";
/// A replica was brought up by snapshot.
pub const SNAPSHOT: &str = "snapshot catch-up";
/// A change of a shard was refused, since the shard had changed meanwhile.
pub const STUCK_WRITE: &str = "change refused";
/// Another node became primary.
pub const PROMOTION: &str = "promotion";
/// The primary restarted and took a new epoch.
pub const RESTART: &str = "primary's new epoch after a restart";
/// A replica joined the in-sync set.
pub const GROWTH: &str = "growth";
/// A replica left it.
pub const SHRINK: &str = "shrink";
/// A disk was lost.
pub const LOST_DISK: &str = "disk lost";
/// A disk was lost whose host was joining a shard.
pub const JOINER_WIPED: &str = "joiner wiped in flight";
/// A host crashed and lost something that it had written and not synced.
pub const LOSS: &str = "crash that lost what was not synced";

/// All of them, in the order in which they are printed.
pub const ALL: [&str; 11] = [
    PROMOTION,
    RESTART,
    GROWTH,
    SHRINK,
    CUT,
    STALE_TAIL,
    SNAPSHOT,
    STUCK_WRITE,
    LOST_DISK,
    JOINER_WIPED,
    LOSS,
];

/// What a configuration says: who is primary, in which boot, and how many are in sync.
type Configured = (u64, u64, u64);

impl Rare {
    /// What the lines of a run tell.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut rare = Self::default();
        for (state, message, role) in LOGGED {
            let told = lines.iter().filter(|line| {
                let is_role = |of: &str| {
                    let mut fields = line.fields.iter();
                    fields.any(|(name, value)| *name == "role" && value.contains(of))
                };
                line.message == message && role.is_none_or(is_role)
            });
            rare.add(state, told.count());
        }
        rare.configurations(lines);
        rare
    }

    /// Each epoch of a shard beside the one before, whoever told of it.
    fn configurations(&mut self, lines: &[Line]) {
        let mut shards = BTreeMap::<u64, BTreeMap<u64, Configured>>::new();
        for line in lines
            .iter()
            .filter(|line| line.message == "a shard is configured")
        {
            let number = |name| line.number(name).unwrap_or_default();
            let configured = (number("primary"), number("boot"), number("in_sync"));
            let epochs = shards.entry(number("shard")).or_default();
            epochs.insert(number("epoch"), configured);
        }
        for epochs in shards.values() {
            let followed = epochs.values().zip(epochs.values().skip(1));
            for (before, after) in followed {
                let is_other = before.0 != after.0;
                self.add(PROMOTION, usize::from(is_other));
                self.add(RESTART, usize::from(!is_other && before.1 != after.1));
                self.add(GROWTH, usize::from(before.2 < after.2));
                self.add(SHRINK, usize::from(before.2 > after.2));
            }
        }
    }

    /// Counts more of a state.
    pub fn add(&mut self, state: &'static str, times: usize) {
        *self.0.entry(state).or_default() += times;
    }

    /// How often there was a state.
    #[must_use]
    pub fn times(&self, state: &str) -> usize {
        self.0.get(state).copied().unwrap_or_default()
    }

    /// What [`fmt::Display`] wrote of it; lines that are no counts are passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut rare = Self::default();
        for line in text.lines() {
            let Some((times, name)) = line.trim().split_once(" × ") else {
                continue;
            };
            let state = ALL.into_iter().find(|state| *state == name);
            if let (Some(state), Ok(times)) = (state, times.parse()) {
                rare.add(state, times);
            }
        }
        rare
    }

    /// The states that never were.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<&'static str> {
        ALL.into_iter()
            .filter(|state| self.times(state) == 0)
            .collect()
    }
}

impl AddAssign<&Self> for Rare {
    fn add_assign(&mut self, other: &Self) {
        for (state, times) in &other.0 {
            self.add(state, *times);
        }
    }
}

/// One state a line.
impl fmt::Display for Rare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ALL.into_iter()
            .try_for_each(|state| writeln!(f, "  {} × {state}", self.times(state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn line(message: &str, fields: &[(&'static str, &str)]) -> Line {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Line {
            at: Duration::ZERO,
            host: "node-1".into(),
            message: message.into(),
            fields: fields.collect(),
        }
    }

    fn configured(epoch: &str, primary: &str, boot: &str, in_sync: &str) -> Line {
        let fields = [
            ("shard", "3"),
            ("epoch", epoch),
            ("primary", primary),
            ("boot", boot),
            ("in_sync", in_sync),
        ];
        line("a shard is configured", &fields)
    }

    #[test]
    fn epochs_are_compared_in_their_order_whoever_told_of_them() {
        let lines = [
            configured("4", "2", "9", "2"),
            configured("1", "1", "7", "2"),
            configured("2", "1", "7", "1"),
            configured("3", "2", "9", "1"),
            configured("2", "1", "7", "1"),
            configured("5", "2", "10", "2"),
        ];
        let rare = Rare::of(&lines);
        let times = [PROMOTION, RESTART, GROWTH, SHRINK].map(|state| rare.times(state));
        assert_eq!(times, [1, 1, 1, 1]);
    }

    #[test]
    fn a_cut_is_told_by_the_role_of_who_cuts() {
        let cut = |role| line("a tail that nobody committed is cut", &[("role", role)]);
        let mut rare = Rare::of(&[
            cut("Some(Backup)"),
            cut("Some(Joining)"),
            cut("Some(Backup)"),
        ]);
        assert_eq!((rare.times(CUT), rare.times(STALE_TAIL)), (2, 1));
        rare.add(LOSS, 4);
        assert_eq!(
            Rare::read(&format!("seed 7\n{rare}")),
            Rare::read(&rare.to_string())
        );
        assert_eq!(Rare::read(&rare.to_string()).times(LOSS), 4);
        assert!(rare.missing().contains(SNAPSHOT));
    }
}
