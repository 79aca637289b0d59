//! The one who runs the region: waits until it is formed, lets a disk be lost only where the others
//! hold all that it holds, and sees after the faults that everything heals, and reads it back.

use super::{
    clients::{LOAD, address, caller},
    faults::{LostDisk, NODES},
    rare::{self, Rare},
};
use crate::{
    client::Wrote,
    session::{self, PROBE, Shared},
    workload::{Generator, Operation, Settings},
    world::{Loss, Machine, node},
};
use proto::time::EventTime;
use std::{cell::RefCell, error::Error, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use wire::v1::{
    ShardsRequest, ShardsResponse, StatusRequest, StatusResponse,
    admin_service_client::AdminServiceClient,
};

/// How far apart, in microseconds, a host's clock and the true one are at most, by the faults.
const CLOCK_ERROR: u64 = 3_010_000;
/// I17: how long after the last fault every shard is in sync again.
pub const IN_SYNC_WITHIN: Duration = Duration::from_secs(30);
/// I17: how long after that every gateway takes a write and answers every lookup.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Commit points reach disks and backups when nothing else does, in this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// When the operator acts.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until when the region must be formed.
    pub formed: Duration,
    /// From when on nothing is wrong any more.
    pub healed: Duration,
}

/// Forms the region, begins the history, and closes it once everything is healed.
pub async fn operate(
    seed: u64,
    machine: Machine,
    times: Times,
    shared: Shared,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let forming = async {
        session::define(&address(0)).await?;
        in_sync(times.formed).await
    };
    timeout(times.formed, forming)
        .await
        .map_err(|_| "the region was not formed in time")??;
    let cluster = machine
        .cluster()
        .ok_or("a node without a cluster answered")?;
    let title = "a region in the simulated world";
    let begun = shared.begin(session::header(title, seed, cluster, CLOCK_ERROR));
    sleep_until(start + times.healed).await;
    in_sync(IN_SYNC_WITHIN).await?;
    let mut caller = caller(begun, seed, 0, NODES as u64 + 1)?;
    // Rows of its own, which no judge reads: what counts is that they are taken.
    let other = Settings {
        probes: 1,
        write_percent: 100,
        ..LOAD
    };
    let mut generator = Generator::new(PROBE, other, seed, 900);
    for gateway in 0..NODES {
        caller.choose(gateway);
        let now = EventTime::saturating(session::wall_micros());
        let Operation::Write { id, rows } = generator.next(now) else {
            return Err("the load holds writes alone".into());
        };
        let wrote = timeout(
            ANSWERS_WITHIN,
            caller.write(id, rows, session::wall_micros() / 1_000),
        );
        match wrote.await {
            Ok(Ok(Wrote::Acknowledged)) => {}
            other => {
                let host = node::name(gateway);
                return Err(format!("{host} takes no write after all is healed: {other:?}").into());
            }
        }
    }
    sleep(SETTLES_WITHIN).await;
    let every_row = Generator::every_row(&PROBE, &LOAD);
    for gateway in 0..NODES {
        caller.choose(gateway);
        caller
            .read_at_the_end(&every_row, &node::name(gateway), ANSWERS_WITHIN)
            .await?;
    }
    // What was written last is on every disk, and every store has logged how far it is committed.
    sleep(SETTLES_WITHIN).await;
    Ok(())
}

/// Waits until every gateway says that every shard has all its copies in sync.
async fn in_sync(within: Duration) -> Result<(), Box<dyn Error>> {
    let mut why = String::new();
    let waiting = async {
        for place in 0..NODES {
            loop {
                match status(place).await {
                    Ok(status) if is_whole(&status) => break,
                    Ok(status) => {
                        why = format!(
                            "{}: {} shards without a primary, {} short of copies; {:?} {:?}",
                            node::name(place),
                            status.shards_without_primary,
                            status.shards_under_replicated,
                            status.warnings,
                            status.groups,
                        );
                    }
                    Err(error) => why = format!("{}: {error}", node::name(place)),
                }
                sleep(LOOK_EVERY).await;
            }
        }
    };
    let waited = timeout(within, waiting).await;
    waited.map_err(|_| format!("not in sync within {within:?}: {why}").into())
}

