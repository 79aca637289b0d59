//! Whether this process may take traffic, and if not, what it waits for.

use super::{region::RegionView, running::Background, shards::Board};
use gateway::Readiness;
use proto::id::ShardId;
use replication::RoleName;
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Follows placement and shards: ready once every shard of the region is placed and those that this node
/// is a member of can be read. Copies that are being made on it do not count: others answer for them.
pub fn follow(
    region: RegionView,
    board: Board,
    leaving: watch::Receiver<bool>,
    background: &mut Background,
) -> watch::Receiver<Readiness> {
    let (publish, readiness) = watch::channel(judge(&region, &board, &leaving));
    background.spawn(async move {
        loop {
            let now = judge(&region, &board, &leaving);
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

fn judge(region: &RegionView, board: &Board, leaving: &watch::Receiver<bool>) -> Readiness {
    if *leaving.borrow() {
        return Readiness::NotReady("the node is about to stop".into());
    }
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
    let me = region.me();
    let own = placement.shards.iter().filter(|(_, config)| {
        let mut in_sync = config.in_sync.iter();
        in_sync.any(|member| member.node == me)
    });
    let waiting = own.filter(|(shard, _)| {
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
