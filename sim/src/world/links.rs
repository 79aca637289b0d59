//! The state of every link: whole, held or cut, one way or both. Turmoil knows these states one call
//! at a time; here pauses and cuts of the same link overlap as they would in reality.

use crate::faults::{Fault, Host};
use std::collections::{BTreeMap, BTreeSet};

/// What a link does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether it keeps them until it is whole.
    pub is_held: bool,
    /// Which of them it loses, held or not.
    pub cut: Cut,
}

/// In which directions a link loses messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// In none.
    #[default]
    Whole,
    /// From this end to that one.
    OneWay(usize, usize),
    /// In both.
    Both,
}

/// A change that turmoil must be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The ends, by their places among all hosts.
    pub ends: (usize, usize),
    /// What it was.
    pub from: Link,
    /// What it is.
    pub to: Link,
}

/// All links of a world.
#[derive(Debug, Default)]
pub struct Links {
    paused: BTreeSet<usize>,
    /// Pairs that are cut both ways, the smaller end first.
    cut: BTreeSet<(usize, usize)>,
    /// Directions that are cut by themselves.
    one_way: BTreeSet<(usize, usize)>,
    known: BTreeMap<(usize, usize), Link>,
}

impl Links {
    /// Follows a fault in a world of `hosts` and gives the links that it changes.
    pub fn follow(&mut self, fault: Fault, hosts: usize) -> Vec<Change> {
        match fault {
            Fault::Pause(Host(host)) => drop(self.paused.insert(host)),
            Fault::Resume(Host(host)) => drop(self.paused.remove(&host)),
            Fault::Partition(one, other) => drop(self.cut.insert(pair(one, other))),
            Fault::Repair(one, other) => drop(self.cut.remove(&pair(one, other))),
            Fault::PartitionOneWay(from, to) => drop(self.one_way.insert((from.0, to.0))),
            Fault::RepairOneWay(from, to) => drop(self.one_way.remove(&(from.0, to.0))),
            Fault::Crash(_)
            | Fault::Restart(_)
            | Fault::LoseDisk(_)
            | Fault::LoseStore(_)
            | Fault::Slow(..)
            | Fault::Fast(..)
            | Fault::SetClock(..) => return Vec::new(),
        }
        let pairs = (0..hosts).flat_map(|one| (one + 1..hosts).map(move |other| (one, other)));
        let changes = pairs.filter_map(|ends| {
            let from = self.known.get(&ends).copied().unwrap_or_default();
            let to = self.now(ends);
            (from != to).then_some(Change { ends, from, to })
        });
        let changes: Vec<Change> = changes.collect();
        self.known
            .extend(changes.iter().map(|change| (change.ends, change.to)));
        changes
    }

    fn now(&self, (one, other): (usize, usize)) -> Link {
        let there = self.one_way.contains(&(one, other));
        let back = self.one_way.contains(&(other, one));
        let cut = if self.cut.contains(&(one, other)) || (there && back) {
            Cut::Both
        } else if there {
            Cut::OneWay(one, other)
        } else if back {
            Cut::OneWay(other, one)
        } else {
            Cut::Whole
        };
        let is_held = self.paused.contains(&one) || self.paused.contains(&other);
        Link {
            is_held: is_held && cut != Cut::Both,
            cut,
        }
    }
}

fn pair(one: Host, other: Host) -> (usize, usize) {
    (one.0.min(other.0), one.0.max(other.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Link = Link {
        is_held: false,
        cut: Cut::Whole,
    };
    const HELD: Link = Link {
        is_held: true,
        ..WHOLE
    };

    fn cut(cut: Cut) -> Link {
        Link { cut, ..WHOLE }
    }

    fn change(ends: (usize, usize), from: Link, to: Link) -> Change {
        Change { ends, from, to }
    }

    #[test]
    fn a_pause_and_a_cut_of_one_link_end_apart() {
        let mut links = Links::default();
        let (one, other) = (Host(0), Host(1));
        let paused = links.follow(Fault::Pause(one), 3);
        let held = |ends| change(ends, WHOLE, HELD);
        assert_eq!(paused, [held((0, 1)), held((0, 2))]);
        let parted = links.follow(Fault::Partition(other, one), 3);
        assert_eq!(parted, [change((0, 1), HELD, cut(Cut::Both))]);
        let resumed = links.follow(Fault::Resume(one), 3);
        assert_eq!(resumed, [change((0, 2), HELD, WHOLE)]);
        let repaired = links.follow(Fault::Repair(one, other), 3);
        assert_eq!(repaired, [change((0, 1), cut(Cut::Both), WHOLE)]);
    }

    #[test]
    fn a_link_is_cut_one_way_whoever_else_holds_it() {
        let mut links = Links::default();
        let (one, other) = (Host(0), Host(1));
        let one_way = Cut::OneWay(1, 0);
        let parted = links.follow(Fault::PartitionOneWay(other, one), 2);
        assert_eq!(parted, [change((0, 1), WHOLE, cut(one_way))]);
        let paused = links.follow(Fault::Pause(one), 2);
        let both = Link {
            is_held: true,
            cut: one_way,
        };
        assert_eq!(paused, [change((0, 1), cut(one_way), both)]);
        let parted = links.follow(Fault::PartitionOneWay(one, other), 2);
        assert_eq!(parted, [change((0, 1), both, cut(Cut::Both))]);
        let repaired = links.follow(Fault::RepairOneWay(one, other), 2);
        assert_eq!(repaired, [change((0, 1), cut(Cut::Both), both)]);
    }
}
