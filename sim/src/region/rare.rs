//! Rare states that runs exist to come into, read from what the nodes logged.

use super::{faults::Drawn, told::CLOSED};
use crate::{faults::Fault, world::Line};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::AddAssign,
};

/// How often a run came into each rare state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rare(BTreeMap<&'static str, usize>);

/// The states that one line tells of, and with which role where that matters.
const LOGGED: [(&str, &str, Option<&str>); 7] = [
    (CUT, "a tail that nobody committed is cut", Some("Backup")),
    (
        STALE_TAIL,
        "a tail that nobody committed is cut",
        Some("Joining"),
    ),
    (EMPTIED, "the shard begins anew, to take a snapshot", None),
    (SNAPSHOT, "a snapshot is installed", None),
    (REFUSED, "a change of a shard was refused", None),
    (HEDGE, "a lookup was hedged", None),
    (CLOSE, CLOSED, None),
];

/// A host crashed, its power left alone.
pub const KILL: &str = "kill";
/// A host crashed in the middle of a write.
pub const POWER_LOSS: &str = "loss of power";
/// A host stood still.
pub const FREEZE: &str = "freeze";
/// A link was cut.
pub const PARTITION: &str = "link cut both ways";
/// A link was cut one way.
pub const ONE_WAY: &str = "link cut one way";
/// An epoch of a shard began.
pub const EPOCH: &str = "epoch";
/// A lookup was sent to another replica as well.
pub const HEDGE: &str = "hedged lookup";
/// A close was done.
pub const CLOSE: &str = "close";
/// A primary held a close for done when another one had been promoted already.
pub const CLOSE_ACROSS: &str = "close across a promotion";
/// A backup's tail was cut to match a new primary's.
pub const CUT: &str = "tail cut after a promotion";
/// A returning replica had more than the primary, from an earlier epoch.
pub const STALE_TAIL: &str = "stale longer tail";
/// A replica dropped what it had for a snapshot.
pub const EMPTIED: &str = "shard emptied for a snapshot";
/// A replica was brought up by snapshot.
pub const SNAPSHOT: &str = "snapshot installed";
/// A change of a shard was refused, since the shard had changed meanwhile.
pub const REFUSED: &str = "change refused";
/// Another node became primary.
pub const PROMOTION: &str = "promotion";
/// The primary restarted and took a new epoch.
pub const RESTART: &str = "primary's new epoch after a restart";
/// A replica joined the in-sync set.
pub const GROWTH: &str = "growth";
/// A replica left it.
pub const SHRINK: &str = "shrink";
/// A primary was cut off as its shard grew.
pub const TRAP: &str = "primary cut off as its shard grew";
/// A disk was lost.
pub const LOST_DISK: &str = "disk lost";
/// A run in which a disk was lost and a replica brought up by snapshot.
pub const REFILLED: &str = "lost disk, then snapshots";
/// A disk was lost whose host was in sync by name until it was back.
pub const EXCHANGED_DISK: &str = "disk exchanged in sync";
/// A disk was lost whose host was joining a shard.
pub const JOINER_WIPED: &str = "joiner wiped in flight";
/// A host crashed and lost something that it had written and not synced.
pub const LOSS: &str = "crash that lost what was not synced";

/// All of them, in the order in which they are printed.
pub const ALL: [&str; 24] = [
    KILL,
    POWER_LOSS,
    FREEZE,
    PARTITION,
    ONE_WAY,
    TRAP,
    LOST_DISK,
    REFILLED,
    EXCHANGED_DISK,
    JOINER_WIPED,
    LOSS,
    EPOCH,
    PROMOTION,
    RESTART,
    GROWTH,
    SHRINK,
    REFUSED,
    CUT,
    STALE_TAIL,
    EMPTIED,
    SNAPSHOT,
    CLOSE,
    CLOSE_ACROSS,
    HEDGE,
];

/// Those that the usual seeds of the tests may miss: they need luck.
pub const RAREST: [&str; 6] = [
    JOINER_WIPED,
    TRAP,
    CLOSE_ACROSS,
    EMPTIED,
    SNAPSHOT,
    REFILLED,
];

