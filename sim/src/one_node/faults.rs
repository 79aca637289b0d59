//! What is done to the one node: crashes, half of them as a loss of power in the middle of a write,
//! pauses, and cuts between it and single clients. All of it ends before the load does.

use crate::{
    faults::{Event, Fault, Host, PowerLoss, Schedule},
    random::Random,
};
use std::time::Duration;

/// The node's place among the hosts; clients come behind it.
const NODE: Host = Host(0);
/// Nothing goes wrong before: the node founds its cluster.
const QUIET: Duration = Duration::from_secs(2);

/// What a seed does to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// To hosts and links.
    pub schedule: Schedule,
    /// To the disk, in the order of time.
    pub power_losses: Vec<PowerLoss>,
}

/// Draws faults for a load of `load`, and the crash that comes `last` after it.
pub fn draw(seed: u64, load: Duration, last: Duration) -> Drawn {
    let mut random = Random::of_purpose(seed, "faults of one node");
    let mut events = outages(&mut random, load);
    events.extend(cuts(&mut random, load));
    let down = |at, fault| Event { at, fault };
    events.push(down(load + last, Fault::Crash(NODE)));
    let up = load + last + Duration::from_millis(200);
    events.push(down(up, Fault::Restart(NODE)));
    let schedule = Schedule::of(events);
    let power_losses = PowerLoss::draw(&mut random, &schedule);
    Drawn {
        schedule,
        power_losses,
    }
}

fn micros(random: &mut Random, range: std::ops::Range<u64>) -> Duration {
    Duration::from_micros(random.within(range))
}

/// Crashes and pauses, one after the other.
fn outages(random: &mut Random, load: Duration) -> Vec<Event> {
    let mut events = Vec::new();
    let mut now = QUIET;
    loop {
        let begin = now + micros(random, 100_000..2_500_000);
        let end = begin + micros(random, 50_000..1_200_000);
        if end > load {
            return events;
        }
        let (fault, over) = if random.percent(70) {
            (Fault::Crash(NODE), Fault::Restart(NODE))
        } else {
            (Fault::Pause(NODE), Fault::Resume(NODE))
        };
        events.push(Event { at: begin, fault });
        events.push(Event {
            at: end,
            fault: over,
        });
        now = end;
    }
}

/// Cuts between the node and one client after the other.
fn cuts(random: &mut Random, load: Duration) -> Vec<Event> {
    let mut events = Vec::new();
    let mut now = QUIET;
    loop {
        let begin = now + micros(random, 200_000..4_000_000);
        let end = begin + micros(random, 100_000..2_000_000);
        if end > load {
            return events;
        }
        let client = Host(1 + random.below(super::CLIENTS) as usize);
        let fault = Fault::Partition(NODE, client);
        let over = Fault::Repair(NODE, client);
        events.push(Event { at: begin, fault });
        events.push(Event {
            at: end,
            fault: over,
        });
        now = end;
    }
}
