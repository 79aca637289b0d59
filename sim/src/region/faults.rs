//! What is done to the nodes of a region: scenes one after the other, each of which leads where a rule
//! of replication carries the load, or is a storm of all faults at random; wall clocks that are off and
//! jump; crashes after the load, as a loss of power in the middle of a write often.
//!
//! Unlike [`crate::faults::draw`] it keeps no budget of hosts that are down: what was synced outlives
//! any number of crashes. Only a lost disk counts, and whether it may be lost then is asked of the
//! cluster. All but the last crashes end before the load does.

mod scene;
mod scenes;
mod storm;

use super::plays::{PLAYS, Play};
use crate::{
    faults::{Fault, Host, PowerLoss, Schedule},
    random::Random,
};
use scene::Scene;
pub use scene::{drawn, hosts};
use scenes::SCENES;
use std::{fmt, ops::Range, str::FromStr, time::Duration};

/// Nodes of the region; clients come behind them.
pub const NODES: usize = 3;

/// A disk that is lost while its host is down, if the cluster holds everything elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostDisk {
    /// Whose.
    pub host: Host,
    /// When the cluster is asked. The host is down.
    pub asked: Duration,
    /// When it comes back.
    pub up: Duration,
    /// Whether only the store's files are lost.
    pub only_store: bool,
    /// Whether the host is back before anyone takes it for lost.
    pub is_exchanged: bool,
}

/// The name of a scene or a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneName(&'static str);

/// There is no such scene.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scene {0:?}; there are {known}", known = known())]
pub struct NoScene(String);

fn known() -> String {
    let mut names: Vec<&str> = names().collect();
    names.dedup();
    names.join(", ")
}

/// Scenes that may be played by themselves, and plays.
fn names() -> impl Iterator<Item = &'static str> {
    let scenes = SCENES.iter().map(|(name, _)| *name);
    let plays = PLAYS.iter().map(|play| play.name);
    scenes.chain(plays)
}

impl SceneName {
    /// The play, if it names one.
    #[must_use]
    pub fn play(self) -> Option<Play> {
        PLAYS.into_iter().find(|play| play.name == self.0)
    }
}

impl FromStr for SceneName {
    type Err = NoScene;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = names().find(|name| *name == text);
        found.map(Self).ok_or_else(|| NoScene(text.to_owned()))
    }
}

/// A client that does nothing for a while. What it had open at the beginning stays open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Which client, by the node whose gateway is its own.
    pub client: usize,
    /// From when until when.
    pub span: Range<Duration>,
}

/// Waits for a shard to grow, and cuts its primary off before it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// When it waits.
    pub armed: Range<Duration>,
    /// How long the primary is cut off.
    pub lasts: Duration,
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
    /// To its clients.
    pub rests: Vec<Rest>,
    /// To primaries, in the order of time.
    pub traps: Vec<Trap>,
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.schedule.fmt(f)?;
        for PowerLoss { host, at, .. } in &self.power_losses {
            writeln!(f, "{:.6} lose-power {host}", at.as_secs_f64())?;
        }
        if let Some(lost) = self.lost_disk {
            let asked = lost.asked.as_secs_f64();
            writeln!(f, "{asked:.6} ask whether the disk of {} may go", lost.host)?;
        }
        for Rest { client, span } in &self.rests {
            let (start, end) = (span.start.as_secs_f64(), span.end.as_secs_f64());
            writeln!(f, "{start:.6} client {client} rests until {end:.6}")?;
        }
        for Trap { armed, lasts } in &self.traps {
            let (start, end) = (armed.start.as_secs_f64(), armed.end.as_secs_f64());
            writeln!(
                f,
                "{start:.6} until {end:.6} cut off a primary as it grows, for {lasts:?}"
            )?;
        }
        Ok(())
    }
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

/// Seeds of a hundred that lose a disk. Such a scene needs peace before it, so it is not left to the
/// dice of the others.
const DISK_PERCENT: u64 = 60;
/// Seeds of a hundred that are one storm from the beginning to the end.
const STORM_PERCENT: u64 = 20;

