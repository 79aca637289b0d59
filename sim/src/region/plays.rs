//! Plays: each leads straight to the interleaving by which PROTOCOL.md, part 1, breaks where a rule is
//! taken out.

use super::{
    LogKept,
    faults::{NODES, drawn, hosts},
    operator,
    stage::{Act, Shards, Stage, others},
};
use crate::{
    faults::{Fault, Host},
    random::Random,
};
use std::time::Duration;
use tokio::time::sleep;

/// A play, and the region that it needs.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// Its name.
    pub name: &'static str,
    /// How many copies the shards have.
    pub copies: u8,
    /// How far back nodes keep their log.
    pub log: LogKept,
    /// What is done.
    pub act: Act,
}

/// All of them.
pub const PLAYS: [Play; 6] = [
    Play {
        name: "grows-unknown-to-its-primary",
        copies: 2,
        log: LogKept::Usual,
        act: |stage, random| Box::pin(grows_unknown_to_its_primary(stage, random)),
    },
    Play {
        name: "disk-exchanged-in-sync",
        copies: 2,
        log: LogKept::Usual,
        act: |stage, random| Box::pin(disk_exchanged_in_sync(stage, random)),
    },
    Play {
        name: "tail-outlives-its-writers",
        copies: 3,
        log: LogKept::Usual,
        act: |stage, random| Box::pin(tail_outlives_its_writers(stage, random)),
    },
    Play {
        name: "old-promises-in-a-new-epoch",
        copies: 3,
        log: LogKept::Usual,
        act: |stage, random| Box::pin(old_promises_in_a_new_epoch(stage, random)),
    },
    Play {
        name: "frozen-with-promises-under-way",
        copies: 3,
        log: LogKept::Usual,
        act: |stage, random| Box::pin(frozen_with_promises_under_way(stage, random)),
    },
    Play {
        name: "disk-lost-beyond-the-log",
        copies: 3,
        log: LogKept::Short,
        act: |stage, random| Box::pin(disk_lost_beyond_the_log(stage, random)),
    },
];

async fn pass(random: &mut Random, millis: std::ops::Range<u64>) {
    sleep(drawn(random, millis.start * 1_000..millis.end * 1_000)).await;
}

/// A primary is alone with its shards, and is cut off in the moment in which the group takes a joiner
/// in: the set has grown, and it does not know, while its clients go on writing (rule 3).
async fn grows_unknown_to_its_primary(stage: Stage, mut random: Random) {
    let [joiner, ..] = hosts(&mut random);
    stage.crash(joiner);
    let is_alone = |shards: &Shards, host: Host| {
        let mut led = shards.led_by(host);
        led.any(|shard| shards.known_to(host, shard).in_sync == 1)
    };
    stage
        .until_so(|shards| others(joiner).any(|host| is_alone(shards, host)))
        .await;
    // Who leads the group is the first to know that a set has grown.
    let leader = operator::leader_among(others(joiner)).await;
    let Some(primary) = others(joiner).find(|host| *host != leader) else {
        return;
    };
    stage.until_so(|shards| is_alone(shards, primary)).await;
    stage.slow_down(primary, random.within(60..250).cast_signed());
    stage.restart(joiner);
    let has_grown = |shards: &Shards| {
        let mut led = shards.led_by(primary);
        led.find(|shard| {
            let (newest, known) = (shards.newest(*shard), shards.known_to(primary, *shard));
            newest.epoch > known.epoch && newest.in_sync > known.in_sync
        })
    };
    let shard = stage.until(has_grown).await;
    stage.isolate(primary);
    stage
        .until_so(|shards| shards.newest(shard).primary != Some(primary))
        .await;
    pass(&mut random, 300..1_000).await;
}

/// A store's disk is exchanged so quickly that its host is still in sync by name, and the one that
/// holds its shards goes before it could fill the new disk (rule 3).
async fn disk_exchanged_in_sync(stage: Stage, mut random: Random) {
    let [host, other, _] = hosts(&mut random);
    stage.exchange_disk(host).await;
    pass(&mut random, 200..600).await;
    stage.restart(host);
    pass(&mut random, 1..100).await;
    stage.crash(other);
    pass(&mut random, 2_500..4_000).await;
}

