//! The simulated world: time, regions, what is under way between them.

use super::{
    oracle::Oracle,
    primary::Primary,
    region::{Marks, Region},
    rows::{PLACEMENT, Rows},
};
use crate::rng::Rng;
use bytes::Bytes;
use proto::{
    hlc::Hlc,
    id::{Incarnation, RegionId},
    token::Reached,
};
use replication::{
    Micros,
    link::{OutboxEvent, StreamMark},
    planted::Bug,
};
use std::collections::BTreeMap;

/// Which rule is taken out of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    Core(Bug),
    ShippedBeforeCommit,
    SequenceReused,
    WatermarkApart,
    ReportedBeforeDurable,
    LostCellsNotReissued,
    MergedBeforeStartPassed,
    OwnCellsMergedSilently,
}

/// What a run is mostly about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    Anything,
    /// Three regions that lose what they acknowledged, and reach each other now and then.
    Losses,
    /// What the first of three regions loses is in the second alone, which brings it back by a snapshot
    /// of another stream before it is asked for it.
    SideDoor,
}

/// Something to come.
#[derive(Clone)]
pub enum Action {
    Write(usize),
    Commit {
        region: usize,
        epoch: u32,
        length: usize,
    },
    Promised {
        region: usize,
        boot: u64,
        epoch: u32,
        round: Round,
    },
    Produce {
        region: usize,
        boot: u64,
        session: u64,
        bytes: Bytes,
        counts: Option<Reached>,
    },
    Fault,
    Promote(usize),
    /// Done by that run, later while it stands still, or by nobody.
    Run(usize, u64, Deed),
}

/// What a run of a primary does.
#[derive(Clone)]
pub enum Deed {
    Round,
    Beat,
    Tick,
    Open,
    Room,
    Done {
        round: Round,
    },
    Poll {
        origin: usize,
    },
    Arrive {
        origin: usize,
        position: u64,
        bytes: Bytes,
    },
    Deliver {
        session: u64,
        through: Reached,
    },
    Lose {
        session: u64,
    },
    ReadLog {
        after: Reached,
    },
    Snapshot {
        origin: usize,
    },
    Install {
        rows: Rows,
        marks: Marks,
    },
    MergeFrom {
        holder: usize,
    },
}

#[derive(Clone, Copy)]
pub struct Round {
    pub reached: Reached,
    pub hlc: Hlc,
    pub sent_at: Micros,
    pub length: usize,
}

/// How rough a run is.
pub struct Weather {
    pub loss: u64,
    pub repeat: u64,
    pub late: u64,
    pub damage: u64,
    pub failed: u64,
    pub full: u64,
    pub refused: u64,
    pub unknown: u64,
    pub slow_commit: u64,
    pub log_kept: usize,
    pub write_gap: u64,
    pub fault_gap: u64,
    pub is_lossy_log: bool,
}

impl Weather {
    fn draw(rng: &mut Rng) -> Self {
        let of = |rng: &mut Rng, values: &[u64]| *rng.pick(values).expect("there are values");
        Self {
            loss: of(rng, &[0, 5, 50]),
            repeat: of(rng, &[0, 20, 100]),
            late: of(rng, &[0, 0, 50]),
            damage: of(rng, &[0, 0, 10]),
            failed: of(rng, &[0, 5, 30]),
            full: of(rng, &[0, 20]),
            refused: of(rng, &[0, 50]),
            unknown: of(rng, &[0, 30]),
            slow_commit: of(rng, &[0, 100, 400]),
            log_kept: of(rng, &[12, 60, 10_000]) as usize,
            write_gap: of(rng, &[30_000, 150_000, 600_000]),
            fault_gap: of(rng, &[400_000, 1_500_000, 4_000_000]),
            is_lossy_log: rng.chance(400),
        }
    }

    pub fn calm(&mut self) {
        (self.loss, self.repeat, self.late, self.damage) = (0, 0, 0, 0);
        (self.failed, self.full, self.refused, self.unknown) = (0, 0, 0, 0);
        (self.slow_commit, self.log_kept) = (0, 10_000);
    }
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub weather: Weather,
    pub is_calm: bool,
    pub scene: Scene,
    pub regions: Vec<Region>,
    pub oracle: Oracle,
    pub plant: Plant,
    pub rare: BTreeMap<&'static str, u64>,
    pub trace: u64,
    /// Until when rows of (origin, reached) are of a schema that is not known elsewhere.
    pub unknown_until: BTreeMap<(RegionId, Reached), u64>,
    pub cut_until: BTreeMap<(usize, usize), u64>,
    queue: BTreeMap<(u64, u64), Action>,
    number: u64,
}

