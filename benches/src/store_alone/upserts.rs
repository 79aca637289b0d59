//! Durable upserts: each batch is compared with the index, encoded, appended, written, synced and
//! committed, as a shard's primary without backups does it.

use super::{
    disk_limits::DiskLimits,
    rows::{self, SHARDS, Table, VIEW},
};
use crate::figure::{Figure, Latencies, each, times};
use crate::machine::process_cpu;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use node::demo::lookups::Draw;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId},
    record,
    request::{RequestId, RequestPart},
};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime},
};
use store::{Batch, Known, NewEntry, Writer};

const BATCH_ROWS: u64 = 100;
const LOAD_ROWS: u64 = 1_000;
/// Upserts of 100 rows that the prototype did in a second.
const REFERENCE_ROWS: f64 = 187_000.0;
const REFERENCE_LOAD_ROWS: f64 = 345_000.0;

/// The last position of each shard that a batch reached.
type Ends = Vec<(ShardId, Position)>;

/// Writes every row once, a thousand to a sync.
pub fn load(table: &Table, writer: &mut Writer) -> anyhow::Result<Figure> {
    let (began, cpu) = (Instant::now(), process_cpu());
    let mut from = 0;
    while from < table.rows {
        let to = (from + LOAD_ROWS).min(table.rows);
        let ends = append(table, writer, &(from..to).collect::<Vec<_>>(), 1)?;
        writer.sync()?;
        commit(writer, &ends)?;
        from = to;
    }
    let rate = table.rows as f64 / began.elapsed().as_secs_f64();
    let figure = Figure::of("load, 1,000 rows to a sync").rate(rate, "rows/s");
    let figure = figure.cpu(each(process_cpu() - cpu, table.rows));
    Ok(figure.beside("prototype 345,000", rate / REFERENCE_LOAD_ROWS))
}

/// One batch after the other, on one thread.
pub fn one_after_the_other(
    table: &Table,
    writer: &mut Writer,
    window: Duration,
    limits: &DiskLimits,
) -> anyhow::Result<Figure> {
    let (mut draw, mut latencies) = (Draw::new(5), Latencies::default());
    let (began, cpu) = (Instant::now(), process_cpu());
    let mut event = 2;
    while began.elapsed() < window {
        let keys = draw_keys(table, &mut draw);
        let start = Instant::now();
        let ends = append(table, writer, &keys, event)?;
        writer.sync()?;
        commit(writer, &ends)?;
        latencies.record(start.elapsed());
        event += 1;
    }
    let rows = latencies.count() * BATCH_ROWS;
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    let limit = times(latencies.at(0.5), limits.append());
    let what = format!("durable upserts, 100 rows to a sync ({limit:.1} × the disk's p50)");
    let figure = Figure::of(what).rate(rate, "rows/s").latency(&latencies);
    let figure = figure.cpu(each(process_cpu() - cpu, rows));
    Ok(figure.beside("prototype 187,000", rate / REFERENCE_ROWS))
}