/// Whether every gateway says so now.
pub async fn is_whole_now() -> bool {
    for place in 0..NODES {
        if !status(place).await.is_ok_and(|status| is_whole(&status)) {
            return false;
        }
    }
    true
}

const fn is_whole(status: &StatusResponse) -> bool {
    status.shards_without_primary == 0 && status.shards_under_replicated == 0
}

/// Lets the machine's disk be lost, if the other nodes agree on who leads them and none of its shards
/// is in sync on it alone.
pub async fn lose_disk(
    lost: LostDisk,
    loss: Loss,
    machine: Machine,
    rare: Rc<RefCell<Rare>>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    // By then the others have dropped the host wherever they could.
    sleep_until(start + lost.up - Duration::from_millis(1_100)).await;
    let host = lost.host.0;
    // Only while the host is down: answers that come later say nothing any more.
    let before_it_is_back = start + lost.up - Duration::from_millis(50);
    let Ok(Some(newest)) = timeout_at(before_it_is_back, without(host)).await else {
        return Ok(());
    };
    machine.lose(loss);
    let host = node::name(host);
    let mut replicas = newest.shards.iter().flat_map(|shard| &shard.replicas);
    let was_joining = replicas.any(|replica| replica.node == host && !replica.in_sync);
    let mut rare = rare.borrow_mut();
    rare.add(rare::LOST_DISK, 1);
    rare.add(rare::JOINER_WIPED, usize::from(was_joining));
    Ok(())
}

/// The newest shard map, if nothing in it is on `host` alone.
async fn without(host: usize) -> Option<ShardsResponse> {
    if !others_agree(host).await {
        return None;
    }
    // Whoever leads has applied by now whatever was committed before.
    sleep(Duration::from_millis(400)).await;
    let mut newest: Option<ShardsResponse> = None;
    for place in others(host) {
        let shards = shards(place).await?;
        if newest
            .as_ref()
            .is_none_or(|known| known.revision < shards.revision)
        {
            newest = Some(shards);
        }
    }
    newest.filter(|newest| is_held_without(newest, &node::name(host)))
}

fn others(host: usize) -> impl Iterator<Item = usize> {
    (0..NODES).filter(move |place| *place != host)
}

/// Whether both others know the same leader, in the same term, and it is one of them.
async fn others_agree(host: usize) -> bool {
    let mut known = Vec::new();
    for place in others(host) {
        let Ok(status) = status(place).await else {
            return false;
        };
        let region = status
            .groups
            .into_iter()
            .find(|group| group.group.starts_with("region"));
        known.extend(region.map(|group| (group.leader, group.term)));
    }
    let is_other = |leader: &str| others(host).any(|place| node::name(place) == leader);
    known.len() == NODES - 1 && known[0] == known[1] && is_other(&known[0].0)
}

/// Whether each shard is in sync on another host than this one.
fn is_held_without(shards: &ShardsResponse, host: &str) -> bool {
    shards.shards.iter().all(|shard| {
        let mut in_sync = shard.replicas.iter().filter(|replica| replica.in_sync);
        in_sync.any(|replica| replica.node != host)
    })
}

async fn status(place: usize) -> Result<StatusResponse, Box<dyn Error>> {
    let mut admin = AdminServiceClient::new(session::gateway(&address(place))?);
    let answer = timeout(ANSWER_WITHIN, admin.status(StatusRequest {})).await??;
    Ok(answer.into_inner())
}

async fn shards(place: usize) -> Option<ShardsResponse> {
    let mut admin = AdminServiceClient::new(session::gateway(&address(place)).ok()?);
    let answer = timeout(ANSWER_WITHIN, admin.shards(ShardsRequest::default())).await;
    Some(answer.ok()?.ok()?.into_inner())
}
