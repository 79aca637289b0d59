//! A storm: crashes, pauses and cuts at random, many at once.

use super::{
    NODES,
    scene::{Absence, Scene, drawn},
};
use crate::{
    faults::{Fault, Host},
    random::Random,
};
use std::{ops::Range, time::Duration};

/// Plays until `end`.
pub fn play(random: &mut Random, scene: &mut Scene, end: Duration) {
    let during = scene.now..end;
    for host in (0..NODES).map(Host) {
        outages(random, scene, host, &during);
    }
    cuts(random, scene, &during);
    scene.now = end;
}

/// Crashes and pauses of a host, one after the other. Most are shorter than what makes the
/// cluster promote another, some are not.
fn outages(random: &mut Random, scene: &mut Scene, host: Host, during: &Range<Duration>) {
    let mut now = during.start;
    loop {
        let begin = now + drawn(random, 1_000_000..14_000_000);
        let length = if random.percent(60) {
            drawn(random, 30_000..1_000_000)
        } else {
            drawn(random, 1_000_000..5_000_000)
        };
        let is_crash = random.percent(65);
        let span = begin..begin + length;
        if span.end > during.end {
            return;
        }
        now = span.end;
        let absence = if is_crash {
            Absence::Crash
        } else {
            Absence::Pause
        };
        scene.take_away(absence, host, &span);
    }
}

/// Cuts between nodes, one after the other, a few of them beside another one.
fn cuts(random: &mut Random, scene: &mut Scene, during: &Range<Duration>) {
    let pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| (Host(one), Host(other)));
    let mut free = pairs.map(|_| during.start);
    let mut now = during.start;
    loop {
        let begin = now + drawn(random, 300_000..5_000_000);
        let end = begin + drawn(random, 50_000..5_000_000);
        let place = random.below(3) as usize;
        let is_swapped = random.percent(50);
        let is_one_way = random.percent(40);
        if end > during.end {
            return;
        }
        now = if random.percent(70) { end } else { begin };
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
        let (fault, over) = if is_one_way {
            let over = Fault::RepairOneWay(one, other);
            (Fault::PartitionOneWay(one, other), over)
        } else {
            (Fault::Partition(one, other), Fault::Repair(one, other))
        };
        scene.during(&(begin..end), fault, over);
    }
}
