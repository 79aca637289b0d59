//! What is done to the nodes of a region: crashes, half of them as a loss of power in the middle of a
//! write, pauses, cuts both ways and one way, wall clocks that are off and jump, one lost disk.
//!
//! Unlike [`crate::faults::draw`] it keeps no budget of hosts that are down: what was synced outlives
//! any number of crashes. Only a lost disk counts, and whether it may be lost then is asked of the
//! cluster. All but the last crashes end before the load does.

use crate::{
    faults::{Event, Fault, Host, Schedule},
    random::Random,
};
use std::{ops::Range, time::Duration};

/// Nodes of the region; clients come behind them.
pub const NODES: usize = 3;

/// Power goes a little before the host is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerLoss {
    /// Whose.
    pub host: Host,
    /// From when on.
    pub at: Duration,
    /// After how many more changes of the disk.
    pub after_changes: u64,
}

/// A disk that is lost while its host is down, if the cluster holds everything elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostDisk {
    /// Whose.
    pub host: Host,
    /// When the host goes down.
    pub down: Duration,
    /// When it comes back.
    pub up: Duration,
    /// Whether only the store's files are lost.
    pub only_store: bool,
}

/// What a seed does to the region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// To hosts, links and clocks.
    pub schedule: Schedule,
    /// To disks, in the order of time.
    pub power_losses: Vec<PowerLoss>,
    /// The disk that is lost, if one is.
    pub lost_disk: Option<LostDisk>,
}

/// When things go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// From when until when.
    pub faults: Range<Duration>,
    /// The last crashes.
    pub last_crashes: Duration,
    /// From when on nothing is wrong any more.
    pub healed: Duration,
}

/// How long a host whose disk is lost stays down: meanwhile the others make up for it, as far as they
/// can.
const DOWN_WITHOUT_DISK: Duration = Duration::from_millis(3_500);

struct Drawing {
    random: Random,
    events: Vec<Event>,
    /// When hosts are not to be taken down by anything else.
    taken: Vec<(Host, Range<Duration>)>,
}

/// Draws what happens to the region of `seed`.
#[must_use]
pub fn draw(seed: u64, times: &Times) -> Drawn {
    let mut drawing = Drawing {
        random: Random::of_purpose(seed, "faults of a region"),
        events: Vec::new(),
        taken: Vec::new(),
    };
    let lost_disk = drawing.lost_disk(&times.faults);
    drawing.storm(&times.faults);
    drawing.last_crashes(times);
    for host in 0..NODES {
        drawing.outages(Host(host), &times.faults);
    }
    drawing.cuts(&times.faults);
    drawing.clocks(times);
    let schedule = Schedule::of(drawing.events);
    let power_losses = power_losses(&mut drawing.random, &schedule);
    Drawn {
        schedule,
        power_losses,
        lost_disk,
    }
}

impl Drawing {
    fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.random.within(range))
    }

    fn add(&mut self, at: Duration, fault: Fault) {
        self.events.push(Event { at, fault });
    }

    /// Takes a host down, or pauses it, unless something else does about then.
    fn take_down(&mut self, span: Range<Duration>, host: Host, faults: (Fault, Fault)) -> bool {
        let margin = Duration::from_millis(150);
        let clashes = |(of, taken): &(Host, Range<Duration>)| {
            *of == host && taken.start < span.end + margin && span.start < taken.end + margin
        };
        if self.taken.iter().any(clashes) {
            return false;
        }
        self.add(span.start, faults.0);
        self.add(span.end, faults.1);
        self.taken.push((host, span));
        true
    }

    fn crash(&mut self, span: Range<Duration>, host: Host) -> bool {
        self.take_down(span, host, (Fault::Crash(host), Fault::Restart(host)))
    }

    /// In every second run a disk is lost; half of these times another host stands still soon after
    /// it is back.
    fn lost_disk(&mut self, during: &Range<Duration>) -> Option<LostDisk> {
        let third = (during.end - during.start) / 3;
        let down = during.start + third + Duration::from_micros(self.random.below(micros(third)));
        let up = down + DOWN_WITHOUT_DISK;
        let host = Host(self.random.below(NODES as u64) as usize);
        let only_store = self.random.percent(50);
        let pause = up + self.micros(0..1_500_000);
        let paused = pause..pause + self.micros(1_000_000..4_000_000);
        let other = Host((host.0 + 1 + self.random.below(2) as usize) % NODES);
        let (happens, with_pause) = (self.random.percent(50), self.random.percent(50));
        if !happens {
            return None;
        }
        let fault = if only_store {
            Fault::LoseStore(host)
        } else {
            Fault::LoseDisk(host)
        };
        self.take_down(down..up, host, (fault, Fault::Restart(host)));
        if with_pause && paused.end < during.end {
            self.take_down(paused, other, (Fault::Pause(other), Fault::Resume(other)));
        }
        Some(LostDisk {
            host,
            down,
            up,
            only_store,
        })
    }

    /// In every second run all hosts crash at about the same time.
    fn storm(&mut self, during: &Range<Duration>) {
        let length = micros(during.end - during.start) - 3_000_000;
        let start = during.start + Duration::from_micros(self.random.below(length));
        let happens = self.random.percent(50);
        for host in 0..NODES {
            let begin = start + self.micros(0..300_000);
            let end = begin + self.micros(50_000..2_500_000);
            if happens {
                self.crash(begin..end, Host(host));
            }
        }
    }

    /// When the load is over, all hosts crash, or one.
    fn last_crashes(&mut self, times: &Times) {
        let all = self.random.percent(50);
        let one = self.random.below(NODES as u64) as usize;
        for host in (0..NODES).filter(|host| all || *host == one) {
            self.crash(times.last_crashes..times.healed, Host(host));
        }
    }

    /// Crashes and pauses of a host, one after the other. Most are shorter than what makes the
    /// cluster promote another, some are not.
    fn outages(&mut self, host: Host, during: &Range<Duration>) {
        let mut now = during.start;
        loop {
            let begin = now + self.micros(1_000_000..14_000_000);
            let length = if self.random.percent(60) {
                self.micros(30_000..1_000_000)
            } else {
                self.micros(1_000_000..5_000_000)
            };
            let is_crash = self.random.percent(65);
            let span = begin..begin + length;
            if span.end > during.end {
                return;
            }
            now = span.end;
            if is_crash {
                self.crash(span, host);
            } else {
                self.take_down(span, host, (Fault::Pause(host), Fault::Resume(host)));
            }
        }
    }

    /// Cuts between nodes, one after the other, a few of them beside another one.
    fn cuts(&mut self, during: &Range<Duration>) {
        let pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| (Host(one), Host(other)));
        let mut free = pairs.map(|_| during.start);
        let mut now = during.start;
        loop {
            let begin = now + self.micros(300_000..5_000_000);
            let end = begin + self.micros(50_000..5_000_000);
            let place = self.random.below(3) as usize;
            let is_swapped = self.random.percent(50);
            let is_one_way = self.random.percent(40);
            if end > during.end {
                return;
            }
            now = if self.random.percent(70) { end } else { begin };
            if begin < free[place] {
                continue;
            }
            free[place] = end + Duration::from_millis(2);
            let (one, other) = pairs[place];
            let (one, other) = if is_swapped {
                (other, one)
            } else {
                (one, other)
            };
            if is_one_way {
                self.add(begin, Fault::PartitionOneWay(one, other));
                self.add(end, Fault::RepairOneWay(one, other));
            } else {
                self.add(begin, Fault::Partition(one, other));
                self.add(end, Fault::Repair(one, other));
            }
        }
    }

    /// Each clock is off from the start by less than clocks may be, and jumps: within that mostly,
    /// beyond it sometimes. All are right again before the last crashes.
    fn clocks(&mut self, times: &Times) {
        for host in (0..NODES).map(Host) {
            let mut now = Duration::from_millis(1);
            while now < times.faults.end {
                let within = self.random.within(0..480).cast_signed() - 240;
                let beyond = self.random.within(0..6_000).cast_signed() - 3_000;
                let is_beyond = self.random.percent(20) && now > times.faults.start;
                let millis = if is_beyond { beyond } else { within };
                self.add(now, Fault::SetClock(host, millis));
                now += self.micros(4_000_000..20_000_000);
            }
            self.add(times.faults.end, Fault::SetClock(host, 0));
        }
    }
}

