//! A scene in the making: what is done from one moment on, and how far time has come in it. A scene ends
//! healed.

use super::{LostDisk, NODES, Rest, Trap};
use crate::{
    faults::{Event, Fault, Host},
    random::Random,
};
use std::{ops::Range, time::Duration};

/// See the module.
#[derive(Debug)]
pub struct Scene {
    /// Where the next thing may begin.
    pub now: Duration,
    /// What is done.
    pub events: Vec<Event>,
    /// Which clients do nothing meanwhile.
    pub rests: Vec<Rest>,
    /// What waits for its moment.
    pub traps: Vec<Trap>,
    /// The disk that is lost in it.
    pub lost_disk: Option<LostDisk>,
}

/// How a host is made to be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It crashes.
    Crash,
    /// It stands still.
    Pause,
    /// Nothing passes between it and the other nodes; its clients reach it.
    Isolation,
    /// The other nodes hear nothing of it, and it hears them.
    Muteness,
}

impl Absence {
    /// One of all.
    pub fn draw(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Crash,
            1 => Self::Pause,
            2 => Self::Isolation,
            _ => Self::Muteness,
        }
    }
}

impl Scene {
    /// Nothing yet, from `now` on.
    pub const fn at(now: Duration) -> Self {
        Self {
            now,
            events: Vec::new(),
            rests: Vec::new(),
            traps: Vec::new(),
            lost_disk: None,
        }
    }

    /// What comes after all of this.
    pub fn follow(&mut self, scene: Self) {
        self.now = scene.now;
        self.events.extend(scene.events);
        self.rests.extend(scene.rests);
        self.traps.extend(scene.traps);
        self.lost_disk = self.lost_disk.or(scene.lost_disk);
    }

    /// Nothing happens for a while.
    pub fn peace(&mut self, random: &mut Random, micros: Range<u64>) {
        self.now += drawn(random, micros);
    }

    /// Adds a fault.
    pub fn add(&mut self, at: Duration, fault: Fault) {
        self.events.push(Event { at, fault });
    }

    /// Adds a fault and its end.
    pub fn during(&mut self, span: &Range<Duration>, begin: Fault, end: Fault) {
        self.add(span.start, begin);
        self.add(span.end, end);
    }

    /// Takes a host down for a while.
    pub fn crash(&mut self, host: Host, span: Range<Duration>) {
        self.during(&span, Fault::Crash(host), Fault::Restart(host));
    }

    /// Takes a host away for a while.
    pub fn take_away(&mut self, absence: Absence, host: Host, span: &Range<Duration>) {
        let others = || (0..NODES).map(Host).filter(move |other| *other != host);
        match absence {
            Absence::Crash => self.crash(host, span.clone()),
            Absence::Pause => self.during(span, Fault::Pause(host), Fault::Resume(host)),
            Absence::Isolation => {
                for other in others() {
                    let (begin, end) = (Fault::Partition(host, other), Fault::Repair(host, other));
                    self.during(span, begin, end);
                }
            }
            Absence::Muteness => {
                for other in others() {
                    let begin = Fault::PartitionOneWay(host, other);
                    self.during(span, begin, Fault::RepairOneWay(host, other));
                }
            }
        }
    }

    /// Lets a client do nothing for a while.
    pub fn rest(&mut self, client: usize, span: Range<Duration>) {
        self.rests.push(Rest { client, span });
    }
}

/// A span of so many microseconds.
pub fn drawn(random: &mut Random, micros: Range<u64>) -> Duration {
    Duration::from_micros(random.within(micros))
}

/// Three hosts in any order.
pub fn hosts(random: &mut Random) -> [Host; NODES] {
    let first = random.below(NODES as u64) as usize;
    let step = 1 + random.below(2) as usize;
    [0, 1, 2].map(|place| Host((first + place * step) % NODES))
}
