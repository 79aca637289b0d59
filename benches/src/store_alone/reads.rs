//! Reads of 51 keys by plan: from the page cache, and from the device.

use super::{
    disk_limits::forget,
    rows::{self, ROW_BYTES, SHARDS, Table},
};
use crate::figure::{Figure, Latencies, each, times};
use crate::machine::thread_cpu;
use anyhow::ensure;
use node::demo::lookups::Draw;
use proto::key::Key;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use store::{Plan, ReadRequest, RowState, Staging, Store};

const KEYS: usize = 51;
const COLD_BATCHES: u64 = 100;
/// What the prototype took for a warm batch: zipf and uniform keys, by the same page cache.
const REFERENCE_ZIPF: Duration = Duration::from_micros(41);
const REFERENCE_UNIFORM: Duration = Duration::from_micros(49);
/// 51 reads of the device one after the other.
const REFERENCE_COLD: Duration = Duration::from_micros(1_900);

/// All reads.
pub fn measure(
    store: &Store,
    table: &Table,
    path: &Path,
    window: Duration,
) -> anyhow::Result<Vec<Figure>> {
    let mut reader = Reader {
        store,
        plans: [rows::plan()],
        staging: Staging::new(),
    };
    let mut draw = Draw::new(8);
    // Every page is read once, so that the cache is warm and what follows is alike.
    for from in (0..table.rows).step_by(KEYS) {
        reader.read(&(from..(from + KEYS as u64).min(table.rows)).collect::<Vec<_>>())?;
    }
    let uniform = warm(&mut reader, window, || draw.below(table.rows))?;
    let mut draw = Draw::new(9);
    let zipf = warm(&mut reader, window, || popular(&mut draw, table.rows))?;
    let mut draw = Draw::new(10);
    let cold = cold(&mut reader, path, || draw.below(table.rows))?;
    let line = |what: &str, (latencies, cpu): &(Latencies, Duration)| {
        let rate = latencies.mean().as_secs_f64().recip();
        Figure::of(what)
            .rate(rate, "batches/s")
            .latency(latencies)
            .cpu(*cpu)
    };
    let ratio = |measured: &(Latencies, Duration), reference| times(measured.0.at(0.5), reference);
    Ok(vec![
        line("51 keys warm, zipf", &zipf).beside("prototype 41 µs", ratio(&zipf, REFERENCE_ZIPF)),
        line("51 keys warm, uniform", &uniform)
            .beside("prototype 49 µs", ratio(&uniform, REFERENCE_UNIFORM)),
        line("51 keys cold, uniform", &cold)
            .beside("51 × 37 µs of device", ratio(&cold, REFERENCE_COLD)),
    ])
}

/// A row by popularity: the n-th most popular is asked for once where the first is n times.
fn popular(draw: &mut Draw, rows: u64) -> u64 {
    let unit = draw.below(1 << 53) as f64 / (1_u64 << 53) as f64;
    let rank = (rows as f64).powf(unit) as u64;
    // Popular rows do not lie side by side.
    rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows
}

fn warm(
    reader: &mut Reader<'_>,
    window: Duration,
    mut key: impl FnMut() -> u64,
) -> anyhow::Result<(Latencies, Duration)> {
    let mut latencies = Latencies::default();
    let (began, mut cpu) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < window {
        let keys: Vec<u64> = (0..KEYS).map(|_| key()).collect();
        let (start, before) = (Instant::now(), thread_cpu());
        reader.read(&keys)?;
        cpu += thread_cpu() - before;
        latencies.record(start.elapsed());
    }
    let cpu = each(cpu, latencies.count());
    Ok((latencies, cpu))
}

fn cold(
    reader: &mut Reader<'_>,
    path: &Path,
    mut key: impl FnMut() -> u64,
) -> anyhow::Result<(Latencies, Duration)> {
    let (mut latencies, mut cpu) = (Latencies::default(), Duration::ZERO);
    for _ in 0..COLD_BATCHES {
        let keys: Vec<u64> = (0..KEYS).map(|_| key()).collect();
        forget(path)?;
        let (start, before) = (Instant::now(), thread_cpu());
        reader.read(&keys)?;
        cpu += thread_cpu() - before;
        latencies.record(start.elapsed());
    }
    Ok((latencies, each(cpu, COLD_BATCHES)))
}

struct Reader<'a> {
    store: &'a Store,
    plans: [Plan; 1],
    staging: Staging,
}

impl Reader<'_> {
    /// Reads all `keys` and checks that each came with its own value.
    fn read(&mut self, keys: &[u64]) -> anyhow::Result<()> {
        let canonical: Vec<Key> = keys.iter().map(|n| rows::key(*n)).collect();
        let requests: Vec<ReadRequest<'_>> = keys
            .iter()
            .zip(&canonical)
            .map(|(n, key)| ReadRequest {
                shard: rows::shard(n % SHARDS),
                plan: 0,
                hash: rows::hash(key),
                key: key.as_bytes(),
            })
            .collect();
        self.store
            .read_batch(&requests, &self.plans, &mut self.staging);
        for (at, n) in keys.iter().enumerate() {
            let cells = self.staging.cells(at);
            let found = self.staging.rows()[at].state == RowState::Found;
            let right = cells.len() == ROW_BYTES && cells[..8] == n.to_le_bytes();
            ensure!(
                found && right,
                "row {n} is {:?}",
                self.staging.rows()[at].state
            );
        }
        Ok(())
    }
}
