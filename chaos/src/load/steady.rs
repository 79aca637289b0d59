//! One writer for each shard, which writes one row over and over: how long is no write of the shard
//! acknowledged?

use super::{PROBE, shared::Shared};
use anyhow::{Result, ensure};
use proto::{
    id::{FeatureId, ShardId},
    time::EventTime,
};
use sim::{
    client::Wrote,
    history::{Bytes, Change, WriteRow},
    workload::ProbeView,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The view of the rows.
pub const VIEW: ProbeView = ProbeView::Notes;
/// A gateway that does not answer so long is left for the next.
const CALL_WITHIN: Duration = Duration::from_secs(1);
/// What the gap is measured to, without load.
const PAUSE: Duration = Duration::from_millis(400);
/// Rows tried for each shard: with 64 shards the last is found after some 300.
const TRIES_PER_SHARD: u64 = 40;

/// A row in each shard, found by writing: the token of a write names its shard.
pub async fn find_rows(shared: &Shared, shards: u16) -> Result<Vec<u64>> {
    let mut found: BTreeMap<ShardId, u64> = BTreeMap::new();
    let first = shared.plan.probes;
    for row in first..first + u64::from(shards) * TRIES_PER_SHARD {
        if found.len() == usize::from(shards) {
            break;
        }
        let mut caller = shared.caller(0, &format!("finder {row}"))?;
        let bits = shared.random(&format!("finder {row}")).wide_bits();
        let wall = shared.clock.wall_micros();
        caller
            .write(bits, vec![written(row, 0, wall)], wall / 1_000)
            .await?;
        for (stream, _) in caller.token().streams() {
            found.entry(stream.shard).or_insert(row);
        }
    }
    ensure!(
        found.len() == usize::from(shards),
        "rows of {} shards were found, of {shards}; are writes acknowledged with tokens?",
        found.len()
    );
    Ok(found.into_values().collect())
}

/// Runs until the load ends.
pub async fn run(shared: Arc<Shared>, place: usize, row: u64) -> Result<()> {
    let name = format!("steady {row}");
    let mut caller = shared.roaming_caller(&name)?.with_patience(CALL_WITHIN);
    let mut random = shared.random(&name);
    caller.choose(place % shared.gateways());
    // They do not write all at once.
    shared
        .pause(PAUSE.mul_f64(random.below(100) as f64 / 100.0))
        .await;
    for count in 1.. {
        if shared.is_over() {
            break;
        }
        let wall = shared.clock.wall_micros();
        let rows = vec![written(row, count, wall)];
        let issued = shared.clock.now();
        let wrote = caller.write(random.wide_bits(), rows, wall / 1_000).await?;
        if wrote == Wrote::Acknowledged {
            shared.acknowledged(place, issued);
        }
        shared.pause(PAUSE).await;
    }
    Ok(())
}

/// Values that no other write has: the row's number tells whose, the count which.
fn written(row: u64, count: u64, wall: u64) -> WriteRow {
    let value = Bytes::of(&(row << 32 | count).to_le_bytes());
    WriteRow {
        row: PROBE.row(VIEW, row),
        event_time: EventTime::saturating(wall),
        change: Change::Set(vec![(FeatureId(0), Some(value))]),
    }
}
