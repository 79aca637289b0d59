//! Draws schedules that stay within a budget and end healed.

use super::schedule::{Event, Fault, Host, Schedule};
use crate::random::Random;
use std::{ops::Range, time::Duration};

/// What may go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Hosts, numbered from 0.
    pub hosts: usize,
    /// How many of them may be down or paused at once.
    pub down: usize,
    /// How many links may be cut at once.
    pub cuts: usize,
    /// How many disks may be lost in all. While one is gone and until `refill` after its host is
    /// back, no other host goes down: its data then stands on the others alone.
    pub disks: usize,
    /// How long a host with a new disk needs to hold its data again.
    pub refill: Duration,
    /// From one fault to the next, in microseconds.
    pub gap_micros: Range<u64>,
    /// From a fault to its end, in microseconds.
    pub outage_micros: Range<u64>,
    /// When all is healed: the safety phase ends, the liveness phase begins.
    pub healed_by: Duration,
}

impl Budget {
    /// For a cluster of `hosts` replicas that survives the loss of one.
    #[must_use]
    pub fn one_of(hosts: usize, healed_by: Duration) -> Self {
        Self {
            hosts,
            down: 1,
            cuts: 2,
            disks: 0,
            refill: Duration::from_secs(10),
            gap_micros: 200_000..3_000_000,
            outage_micros: 300_000..6_000_000,
            healed_by,
        }
    }
}

/// What stands at some moment of the drawing.
struct Drawing<'a> {
    budget: &'a Budget,
    random: Random,
    events: Vec<Event>,
    /// Until when each host that was taken down is.
    down: Vec<(Host, Duration)>,
    /// Until when each link that was cut is.
    cut: Vec<((Host, Host), Duration)>,
    disks_lost: usize,
    /// Until when nothing else may go down.
    alone_until: Duration,
}

/// The schedule of `seed` within `budget`.
#[must_use]
pub fn draw(seed: u64, budget: &Budget) -> Schedule {
    let mut drawing = Drawing {
        budget,
        random: Random::of_purpose(seed, "faults"),
        events: Vec::new(),
        down: Vec::new(),
        cut: Vec::new(),
        disks_lost: 0,
        alone_until: Duration::ZERO,
    };
    let mut now = Duration::ZERO;
    loop {
        now += Duration::from_micros(drawing.random.within(budget.gap_micros.clone()));
        let outage = Duration::from_micros(drawing.random.within(budget.outage_micros.clone()));
        if now + outage > budget.healed_by {
            return Schedule::of(drawing.events);
        }
        drawing.fail(now, now + outage);
    }
}

impl Drawing<'_> {
    fn fail(&mut self, now: Duration, end: Duration) {
        self.down.retain(|(_, until)| *until >= now);
        self.cut.retain(|(_, until)| *until >= now);
        // What is drawn does not depend on what fits, so that a budget changes as little as can be.
        let host = Host(self.random.below(self.budget.hosts as u64) as usize);
        let other = Host(self.random.below(self.budget.hosts as u64) as usize);
        match self.random.below(10) {
            0..4 => self.take_down(now, end, host, Fault::Crash(host), Fault::Restart(host)),
            4..6 => self.take_down(now, end, host, Fault::Pause(host), Fault::Resume(host)),
            6 => self.lose_disk(now, end, host),
            _ => self.cut_link(now, end, (host.min(other), host.max(other))),
        }
    }

    fn may_go_down(&self, now: Duration, host: Host) -> bool {
        let is_up = self.down.iter().all(|(down, _)| *down != host);
        is_up && self.down.len() < self.budget.down && now > self.alone_until
    }

    fn take_down(&mut self, now: Duration, end: Duration, host: Host, begin: Fault, over: Fault) {
        if self.may_go_down(now, host) {
            self.down.push((host, end));
            self.add(now, begin, end, over);
        }
    }

    fn lose_disk(&mut self, now: Duration, end: Duration, host: Host) {
        let refilled = end + self.budget.refill;
        let allowed = self.disks_lost < self.budget.disks && refilled <= self.budget.healed_by;
        if allowed && self.down.is_empty() && self.may_go_down(now, host) {
            self.disks_lost += 1;
            self.alone_until = refilled;
            self.down.push((host, end));
            self.add(now, Fault::LoseDisk(host), end, Fault::Restart(host));
        }
    }

    fn cut_link(&mut self, now: Duration, end: Duration, (one, other): (Host, Host)) {
        let is_whole = self.cut.iter().all(|(link, _)| *link != (one, other));
        if one != other && is_whole && self.cut.len() < self.budget.cuts {
            self.cut.push(((one, other), end));
            self.add(
                now,
                Fault::Partition(one, other),
                end,
                Fault::Repair(one, other),
            );
        }
    }

    fn add(&mut self, now: Duration, begin: Fault, end: Duration, over: Fault) {
        self.events.push(Event {
            at: now,
            fault: begin,
        });
        self.events.push(Event {
            at: end,
            fault: over,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn budget() -> Budget {
        Budget {
            disks: 1,
            ..Budget::one_of(3, Duration::from_mins(2))
        }
    }

    /// Plays a schedule and checks that it keeps to its budget.
    fn play(schedule: &Schedule, budget: &Budget) -> usize {
        let (mut down, mut cut, mut disks) = (BTreeSet::new(), BTreeSet::new(), 0);
        for event in schedule.events() {
            assert!(event.at <= budget.healed_by);
            let changed = match event.fault {
                Fault::Crash(host) | Fault::Pause(host) => down.insert(host),
                Fault::LoseDisk(host) => {
                    disks += 1;
                    down.is_empty() && down.insert(host)
                }
                Fault::Restart(host) | Fault::Resume(host) => down.remove(&host),
                Fault::Partition(one, other) => one < other && cut.insert((one, other)),
                Fault::Repair(one, other) => cut.remove(&(one, other)),
                other => panic!("{other} is not drawn here"),
            };
            assert!(changed, "{event} changes nothing in\n{schedule}");
            assert!(down.len() <= budget.down && cut.len() <= budget.cuts && disks <= budget.disks);
        }
        assert!(down.is_empty() && cut.is_empty(), "not healed:\n{schedule}");
        disks
    }

    #[test]
    fn schedules_keep_their_budget_and_end_healed() {
        let budget = budget();
        let lost: usize = (0..200)
            .map(|seed| play(&draw(seed, &budget), &budget))
            .sum();
        assert!(lost > 20, "{lost} disks were lost in 200 schedules");
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        let budget = budget();
        assert_eq!(draw(1, &budget), draw(1, &budget));
        assert_ne!(draw(1, &budget), draw(2, &budget));
        assert!(draw(1, &budget).events().len() > 20);
    }

    #[test]
    fn after_a_lost_disk_the_others_stay_up_until_it_is_refilled() {
        let budget = budget();
        for seed in 0..200 {
            let schedule = draw(seed, &budget);
            let events = schedule.events();
            let lost = events
                .iter()
                .position(|event| matches!(event.fault, Fault::LoseDisk(_)));
            let Some(lost) = lost else { continue };
            let back = events[lost..]
                .iter()
                .find(|event| matches!(event.fault, Fault::Restart(_)));
            let refilled = back.unwrap().at + budget.refill;
            for event in events.iter().filter(|event| event.at > events[lost].at) {
                let takes_down = matches!(event.fault, Fault::Crash(_) | Fault::Pause(_));
                assert!(!takes_down || event.at > refilled, "{event} in\n{schedule}");
            }
        }
    }
}
