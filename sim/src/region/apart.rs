//! What is done to a region whose nodes count what they hold in memory: a crash takes a copy for good,
//! so it comes only while every shard has all its copies, and one fault is over before the next.
//!
//! Crashes, which lose what was not synced, pauses, cuts both ways and one way, wrong clocks. That
//! nothing acknowledged is lost by one crash at a time is what such a region promises; what several at
//! once do is the business of tests on real processes.

use super::{
    faults::{Drawn, NODES, Times},
    operator,
};
use crate::{
    faults::{Event, Fault, Host, Schedule},
    random::Random,
};
use std::{cell::RefCell, collections::BTreeSet, error::Error, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// How often it is looked whether all copies are there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look that is older says nothing.
const COUNTS_FOR: Duration = Duration::from_millis(400);

/// Draws faults that are apart from each other.
#[must_use]
pub fn draw(seed: u64, times: &Times) -> Drawn {
    let mut random = Random::of_purpose(seed, "faults of a region that counts memory");
    let mut events = Vec::new();
    let span = |random: &mut Random, from_millis: u64, to_millis: u64| {
        Duration::from_micros(random.within(from_millis * 1_000..to_millis * 1_000))
    };
    let mut now = times.faults.start;
    loop {
        let begin = now + span(&mut random, 2_500, 7_000);
        let end = begin + span(&mut random, 30, 3_500);
        if end >= times.faults.end {
            break;
        }
        now = end;
        let [host, other] = two(&mut random);
        let (fault, over) = match random.below(10) {
            0..=5 => (Fault::Crash(host), Fault::Restart(host)),
            6 => (Fault::Pause(host), Fault::Resume(host)),
            7 => (
                Fault::PartitionOneWay(host, other),
                Fault::RepairOneWay(host, other),
            ),
            _ => (Fault::Partition(host, other), Fault::Repair(host, other)),
        };
        events.push(Event { at: begin, fault });
        events.push(Event {
            at: end,
            fault: over,
        });
    }
    for host in (0..NODES).map(Host) {
        let millis = random.within(0..480).cast_signed() - 240;
        let set = |at, millis| Event {
            at,
            fault: Fault::SetClock(host, millis),
        };
        events.push(set(Duration::from_millis(1), millis));
        events.push(set(times.faults.end, 0));
    }
    let [last, _] = two(&mut random);
    events.extend([
        Event {
            at: times.last_crashes,
            fault: Fault::Crash(last),
        },
        Event {
            at: times.healed,
            fault: Fault::Restart(last),
        },
    ]);
    Drawn {
        schedule: Schedule::of(events),
        power_losses: Vec::new(),
        lost_disk: None,
        rests: Vec::new(),
        traps: Vec::new(),
    }
}

fn two(random: &mut Random) -> [Host; 2] {
    let host = random.below(NODES as u64) as usize;
    let other = (host + 1 + random.below(2) as usize) % NODES;
    [Host(host), Host(other)]
}

/// Whether a host may crash now: every gateway said just before that every shard has all its copies.
#[derive(Debug, Clone, Default)]
pub struct Budget(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    whole_at: Option<Duration>,
    spared: BTreeSet<Host>,
}

impl Budget {
    /// Whether a fault happens at `now`. The restart of a host that was spared does not either.
    #[must_use]
    pub fn allows(&self, fault: Fault, now: Duration) -> bool {
        let mut state = self.0.borrow_mut();
        match fault {
            Fault::Crash(host) => {
                let is_fresh = |at: Duration| now.saturating_sub(at) < COUNTS_FOR;
                let may = state.whole_at.is_some_and(is_fresh);
                if !may {
                    state.spared.insert(host);
                }
                may
            }
            Fault::Restart(host) => !state.spared.remove(&host),
            _ => true,
        }
    }

    /// Looks, again and again until `end`, whether all copies are there.
    pub async fn watch(self, end: Duration) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while start.elapsed() < end {
            let looked_at = start.elapsed();
            let is_whole = operator::is_whole_now().await;
            self.0.borrow_mut().whole_at = is_whole.then_some(looked_at);
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::faults::tests::times;

    #[test]
    fn one_fault_is_over_before_the_next() {
        for seed in 0..50 {
            let drawn = draw(seed, &times());
            let events = drawn.schedule.events().iter();
            let faults: Vec<Fault> = events
                .map(|event| event.fault)
                .filter(|fault| !matches!(fault, Fault::SetClock(..)))
                .collect();
            for pair in faults.chunks(2) {
                let matches = match (pair[0], pair[1]) {
                    (Fault::Crash(down), Fault::Restart(up)) => down == up,
                    (Fault::Pause(down), Fault::Resume(up)) => down == up,
                    (Fault::Partition(a, b), Fault::Repair(c, d))
                    | (Fault::PartitionOneWay(a, b), Fault::RepairOneWay(c, d)) => (a, b) == (c, d),
                    _ => false,
                };
                assert!(matches, "{pair:?} in\n{}", drawn.schedule);
            }
        }
    }

    #[test]
    fn a_host_is_spared_with_its_restart_unless_all_was_whole_just_now() {
        let budget = Budget::default();
        let at = Duration::from_millis;
        let (crash, restart) = (Fault::Crash(Host(1)), Fault::Restart(Host(1)));
        assert!(!budget.allows(crash, at(100)) && !budget.allows(restart, at(200)));
        budget.0.borrow_mut().whole_at = Some(at(300));
        assert!(budget.allows(crash, at(500)) && budget.allows(restart, at(600)));
        assert!(!budget.allows(crash, at(800)), "that look is old");
    }
}