/// Those of them that plays come into by their nature.
pub const PLAYED: [&str; 4] = [CLOSE_ACROSS, EMPTIED, SNAPSHOT, REFILLED];

/// What a node logs of each configuration of a shard.
pub const CONFIGURED: &str = "a shard is configured";

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
        rare.closes_across(lines);
        rare
    }

    /// Counts what follows from the other counts of a run.
    pub(super) fn sum_up(&mut self) {
        let is_refilled = self.times(LOST_DISK) > 0 && self.times(SNAPSHOT) > 0;
        self.add(REFILLED, usize::from(is_refilled));
    }

    /// What is done to a region.
    pub(super) fn done(drawn: &Drawn) -> Self {
        let mut rare = Self::default();
        let losses = drawn.power_losses.len();
        for event in drawn.schedule.events() {
            let state = match event.fault {
                Fault::Crash(_) => KILL,
                Fault::Pause(_) => FREEZE,
                Fault::Partition(..) => PARTITION,
                Fault::PartitionOneWay(..) => ONE_WAY,
                // Whether a disk may be lost is asked of the cluster.
                Fault::LoseDisk(_) | Fault::LoseStore(_) => continue,
                Fault::Restart(_)
                | Fault::Resume(_)
                | Fault::Repair(..)
                | Fault::RepairOneWay(..)
                | Fault::Slow(..)
                | Fault::Fast(..)
                | Fault::SetClock(..) => continue,
            };
            rare.add(state, 1);
        }
        rare.add(POWER_LOSS, losses);
        let kills = rare.0.entry(KILL).or_default();
        *kills = kills.saturating_sub(losses);
        rare
    }

    /// Closes that a primary held for done while another node had been made primary of a later epoch.
    fn closes_across(&mut self, lines: &[Line]) {
        // Epoch and primary: by host and shard, as the host knows them; by shard, the newest.
        let mut known = BTreeMap::<(&str, u64), (u64, u64)>::new();
        let mut newest = BTreeMap::<u64, (u64, u64)>::new();
        for line in lines {
            let number = |name| line.number(name).unwrap_or_default();
            let shard = number("shard");
            if line.message == CONFIGURED {
                let configured = (number("epoch"), number("primary"));
                known.insert((&line.host, shard), configured);
                let newest = newest.entry(shard).or_default();
                *newest = (*newest).max(configured);
            } else if line.message == CLOSED {
                let own = known.get(&(&line.host[..], shard)).copied();
                let newest = newest.get(&shard).copied().unwrap_or_default();
                let is_across = own.is_some_and(|own| own.0 < newest.0 && own.1 != newest.1);
                self.add(CLOSE_ACROSS, usize::from(is_across));
            }
        }
    }

    /// Each epoch of a shard beside the one before, whoever told of it.
    fn configurations(&mut self, lines: &[Line]) {
        let mut shards = BTreeMap::<u64, BTreeMap<u64, Configured>>::new();
        for line in lines.iter().filter(|line| line.message == CONFIGURED) {
            let number = |name| line.number(name).unwrap_or_default();
            let configured = (number("primary"), number("boot"), number("in_sync"));
            let epochs = shards.entry(number("shard")).or_default();
            epochs.insert(number("epoch"), configured);
        }
        for epochs in shards.values() {
            self.add(EPOCH, epochs.len());
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
    fn a_close_across_a_promotion_is_one_of_who_does_not_know_its_successor() {
        let told = |host: &str, mut line: Line| {
            line.host = host.to_owned();
            line
        };
        let close = || line("a close is done", &[("shard", "3")]);
        let rare = Rare::of(&[
            told("node-1", configured("1", "1", "7", "2")),
            told("node-2", configured("1", "1", "7", "2")),
            told("node-1", close()),
            told("node-2", configured("2", "2", "9", "1")),
            told("node-1", close()),
            told("node-2", close()),
            told("node-1", configured("2", "2", "9", "1")),
            told("node-1", configured("3", "1", "7", "2")),
            told("node-1", close()),
        ]);
        assert_eq!((rare.times(CLOSE), rare.times(CLOSE_ACROSS)), (4, 1));
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