/// The next batch is prepared while a second thread writes and syncs the one before.
pub fn with_a_disk_thread(
    table: &Table,
    mut writer: Writer,
    window: Duration,
) -> anyhow::Result<(Figure, Writer)> {
    let (to_disk, batches) = mpsc::channel::<Batch>();
    let (synced, from_disk) = mpsc::channel();
    let disk = thread::spawn(move || {
        for mut batch in batches {
            let result = batch.write().and_then(|()| batch.sync());
            if synced.send(result).is_err() {
                break;
            }
        }
    });
    let (mut draw, mut latencies) = (Draw::new(6), Latencies::default());
    let (began, cpu) = (Instant::now(), process_cpu());
    let mut event = 1 << 40;
    let mut in_flight: Option<(Ends, Instant)> = None;
    loop {
        let ending = began.elapsed() >= window;
        let keys = if ending {
            Vec::new()
        } else {
            draw_keys(table, &mut draw)
        };
        let start = Instant::now();
        let ends = append(table, &mut writer, &keys, event)?;
        let batch = writer.take_batch();
        if let Some((ends, start)) = in_flight.take() {
            let result = from_disk.recv().context("the disk's thread ended")?;
            writer.note_synced(result?);
            commit(&mut writer, &ends)?;
            latencies.record(start.elapsed());
        }
        if ending {
            break;
        }
        to_disk.send(batch).context("the disk's thread ended")?;
        in_flight = Some((ends, start));
        event += 1;
    }
    drop(to_disk);
    disk.join()
        .expect("the disk's thread has no reason to panic");
    let rows = latencies.count() * BATCH_ROWS;
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    let figure = Figure::of("the same, synced on a second thread").rate(rate, "rows/s");
    let figure = figure
        .latency(&latencies)
        .cpu(each(process_cpu() - cpu, rows));
    Ok((
        figure.beside("prototype 187,000", rate / REFERENCE_ROWS),
        writer,
    ))
}

fn draw_keys(table: &Table, draw: &mut Draw) -> Vec<u64> {
    (0..BATCH_ROWS).map(|_| draw.below(table.rows)).collect()
}

/// Appends the rows `keys` with event time `event`: an entry for each shard that has some.
fn append(table: &Table, writer: &mut Writer, keys: &[u64], event: u64) -> anyhow::Result<Ends> {
    let millis = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    let stamp = Hlc::from_millis(u64::try_from(millis)?);
    let mut by_shard: [Vec<u64>; SHARDS as usize] = Default::default();
    for n in keys {
        by_shard[usize::try_from(n % SHARDS)?].push(*n);
    }
    let mut built: Vec<(Bytes, Vec<u64>)> = Vec::new();
    let mut ends = Ends::new();
    for (at, keys) in (0..).zip(&by_shard).filter(|(_, keys)| !keys.is_empty()) {
        let shard = rows::shard(at);
        let position = writer.last(shard).position.next();
        let mut builder = EntryBuilder::new(header(shard, position, stamp));
        let mut hashes = Vec::with_capacity(keys.len());
        for n in keys {
            let key = rows::key(*n);
            let hash = rows::hash(&key);
            check_newer(writer, shard, hash, event)?;
            let mut bytes = table.record(*n, &key, stamp, event);
            record::seal(&mut bytes, position);
            builder.push(&bytes);
            hashes.push(hash);
        }
        built.push((builder.finish(), hashes));
        ends.push((shard, position));
    }
    let entries: Vec<NewEntry<'_>> = built
        .iter()
        .map(|(bytes, hashes)| NewEntry {
            bytes: bytes.clone(),
            hashes,
        })
        .collect();
    writer.append(&entries)?;
    Ok(ends)
}

/// What the merge rule needs of the old row: the index alone says that the new one wins.
fn check_newer(writer: &Writer, shard: ShardId, hash: u64, event: u64) -> anyhow::Result<()> {
    match writer.store().known(shard, VIEW, hash) {
        Known::Absent => {}
        Known::Full(old) => ensure!(old.micros() <= event, "the old row is newer"),
        Known::Unknown => anyhow::bail!("a whole row must be known to the index"),
    }
    Ok(())
}

fn header(shard: ShardId, position: Position, stamp: Hlc) -> EntryHeader {
    EntryHeader {
        shard,
        origin: RegionId(1),
        kind: EntryKind::Rows,
        epoch: Epoch(1),
        previous_epoch: Epoch(1),
        position,
        incarnation: Incarnation(1),
        placement: PlacementId(1),
        part: RequestPart(shard.0),
        sequence: Sequence(position.0),
        hlc: stamp,
        request: RequestId::make(stamp.millis(), u128::from(position.0)),
        link_position: 0,
    }
}

fn commit(writer: &mut Writer, ends: &Ends) -> anyhow::Result<()> {
    for (shard, position) in ends {
        writer.commit(*shard, *position)?;
    }
    Ok(())
}
