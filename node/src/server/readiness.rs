//! Whether this process may take traffic, and if not, what it waits for.

use super::{region::RegionView, running::Background, shards::Board};
use gateway::Readiness;
use proto::id::ShardId;
use replication::RoleName;
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Follows placement and shards: ready once every shard of the region is placed and those of this
/// node can be read.
pub fn follow(
    region: RegionView,
    board: Board,
    background: &mut Background,
) -> watch::Receiver<Readiness> {
    let (publish, readiness) = watch::channel(judge(&region, &board));
    background.spawn(async move {
        loop {
            let now = judge(&region, &board);
            publish.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    readiness
}

fn judge(region: &RegionView, board: &Board) -> Readiness {
    let placement = region.placement();
    let Some(policy) = placement.policy else {
        return Readiness::NotReady("the region has no placement yet".into());
    };
    let missing = (0..policy.shards)
        .filter(|shard| !placement.shards.contains_key(&ShardId(*shard)))
        .count();
    if missing > 0 {
        return Readiness::NotReady(format!(
            "{missing} of {} shards are not placed yet",
            policy.shards
        ));
    }
    let standings = board.read();
    let own = placement.shards_of(region.me());
    let waiting = own.filter(|shard| {
        let readable = |role| {
            matches!(
                role,
                RoleName::Primary | RoleName::Backup | RoleName::Joining
            )
        };
        standings
            .get(shard)
            .is_none_or(|own| !own.is_readable || !readable(own.role))
    });
    match waiting.count() {
        0 => Readiness::Ready,
        count => Readiness::NotReady(format!("{count} shards of this node are not readable yet")),
    }
}
