//! One run: a rough time, in which nothing false may be said, then a calm one, in which all must get
//! well again.

use super::world::{Action, Plant, Scene, World};
use proto::id::RegionId;
use replication::link::{Link, LinkState};
use std::collections::BTreeMap;

pub struct Outcome {
    pub contradiction: Option<String>,
    pub rare: BTreeMap<&'static str, u64>,
    pub trace: u64,
    pub acknowledged: u64,
    pub claims: u64,
}

pub fn run(seed: u64, plant: Plant, scene: Scene) -> Outcome {
    let mut world = World::new(seed, plant, scene);
    let contradiction = play(&mut world).err();
    Outcome {
        contradiction,
        acknowledged: world.oracle.acknowledged(),
        claims: world.oracle.claims,
        rare: world.rare,
        trace: world.trace,
    }
}

fn play(world: &mut World) -> Result<(), String> {
    let rough = world.rng.between(5_000_000, 30_000_000);
    let in_rough = world.run_until(rough);
    in_rough.map_err(|contradiction| format!("{contradiction}{}", describe(world)))?;
    calm(world);
    let healed_at = world.now;
    // A gap waits 10 s, a snapshot that nobody could give 30 s, clocks up to 20 s.
    while !is_well(world) {
        if world.now > healed_at + 150_000_000 {
            return Err(format!("I17: not well after 150 s: {}", describe(world)));
        }
        let next = world.run_until(world.now + 500_000);
        next.map_err(|contradiction| format!("{contradiction}{}", describe(world)))?;
    }
    world.run_until(world.now + 2_000_000)?;
    are_equal(world)
}

fn calm(world: &mut World) {
    world.is_calm = true;
    world.weather.calm();
    world.cut_until.clear();
    world.unknown_until.clear();
    for region in 0..world.regions.len() {
        let now = world.now;
        let own = &mut world.regions[region];
        own.topic_down_until = now;
        own.wall_offset_millis = 0;
        if let Some(primary) = own.primary.as_mut() {
            primary.stands_until = now;
        }
        world.after(1_000, Action::Promote(region));
    }
}

/// Every link is live, young and through, and every log is committed.
fn is_well(world: &World) -> bool {
    world.regions.iter().all(|region| {
        let Some(primary) = &region.primary else {
            return false;
        };
        let time = primary.now(world.now, region.wall_millis(world.now));
        let is_well = |(origin, link): (&RegionId, &Link)| {
            link.state() == LinkState::Live
                && link.age(time).is_some_and(|age| age.0 < 1_500_000)
                && link.committed() == world.regions[world.at(*origin)].seen.head()
        };
        region.committed == region.log.len() && primary.links.iter().all(is_well)
    })
}

/// After silence all regions hold the same rows.
fn are_equal(world: &World) -> Result<(), String> {
    let first = &world.regions[0].seen.rows;
    let differs = world
        .regions
        .iter()
        .find(|region| region.seen.rows != *first);
    match differs {
        None => Ok(()),
        Some(region) => Err(format!(
            "I1: all is quiet, and regions differ: {first:?}\n{:?}{}",
            region.seen.rows,
            describe(world)
        )),
    }
}

fn describe(world: &World) -> String {
    let each = world.regions.iter().map(|region| {
        let links = region.primary.iter().flat_map(|primary| {
            let time = primary.now(world.now, region.wall_millis(world.now));
            primary.links.iter().map(move |(origin, link)| {
                let (state, age) = (link.state(), link.age(time));
                format!(
                    "\n    of {origin}: {:?} {state:?} {age:?}",
                    link.committed()
                )
            })
        });
        let sent = region.primary.as_ref().map(|primary| {
            (
                primary.outbox.delivered(),
                primary.outbox.said(),
                primary.rebirth.may_close(),
            )
        });
        format!(
            "\n  region {} shows {:?}, at {:?} {}/{}, sent {sent:?}, topic {}..{}{}",
            region.id,
            region.seen.rows,
            region.seen.head(),
            region.committed,
            region.log.len(),
            region.topic.start,
            region.topic.end(),
            links.collect::<String>()
        )
    });
    each.collect()
}
