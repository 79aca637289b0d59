//! The one who runs the region: waits until it is formed, lets a disk be lost only where the others
//! hold all that it holds, and sees after the faults that everything heals, and reads it back.

use super::{
    clients::{LOAD, address, caller},
    faults::{LostDisk, NODES},
    rare::{self, CONFIGURED, Rare},
};
use crate::{
    client::Wrote,
    faults::Host,
    session::{self, PROBE, Shared},
    workload::{Generator, Operation, Settings},
    world::{Journal, Line, Loss, Machine, node},
};
use proto::{id::NodeId, time::EventTime};
use std::{cell::RefCell, collections::BTreeMap, error::Error, rc::Rc, time::Duration};
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
/// How far replicas are is asked of each node, and for one that is down a second is waited.
const SHARDS_WITHIN: Duration = Duration::from_millis(1_500);

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

/// What it takes to let a disk be lost.
pub struct Losing {
    /// Which, and when.
    pub lost: LostDisk,
    /// What of it.
    pub loss: Loss,
    /// Whose it is.
    pub machine: Machine,
    /// What nodes logged so far.
    pub journal: Journal,
    /// Where it is counted.
    pub rare: Rc<RefCell<Rare>>,
}

/// Lets the machine's disk be lost, if the other nodes agree on who leads them and none of its shards
/// is in sync on it alone.
pub async fn lose_disk(losing: Losing) -> Result<(), Box<dyn Error>> {
    let Losing {
        lost,
        loss,
        machine,
        journal,
        rare,
    } = losing;
    let start = Instant::now();
    sleep_until(start + lost.asked).await;
    let host = lost.host.0;
    // Only while the host is down: answers that come later say nothing any more.
    let before_it_is_back = start + lost.up - Duration::from_millis(50);
    let settled = timeout_at(before_it_is_back, are_settled_without(host));
    if settled.await != Ok(true) || !is_held_without(&journal.lines(), machine.node()) {
        return Ok(());
    }
    machine.lose(loss);
    let was_joining = is_joining(host).await;
    let mut rare = rare.borrow_mut();
    rare.add(rare::LOST_DISK, 1);
    rare.add(rare::EXCHANGED_DISK, usize::from(lost.is_exchanged));
    rare.add(rare::JOINER_WIPED, usize::from(was_joining));
    Ok(())
}

/// Whether the others are led, and whoever leads has applied, and told, whatever was committed before.
async fn are_settled_without(host: usize) -> bool {
    let agree = others_agree(host).await;
    sleep(Duration::from_millis(400)).await;
    agree
}

/// Whether each shard, as it was configured last, is in sync on another node than this one.
fn is_held_without(lines: &[Line], node: Option<NodeId>) -> bool {
    let mut newest = BTreeMap::<u64, (u64, bool)>::new();
    for line in lines.iter().filter(|line| line.message == CONFIGURED) {
        let number = |name| line.number(name).unwrap_or_default();
        let is_elsewhere = number("in_sync") > 1 || Some(NodeId(number("primary"))) != node;
        let known = newest.entry(number("shard")).or_default();
        if number("epoch") >= known.0 {
            *known = (number("epoch"), is_elsewhere);
        }
    }
    newest.values().all(|(_, is_elsewhere)| *is_elsewhere)
}

/// Whether the host is to join a shard that it is not in sync with.
async fn is_joining(host: usize) -> bool {
    let Some(asked) = others(host).next() else {
        return false;
    };
    let Some(shards) = shards(asked).await else {
        return false;
    };
    let host = node::name(host);
    let mut replicas = shards.shards.iter().flat_map(|shard| &shard.replicas);
    replicas.any(|replica| replica.node == host && replica.role == "joining")
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

/// Who leads the region's group, once one of these nodes does.
pub async fn leader_among(hosts: impl Iterator<Item = Host> + Clone) -> Host {
    loop {
        for asked in hosts.clone() {
            let Ok(status) = status(asked.0).await else {
                continue;
            };
            let mut groups = status.groups.into_iter();
            let region = groups.find(|group| group.group.starts_with("region"));
            let leads = |host: &Host| {
                region
                    .as_ref()
                    .is_some_and(|group| group.leader == node::name(host.0))
            };
            if let Some(leader) = hosts.clone().find(leads) {
                return leader;
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn status(place: usize) -> Result<StatusResponse, Box<dyn Error>> {
    let mut admin = AdminServiceClient::new(session::gateway(&address(place))?);
    let answer = timeout(ANSWER_WITHIN, admin.status(StatusRequest {})).await??;
    Ok(answer.into_inner())
}

async fn shards(place: usize) -> Option<ShardsResponse> {
    let mut admin = AdminServiceClient::new(session::gateway(&address(place)).ok()?);
    let answer = timeout(SHARDS_WITHIN, admin.shards(ShardsRequest::default())).await;
    Some(answer.ok()?.ok()?.into_inner())
}