impl World {
    pub fn new(seed: u64, plant: Plant, scene: Scene) -> Self {
        let mut rng = Rng::new(seed);
        let mut weather = Weather::draw(&mut rng);
        let mut count = rng.between(2, 3) as u16;
        if scene != Scene::Anything {
            (count, weather.is_lossy_log) = (3, true);
            (weather.log_kept, weather.fault_gap) = (10_000, 1_500_000);
        }
        let regions = (1..=count).map(|id| {
            let offset = rng.between(0, 400) as i64 - 200;
            Region::new(RegionId(id), offset)
        });
        let regions: Vec<_> = regions.collect();
        let mut world = Self {
            now: 1_000,
            rng,
            weather,
            is_calm: false,
            scene,
            regions,
            oracle: Oracle::default(),
            plant,
            rare: BTreeMap::new(),
            trace: 0,
            unknown_until: BTreeMap::new(),
            cut_until: BTreeMap::new(),
            queue: BTreeMap::new(),
            number: 0,
        };
        for region in 0..world.regions.len() {
            let id = world.regions[region].id;
            world.oracle.begin(id, Incarnation(1), Reached::default());
            world.after(1, Action::Promote(region));
            world.after(5_000, Action::Write(region));
        }
        world.after(100_000, Action::Fault);
        world
    }

    pub fn count(&mut self, name: &'static str) {
        *self.rare.entry(name).or_default() += 1;
    }

    pub fn after(&mut self, delay: u64, action: Action) {
        self.number += 1;
        self.queue.insert((self.now + delay, self.number), action);
    }

    pub fn at(&self, id: RegionId) -> usize {
        usize::from(id.0) - 1
    }

    pub fn bug(&self) -> Option<Bug> {
        match self.plant {
            Plant::Core(bug) => Some(bug),
            _ => None,
        }
    }

    pub fn run_until(&mut self, end: u64) -> Result<(), String> {
        while let Some(((at, _), _)) = self.queue.first_key_value()
            && *at <= end
        {
            let ((at, _), action) = self.queue.pop_first().expect("there is a first one");
            self.now = at;
            if let Some(stands_until) = self.stands_until(&action) {
                self.after(stands_until - self.now + 1, action);
                continue;
            }
            self.trace = (self.trace ^ at)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23);
            self.act(action)?;
        }
        self.now = end;
        Ok(())
    }

    /// A process that is stopped does its things later.
    fn stands_until(&mut self, action: &Action) -> Option<u64> {
        let Action::Run(region, boot, _) = action else {
            return None;
        };
        let now = self.now;
        let primary = self.regions[*region].primary_of(*boot)?;
        Some(primary.stands_until).filter(|until| *until > now)
    }

    fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Write(region) => self.write(region),
            Action::Commit {
                region,
                epoch,
                length,
            } => return self.commit(region, epoch, length),
            Action::Promised {
                region,
                boot,
                epoch,
                round,
            } => self.promised(region, boot, epoch, round),
            Action::Produce {
                region,
                boot,
                session,
                bytes,
                counts,
            } => return self.produced(region, boot, session, bytes, counts),
            Action::Fault => self.fault(),
            Action::Promote(region) => return self.promote(region),
            Action::Run(region, boot, deed) => return self.run(region, boot, deed),
        }
        Ok(())
    }

    fn run(&mut self, region: usize, boot: u64, deed: Deed) -> Result<(), String> {
        match deed {
            Deed::Round => self.round(region, boot),
            Deed::Beat => return self.beat(region, boot),
            Deed::Tick => return self.tick(region, boot),
            Deed::Open => return self.open_session(region, boot),
            Deed::Room => return self.outbox(region, boot, OutboxEvent::Room),
            Deed::Done { round } => return self.done(region, boot, round),
            Deed::Poll { origin } => return self.poll(region, boot, origin),
            Deed::Arrive {
                origin,
                position,
                bytes,
            } => return self.arrive(region, boot, origin, position, bytes),
            Deed::Deliver { session, through } => {
                return self.outbox(region, boot, OutboxEvent::Delivered { session, through });
            }
            Deed::Lose { session } => {
                return self.outbox(region, boot, OutboxEvent::Failed { session });
            }
            Deed::ReadLog { after } => return self.read_log(region, boot, after),
            Deed::Snapshot { origin } => self.snapshot(region, boot, origin),
            Deed::Install { rows, marks } => self.install(region, boot, rows, marks),
            Deed::MergeFrom { holder } => return self.merge_from(region, boot, holder),
        }
        Ok(())
    }

    /// One of those to come.
    pub fn later(&mut self, delay: u64, region: usize, boot: u64, deed: Deed) {
        self.after(delay, Action::Run(region, boot, deed));
    }

    /// A primary of the region that has the newest epoch, and is not stopped.
    pub fn acting(&self, region: usize) -> bool {
        let region = &self.regions[region];
        let acts =
            |primary: &Primary| primary.epoch == region.epoch && primary.stands_until <= self.now;
        region.primary.as_ref().is_some_and(acts)
    }

    pub fn boot(&self, region: usize) -> Option<u64> {
        self.regions[region]
            .primary
            .as_ref()
            .map(|primary| primary.boot.0)
    }

    pub fn mark_of(&self, region: usize, origin: RegionId) -> StreamMark {
        self.regions[region]
            .end
            .marks
            .get(&origin)
            .copied()
            .unwrap_or_default()
    }
}

const _: () = assert!(PLACEMENT.0 == 1, "the model has one stream a region");
