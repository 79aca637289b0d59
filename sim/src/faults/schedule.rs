//! A schedule: faults and their times, as text and back.

use std::{fmt, str::FromStr, time::Duration};

/// A host by its number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub usize);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One thing that is done to hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The process ends at once; what was not synced is lost.
    Crash(Host),
    /// The process starts again.
    Restart(Host),
    /// The process ends at once and its disk is gone.
    LoseDisk(Host),
    /// The process ends at once and its store's files are gone, the node's others are not.
    LoseStore(Host),
    /// Nothing passes between the two.
    Partition(Host, Host),
    /// It passes again.
    Repair(Host, Host),
    /// Nothing passes from the first to the second; the other way it does.
    PartitionOneWay(Host, Host),
    /// It passes again.
    RepairOneWay(Host, Host),
    /// The process stands still.
    Pause(Host),
    /// It goes on.
    Resume(Host),
    /// Messages between the two travel for these milliseconds.
    Slow(Host, Host, i64),
    /// They travel as fast as others again.
    Fast(Host, Host),
    /// Its wall clock is off by these milliseconds from now on.
    SetClock(Host, i64),
}

/// A fault and its time since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

/// Faults in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    events: Vec<Event>,
}

impl Schedule {
    /// A schedule of the given faults. Faults of one time keep their order.
    #[must_use]
    pub fn of(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.at);
        Self { events }
    }

    /// The faults, earliest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The faults after `from` and until `to`.
    pub fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = Fault> + '_ {
        let start = self.events.partition_point(|event| event.at <= from);
        let due = self.events[start..]
            .iter()
            .take_while(move |event| event.at <= to);
        due.map(|event| event.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(host) => write!(f, "crash {host}"),
            Self::Restart(host) => write!(f, "restart {host}"),
            Self::LoseDisk(host) => write!(f, "lose-disk {host}"),
            Self::LoseStore(host) => write!(f, "lose-store {host}"),
            Self::Partition(one, other) => write!(f, "partition {one} {other}"),
            Self::Repair(one, other) => write!(f, "repair {one} {other}"),
            Self::PartitionOneWay(from, to) => write!(f, "partition-one-way {from} {to}"),
            Self::RepairOneWay(from, to) => write!(f, "repair-one-way {from} {to}"),
            Self::Pause(host) => write!(f, "pause {host}"),
            Self::Resume(host) => write!(f, "resume {host}"),
            Self::Slow(one, other, millis) => write!(f, "slow {one} {other} {millis}"),
            Self::Fast(one, other) => write!(f, "fast {one} {other}"),
            Self::SetClock(host, millis) => write!(f, "set-clock {host} {millis}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06} {}",
            self.at.as_secs(),
            self.at.subsec_micros(),
            self.fault
        )
    }
}

/// One fault a line: seconds, what, hosts.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events
            .iter()
            .try_for_each(|event| writeln!(f, "{event}"))
    }
}

/// A line is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no fault; write seconds, then crash, restart, lose-disk, lose-store, pause or resume and a host, \
     or partition or repair (-one-way) or fast and two, or slow, two and milliseconds, or set-clock, a host \
     and milliseconds"
)]
pub struct ParseError(String);

impl FromStr for Schedule {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let event = |line: &str| parse(line).ok_or_else(|| ParseError(line.to_owned()));
        lines.map(event).collect::<Result<_, _>>().map(Self::of)
    }
}

fn parse(line: &str) -> Option<Event> {
    let mut words = line.split_whitespace();
    let (seconds, micros) = words.next()?.split_once('.')?;
    let micros: u32 = (micros.len() == 6).then(|| micros.parse().ok())??;
    let at = Duration::new(seconds.parse().ok()?, micros * 1_000);
    let verb = words.next()?;
    let numbers: Option<Vec<i64>> = words.map(|word| word.parse().ok()).collect();
    let fault = match &numbers?[..] {
        [host] => of_host(verb, as_host(*host)?)?,
        [host, millis] if verb == "set-clock" => Fault::SetClock(as_host(*host)?, *millis),
        [one, other, millis] if verb == "slow" && *millis >= 0 => {
            Fault::Slow(as_host(*one)?, as_host(*other)?, *millis)
        }
        [one, other] => of_link(verb, as_host(*one)?, as_host(*other)?)?,
        _ => return None,
    };
    Some(Event { at, fault })
}

fn as_host(number: i64) -> Option<Host> {
    usize::try_from(number).ok().map(Host)
}

fn of_host(verb: &str, host: Host) -> Option<Fault> {
    Some(match verb {
        "crash" => Fault::Crash(host),
        "restart" => Fault::Restart(host),
        "lose-disk" => Fault::LoseDisk(host),
        "lose-store" => Fault::LoseStore(host),
        "pause" => Fault::Pause(host),
        "resume" => Fault::Resume(host),
        _ => return None,
    })
}

fn of_link(verb: &str, one: Host, other: Host) -> Option<Fault> {
    Some(match verb {
        "partition" => Fault::Partition(one, other),
        "repair" => Fault::Repair(one, other),
        "partition-one-way" => Fault::PartitionOneWay(one, other),
        "repair-one-way" => Fault::RepairOneWay(one, other),
        "fast" => Fault::Fast(one, other),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0.500000 crash 1\n\
                        1.000001 partition 0 2\n\
                        2.000000 restart 1\n\
                        2.500000 lose-disk 0\n\
                        3.000000 pause 2\n\
                        3.250000 resume 2\n\
                        4.000000 partition-one-way 2 0\n\
                        4.500000 repair-one-way 2 0\n\
                        5.000000 lose-store 1\n\
                        6.000000 set-clock 0 -2500\n\
                        7.000000 slow 0 2 300\n\
                        8.000000 fast 0 2\n\
                        9.000000 repair 0 2\n";

    #[test]
    fn a_schedule_reads_back_as_it_prints() {
        let schedule: Schedule = TEXT.parse().unwrap();
        assert_eq!(schedule.to_string(), TEXT);
        for wrong in [
            "1 crash 1",
            "1.000000 crash",
            "1.000000 crash 1 2",
            "1.000000 burn 1",
            "1.5 crash 1",
            "1.000000 crash -1",
            "1.000000 set-clock 1",
            "1.000000 partition-one-way 1",
            "1.000000 slow 0 1",
            "1.000000 slow 0 1 -5",
        ] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_fault_is_due_once() {
        let schedule: Schedule = TEXT.parse().unwrap();
        let step = Duration::from_millis(100);
        let due: Vec<Fault> = (0..100)
            .flat_map(|tick| {
                schedule
                    .between(step * tick, step * (tick + 1))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(due.len(), schedule.events().len());
        assert_eq!(due[0], Fault::Crash(Host(1)));
    }
}