fn power_losses(random: &mut Random, schedule: &Schedule) -> Vec<PowerLoss> {
    let mut losses = Vec::new();
    for event in schedule.events() {
        let Fault::Crash(host) = event.fault else {
            continue;
        };
        let before = Duration::from_micros(random.within(2_000..80_000));
        let after_changes = random.below(6);
        if random.percent(60) {
            losses.push(PowerLoss {
                host,
                at: event.at - before,
                after_changes,
            });
        }
    }
    losses.sort_by_key(|loss| loss.at);
    losses
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn times() -> Times {
        let seconds = Duration::from_secs;
        Times {
            faults: seconds(8)..seconds(58),
            last_crashes: seconds(61),
            healed: seconds(62),
        }
    }

    /// Plays a schedule: nothing begins that stands already, and nothing stands when all is healed.
    fn play(drawn: &Drawn) {
        let (mut down, mut cut, mut clocks) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let one_way = |from: Host, to: Host| (from.0, to.0, true);
        for event in drawn.schedule.events() {
            let changed = match event.fault {
                Fault::Crash(host)
                | Fault::Pause(host)
                | Fault::LoseDisk(host)
                | Fault::LoseStore(host) => down.insert(host),
                Fault::Restart(host) | Fault::Resume(host) => down.remove(&host),
                Fault::Partition(one, other) => cut.insert((one.0, other.0, false)),
                Fault::Repair(one, other) => cut.remove(&(one.0, other.0, false)),
                Fault::PartitionOneWay(from, to) => cut.insert(one_way(from, to)),
                Fault::RepairOneWay(from, to) => cut.remove(&one_way(from, to)),
                Fault::SetClock(host, millis) => {
                    clocks.insert(host, millis);
                    true
                }
            };
            assert!(changed, "{event} changes nothing in\n{}", drawn.schedule);
            assert!(event.at <= times().healed);
        }
        assert!(down.is_empty() && cut.is_empty(), "{}", drawn.schedule);
        assert!(clocks.values().all(|millis| *millis == 0));
    }

    #[test]
    fn schedules_end_healed_and_hold_every_fault() {
        let mut kinds = BTreeMap::<String, usize>::new();
        for seed in 0..100 {
            let drawn = draw(seed, &times());
            play(&drawn);
            for event in drawn.schedule.events() {
                let text = event.fault.to_string();
                let kind = text.split(' ').next().unwrap_or_default().to_owned();
                *kinds.entry(kind).or_default() += 1;
            }
        }
        for kind in [
            "crash",
            "pause",
            "partition",
            "partition-one-way",
            "lose-disk",
            "lose-store",
            "set-clock",
        ] {
            assert!(
                kinds.get(kind).is_some_and(|times| *times > 10),
                "{kinds:?}"
            );
        }
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        assert_eq!(draw(1, &times()), draw(1, &times()));
        assert_ne!(draw(1, &times()), draw(2, &times()));
    }
}
