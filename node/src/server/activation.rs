//! A region that begins says when it can serve: once all its shards are placed, its leader has the global
//! group call it active.

use super::consensus::Consensus;
use crate::components::Clock;
use proto::id::RegionId;
use raft::{
    placement::Placement,
    registry::{Registry, RegistryCommand, RegistryOutcome, Request, region::RegionState},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How long one try waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is waited between tries, and how often it is looked whether this node leads.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same for a region that has begun.
const LOOK_SELDOM: Duration = Duration::from_secs(5);

/// Looks for as long as the node runs.
pub async fn keep(
    region: RegionId,
    global: Consensus<Registry>,
    regional: Consensus<Placement>,
    clock: Arc<dyn Clock>,
) {
    let mut registries = global.watch();
    loop {
        let is_joining = is_joining(&registries.borrow_and_update(), region);
        if !is_joining {
            // Either is a reason to look again.
            let _ = timeout(LOOK_SELDOM, registries.changed()).await;
            continue;
        }
        if regional.status().leads && is_placed(&regional.newest()) {
            propose(region, &global, &*clock).await;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn is_joining(registry: &Registry, region: RegionId) -> bool {
    let known = registry.regions.get(&region);
    known.is_some_and(|known| known.state == RegionState::Joining)
}

/// Whether each shard has a primary.
fn is_placed(placement: &Placement) -> bool {
    let wanted = placement.policy.map(|policy| usize::from(policy.shards));
    wanted.is_some_and(|wanted| placement.shards.len() >= wanted)
}

async fn propose(region: RegionId, global: &Consensus<Registry>, clock: &dyn Clock) {
    let command = RegistryCommand {
        author: "atoll".into(),
        at_millis: clock.now().wall_millis(),
        request: Request::SetRegionState {
            region,
            from: RegionState::Joining,
            to: RegionState::Active,
        },
    };
    match global.propose(&command, PATIENCE).await {
        Ok(applied) => match applied.outcome {
            RegistryOutcome::Done { .. } => tracing::info!("the region is active"),
            RegistryOutcome::Refused { refusals, .. } => {
                tracing::info!(?refusals, "the region was not called active");
            }
        },
        Err(error) => tracing::info!(%error, "the region is not called active yet"),
    }
}
