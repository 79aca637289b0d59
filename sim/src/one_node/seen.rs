//! Rare states that runs exist to come into.

use crate::{
    faults::{Fault, Schedule},
    history::{Event, History, WriteAnswer},
};
use std::{ops::AddAssign, time::Duration};

/// How often a run came into states that are rare, and that it exists to come into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Crashes.
    pub crashes: usize,
    /// Of these, with acknowledged writes since the crash before.
    pub crashes_after_acknowledgements: usize,
    /// Of these, in which something was lost that the node had written and not synced.
    pub crashes_with_loss: usize,
    /// Pauses and cuts.
    pub others: usize,
    /// Attempts to write that ended without an outcome.
    pub unknown: usize,
    /// Attempts that were acknowledged after an earlier one of the same request had no outcome.
    pub acknowledged_again: usize,
}

impl Seen {
    /// What a history and its schedule show.
    #[must_use]
    pub fn of(history: &History, schedule: &Schedule, crashes_with_loss: usize) -> Self {
        let mut seen = Self {
            crashes_with_loss,
            ..Self::default()
        };
        let acknowledged = acknowledgements(history, &mut seen);
        let mut since = Duration::ZERO;
        for event in schedule.events() {
            match event.fault {
                Fault::Crash(_) => {
                    let within = |at: &&Duration| **at > since && **at <= event.at;
                    seen.crashes += 1;
                    seen.crashes_after_acknowledgements +=
                        usize::from(acknowledged.iter().any(|at| within(&at)));
                    since = event.at;
                }
                Fault::Pause(_) | Fault::Partition(..) => seen.others += 1,
                _ => {}
            }
        }
        seen
    }
}

/// When writes were acknowledged; counts how attempts ended.
fn acknowledgements(history: &History, seen: &mut Seen) -> Vec<Duration> {
    let mut acknowledged = Vec::new();
    let mut requests = std::collections::BTreeMap::new();
    let mut attempts = std::collections::BTreeMap::<_, usize>::new();
    for entry in history.entries() {
        match &entry.event {
            Event::WriteIssued(write) => {
                let earlier = attempts.entry(write.request).or_default();
                requests.insert(write.call, *earlier);
                *earlier += 1;
            }
            Event::WriteAnswered(answered) => match answered.answer {
                WriteAnswer::Acknowledged(_) => {
                    acknowledged.push(Duration::from_micros(entry.at.0));
                    let earlier = requests.get(&answered.call).copied().unwrap_or(0);
                    seen.acknowledged_again += usize::from(earlier > 0);
                }
                WriteAnswer::Unknown(_) => seen.unknown += 1,
                WriteAnswer::Refused(_) => {}
            },
            _ => {}
        }
    }
    acknowledged
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.crashes_after_acknowledgements += other.crashes_after_acknowledgements;
        self.crashes_with_loss += other.crashes_with_loss;
        self.others += other.others;
        self.unknown += other.unknown;
        self.acknowledged_again += other.acknowledged_again;
    }
}
