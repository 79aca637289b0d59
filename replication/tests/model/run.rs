//! One run: a rough time, in which nothing false may be said, then a calm one, in which all must get
//! well again.

use crate::world::{Action, Plant, World};
use replication::Replica;
use std::collections::BTreeMap;

pub struct Outcome {
    pub contradiction: Option<String>,
    pub rare: BTreeMap<&'static str, u64>,
    pub trace: u64,
    pub acknowledged: usize,
}

pub fn run(seed: u64, plant: Plant) -> Outcome {
    let mut world = World::new(seed, plant);
    let contradiction = play(&mut world).err();
    Outcome {
        contradiction,
        acknowledged: world.oracle.acknowledged(),
        rare: world.rare,
        trace: world.trace,
    }
}

fn play(world: &mut World) -> Result<(), String> {
    let rough = world.rng.between(3_000_000, 12_000_000);
    world.run_until(rough)?;
    calm(world);
    let healed_at = world.now;
    let before = world.oracle.acknowledged();
    while !is_whole(world) || world.oracle.acknowledged() == before {
        if world.now > healed_at + 40_000_000 {
            return Err(format!(
                "I17: not whole again after 40 s: {}",
                describe(world)
            ));
        }
        world.run_until(world.now + 250_000)?;
    }
    world.weather.write_gap = 0;
    world.run_until(world.now + 3_000_000)?;
    settle(world)
}

fn calm(world: &mut World) {
    world.calm = true;
    world.weather.calm();
    for node in 0..3 {
        world.after(3_000, Action::Heal(node, (node + 1) % 3));
        world.after(1_000, Action::Resume(node));
        world.after(2_000, Action::Restart(node));
    }
}

fn is_whole(world: &World) -> bool {
    let current = &world.service.current;
    let stands = |member| world.nodes.iter().any(|node| node.member() == member);
    current.in_sync.len() == 3 && current.in_sync.iter().all(|member| stands(*member))
}

/// After silence all replicas are equal, hold all that was acknowledged, and know how old they are.
fn settle(world: &World) -> Result<(), String> {
    for node in &world.nodes {
        let replica = node.replica.as_ref().ok_or("a node is down")?;
        let (committed, end) = (replica.committed(), replica.log_end());
        if committed.position != world.oracle.end() || end != committed {
            return Err(format!(
                "I1: replicas differ when all is quiet: {}",
                describe(world)
            ));
        }
        let age = replica.age(node.monotonic(world.now));
        if age.is_none_or(|age| age.0 > 700_000) {
            return Err(format!(
                "I17: {} says it is {age:?} old when all is quiet",
                node.id
            ));
        }
        if node.leaked() != 0 {
            return Err(format!(
                "{} counts {} bytes in flight when all is quiet",
                node.id,
                node.leaked()
            ));
        }
    }
    Ok(())
}

fn describe(world: &World) -> String {
    let each = world.nodes.iter().map(|node| {
        let state = |replica: &Replica| {
            let (fence, end) = (replica.fence(), replica.log_end());
            format!(
                "{:?} {} {:?} {:?}",
                replica.role(),
                fence.epoch,
                replica.committed(),
                end
            )
        };
        let state = node
            .replica
            .as_ref()
            .map_or_else(|| "down".to_owned(), state);
        format!("\n  node {}: {state}", node.id)
    });
    let current = &world.service.current;
    format!(
        "end {}, {current:?}{}",
        world.oracle.end(),
        each.collect::<String>()
    )
}