/// A primary, a little away from the others, stands still while a round of its is on its way to them. They
/// promise, and promote another; then it wakes, and the promises come before the news: it holds for done what
/// is done, though it leads no more (rule 7).
async fn frozen_with_promises_under_way(stage: Stage, mut random: Random) {
    let leader = operator::leader_among((0..NODES).map(Host)).await;
    let primary = others(leader).nth(random.below(2) as usize);
    let primary = primary.expect("there are two others");
    let shard = stage.until(|shards| shards.led_by(primary).next()).await;
    stage.slow_down(primary, random.within(38..46).cast_signed());
    stage.rest();
    pass(&mut random, 500..800).await;
    // A round is sent every 250 ms, and done after the way there and back.
    let seen = stage
        .until(|shards| Some(shards.closes(primary, shard)))
        .await;
    stage
        .until_so(|shards| shards.closes(primary, shard) > seen)
        .await;
    pass(&mut random, 172..195).await;
    stage.pause(primary);
    stage
        .until_so(|shards| shards.newest(shard).primary != Some(primary))
        .await;
    stage.undo(Fault::Resume(primary));
    stage.wake_all_but(leader);
    pass(&mut random, 500..1_500).await;
}

/// A disk is lost when the other nodes' logs do not reach back to what was on it, so that it is filled by
/// snapshots.
async fn disk_lost_beyond_the_log(stage: Stage, mut random: Random) {
    let [host, ..] = hosts(&mut random);
    // The log lets go of what it need not remember, and of what it need not once more.
    pass(&mut random, 12_000..13_000).await;
    stage.exchange_disk(host).await;
    pass(&mut random, 1_500..3_000).await;
    stage.restart(host);
    stage.until_whole().await;
}

/// A primary is cut off with entries that nobody else has, and their writers give up. Its successor
/// closes above them, and takes it in again, whose log is the longest now, so that it leads when the
/// successor goes: without an entry of the epochs between nothing voids its tail (rule 4b).
async fn tail_outlives_its_writers(stage: Stage, mut random: Random) {
    let [old, ..] = hosts(&mut random);
    let led: Vec<u64> = stage
        .until(|shards| some(shards.led_by(old).collect()))
        .await;
    stage.isolate(old);
    pass(&mut random, 300..700).await;
    stage.rest();
    stage
        .until_so(|shards| {
            led.iter()
                .all(|shard| shards.newest(*shard).primary != Some(old))
        })
        .await;
    pass(&mut random, 400..1_000).await;
    stage.reconnect(old);
    stage
        .until_so(|shards| led.iter().all(|shard| shards.newest(*shard).in_sync == 3))
        .await;
    pass(&mut random, 400..1_000).await;
    let leads = |shards: &Shards, host: Host| {
        let led = led.iter();
        led.filter(|shard| shards.newest(**shard).primary == Some(host))
            .count()
    };
    let successor = stage
        .until(|shards| others(old).max_by_key(|host| leads(shards, *host)))
        .await;
    stage.isolate(successor);
    stage.until_so(|shards| leads(shards, successor) == 0).await;
    pass(&mut random, 500..1_000).await;
    stage.wake_all_but(successor);
    pass(&mut random, 500..1_000).await;
}

/// The leader of the group is primary too, and a little away from the others. One of them is lost, and
/// as the set shrinks, what the other promised in the epoch before is still on its way. Then the primary
/// is cut off. Was that promise counted, it goes on closing while its successor stamps (rule 4c).
async fn old_promises_in_a_new_epoch(stage: Stage, mut random: Random) {
    let primary = operator::leader_among((0..NODES).map(Host)).await;
    let lost = others(primary).nth(random.below(2) as usize);
    let lost = lost.expect("there are two others");
    let led: Vec<u64> = stage
        .until(|shards| some(shards.led_by(primary).collect()))
        .await;
    // About as far as the group bears it.
    stage.slow_down(primary, random.within(38..46).cast_signed());
    stage.crash(lost);
    pass(&mut random, 700..900).await;
    stage.rest();
    stage
        .until_so(|shards| {
            let mut led = led.iter();
            led.all(|shard| shards.known_to(primary, *shard).in_sync == 2)
        })
        .await;
    pass(&mut random, 150..350).await;
    stage.isolate(primary);
    stage.restart(lost);
    stage
        .until_so(|shards| {
            let mut led = led.iter();
            led.all(|shard| shards.newest(*shard).primary != Some(primary))
        })
        .await;
    stage.wake_all_but(primary);
    sleep(Duration::from_secs(2)).await;
}

fn some(shards: Vec<u64>) -> Option<Vec<u64>> {
    (!shards.is_empty()).then_some(shards)
}
