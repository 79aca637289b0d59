//! The state of every link: whole, held or cut. Turmoil knows these states one call at a time; here
//! a pause and a cut of the same link overlap as they would in reality.

use crate::faults::{Fault, Host};
use std::collections::{BTreeMap, BTreeSet};

/// What a link does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Delivers it.
    Whole,
    /// Keeps it until the link is whole.
    Held,
    /// Loses it.
    Cut,
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
    cut: BTreeSet<(usize, usize)>,
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
            Fault::Crash(_) | Fault::Restart(_) | Fault::LoseDisk(_) => return Vec::new(),
        }
        let pairs = (0..hosts).flat_map(|one| (one + 1..hosts).map(move |other| (one, other)));
        let changes = pairs.filter_map(|ends| {
            let (from, to) = (
                self.known.get(&ends).copied().unwrap_or(Link::Whole),
                self.now(ends),
            );
            (from != to).then_some(Change { ends, from, to })
        });
        let changes: Vec<Change> = changes.collect();
        self.known
            .extend(changes.iter().map(|change| (change.ends, change.to)));
        changes
    }

    fn now(&self, (one, other): (usize, usize)) -> Link {
        if self.cut.contains(&(one, other)) {
            Link::Cut
        } else if self.paused.contains(&one) || self.paused.contains(&other) {
            Link::Held
        } else {
            Link::Whole
        }
    }
}

fn pair(one: Host, other: Host) -> (usize, usize) {
    (one.0.min(other.0), one.0.max(other.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(ends: (usize, usize), from: Link, to: Link) -> Change {
        Change { ends, from, to }
    }

    #[test]
    fn a_pause_and_a_cut_of_one_link_end_apart() {
        let mut links = Links::default();
        let (one, other) = (Host(0), Host(1));
        let paused = links.follow(Fault::Pause(one), 3);
        let held = |ends| change(ends, Link::Whole, Link::Held);
        assert_eq!(paused, [held((0, 1)), held((0, 2))]);
        let cut = links.follow(Fault::Partition(other, one), 3);
        assert_eq!(cut, [change((0, 1), Link::Held, Link::Cut)]);
        let resumed = links.follow(Fault::Resume(one), 3);
        assert_eq!(resumed, [change((0, 2), Link::Held, Link::Whole)]);
        let repaired = links.follow(Fault::Repair(one, other), 3);
        assert_eq!(repaired, [change((0, 1), Link::Cut, Link::Whole)]);
    }
}