/// Draws what happens to the region of `seed`: scenes of all kinds, or of one. A play is not drawn.
#[must_use]
pub fn draw(seed: u64, times: &Times, only: Option<SceneName>) -> Drawn {
    let mut random = Random::of_purpose(seed, "faults of a region");
    let mut all = match only {
        None => scenes_of(&mut random, &times.faults),
        Some(name) if name.play().is_some() => Scene::at(times.faults.start),
        Some(SceneName(name)) => one_scene(&mut random, &times.faults, name),
    };
    last_crashes(&mut random, times, &mut all);
    if only.and_then(SceneName::play).is_none() {
        clocks(&mut random, times, &mut all);
    }
    let schedule = Schedule::of(all.events);
    let power_losses = PowerLoss::draw(&mut random, &schedule);
    Drawn {
        schedule,
        power_losses,
        lost_disk: all.lost_disk,
        rests: all.rests,
        traps: all.traps,
    }
}

/// Scenes, one after the other.
fn scenes_of(random: &mut Random, during: &Range<Duration>) -> Scene {
    let mut all = Scene::at(during.start);
    if random.percent(STORM_PERCENT) {
        storm::play(random, &mut all, during.end);
        return all;
    }
    let loses_disk = random.percent(DISK_PERCENT);
    let disk_after = random.below(2);
    for number in 0.. {
        let mut scene = Scene::at(all.now);
        if loses_disk && number == disk_after {
            scenes::disk(random, &mut scene);
        } else {
            let place = random.below(SCENES.len() as u64) as usize;
            SCENES[place].1(random, &mut scene);
        }
        if scene.now > during.end {
            return all;
        }
        all.follow(scene);
    }
    all
}

/// The same scene, again and again.
fn one_scene(random: &mut Random, during: &Range<Duration>, name: &str) -> Scene {
    let mut all = Scene::at(during.start);
    let plays = SCENES.iter().find(|(known, _)| *known == name);
    let (_, play) = plays.expect("a name is that of a scene");
    loop {
        let mut scene = Scene::at(all.now);
        play(random, &mut scene);
        if scene.now > during.end {
            return all;
        }
        all.follow(scene);
    }
}

/// When the load is over, all hosts crash, or one.
fn last_crashes(random: &mut Random, times: &Times, all: &mut Scene) {
    let is_all = random.percent(50);
    let one = random.below(NODES as u64) as usize;
    for host in (0..NODES).filter(|host| is_all || *host == one) {
        all.crash(Host(host), times.last_crashes..times.healed);
    }
}

/// Each clock is off from the start by less than clocks may be, and jumps: within that mostly,
/// beyond it sometimes. All are right again before the last crashes.
fn clocks(random: &mut Random, times: &Times, all: &mut Scene) {
    for host in (0..NODES).map(Host) {
        let mut now = Duration::from_millis(1);
        while now < times.faults.end {
            let within = random.within(0..480).cast_signed() - 240;
            let beyond = random.within(0..6_000).cast_signed() - 3_000;
            let is_beyond = random.percent(20) && now > times.faults.start;
            let millis = if is_beyond { beyond } else { within };
            all.add(now, Fault::SetClock(host, millis));
            now += Duration::from_micros(random.within(4_000_000..20_000_000));
        }
        all.add(times.faults.end, Fault::SetClock(host, 0));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    pub fn times() -> Times {
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
                Fault::Slow(..) | Fault::Fast(..) => panic!("{event} is no scene's"),
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
        for client in 0..NODES {
            let rests = drawn.rests.iter().filter(|rest| rest.client == client);
            let mut free = times().faults.start;
            for Rest { span, .. } in rests {
                assert!(span.start >= free && span.end > span.start, "{drawn:?}");
                free = span.end;
            }
            assert!(free <= times().faults.end, "{drawn:?}");
        }
    }

    #[test]
    fn schedules_end_healed_and_hold_every_fault() {
        let mut kinds = BTreeMap::<String, usize>::new();
        for seed in 0..100 {
            let drawn = draw(seed, &times(), None);
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
    fn each_scene_can_be_played_by_itself_and_ends_healed() {
        for (name, _) in SCENES {
            let only = name.parse::<SceneName>().unwrap();
            assert!(only.play().is_none(), "{name} is a play too");
            for seed in 0..20 {
                let drawn = draw(seed, &times(), Some(only));
                play(&drawn);
                let faults = drawn.schedule.events().iter();
                let faults = faults.filter(|event| !matches!(event.fault, Fault::SetClock(..)));
                assert!(faults.count() > 6, "{name}: {drawn}");
            }
        }
        let none = "no-such-thing".parse::<SceneName>().unwrap_err();
        assert!(none.to_string().contains("tail-without-writers"), "{none}");
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        assert_eq!(draw(1, &times(), None), draw(1, &times(), None));
        assert_ne!(draw(1, &times(), None), draw(2, &times(), None));
    }
}
