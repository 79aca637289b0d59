//! The store alone, on a real disk: load, durable upserts, batches of reads, restart. It lies where
//! `TMPDIR` says, which must not be memory.
//!
//! The references are a small prototype of this store, measured on a machine of two cores.

mod disk_limits;
mod keeper;
mod reads;
mod rows;
mod upserts;

use crate::figure::{Figure, each, times};
use crate::machine::process_cpu;
use anyhow::{Context as _, ensure};
use disk_limits::DiskLimits;
use keeper::Keeping;
use rows::{SHARDS, Table};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{Settings, Store, Writer, disk::RealDisk};

/// Index bytes of a row as the store's design has them.
const REFERENCE_INDEX_BYTES: f64 = 41.0;
/// Restart from hint files on one core, for a row.
const REFERENCE_OPEN: Duration = Duration::from_nanos(310);

/// Measures everything about a store of `rows` rows.
pub fn measure(rows: u64, window: Duration) -> anyhow::Result<Vec<Figure>> {
    let scratch = tempfile::Builder::new()
        .prefix("atoll-benches-")
        .tempdir()?;
    let limits = DiskLimits::measure(scratch.path())?;
    let mut figures = limits.figures();
    let table = Table::new(rows);

    let (store, mut writer) = open(scratch.path())?;
    let keeping = Keeping::start(Arc::clone(&store));
    figures.push(upserts::load(&table, &mut writer)?);
    figures.push(index(&store, rows)?);
    figures.push(upserts::one_after_the_other(
        &table,
        &mut writer,
        window,
        &limits,
    )?);
    let (figure, mut writer) = upserts::with_a_disk_thread(&table, writer, window)?;
    figures.push(figure);
    writer.log_commits()?;
    writer.sync()?;
    keeping.end();

    figures.extend(reads::measure(&store, &table, scratch.path(), window)?);
    drop((store, writer));
    figures.push(restart("restart, files cached", scratch.path(), rows)?);
    disk_limits::forget(scratch.path())?;
    figures.push(restart("restart, files not cached", scratch.path(), rows)?);
    Ok(figures)
}

fn open(path: &Path) -> anyhow::Result<(Arc<Store>, Writer)> {
    let disk = RealDisk::open(path).context("open the scratch directory")?;
    let (store, writer, _) = Store::open(Arc::new(disk), Settings::default())?;
    Ok((store, writer))
}

fn index(store: &Store, rows: u64) -> anyhow::Result<Figure> {
    let held: usize = (0..SHARDS).map(|at| store.rows(rows::shard(at))).sum();
    ensure!(held as u64 == rows, "the index holds {held} of {rows} rows");
    let bytes = store.index_bytes() as f64 / rows as f64;
    let figure = Figure::of("index").rate(bytes, "bytes/row");
    Ok(figure.beside("design 41 bytes", bytes / REFERENCE_INDEX_BYTES))
}

fn restart(what: &str, path: &Path, rows: u64) -> anyhow::Result<Figure> {
    let (began, cpu) = (Instant::now(), process_cpu());
    let (store, writer) = open(path)?;
    let (took, cpu) = (began.elapsed(), process_cpu() - cpu);
    let held: usize = (0..SHARDS).map(|at| store.rows(rows::shard(at))).sum();
    ensure!(
        held as u64 == rows,
        "after a restart the index holds {held} of {rows} rows"
    );
    drop(writer);
    let figure = Figure::of(format!("{what}: {rows} rows")).rate(took.as_secs_f64() * 1e3, "ms");
    let reference = REFERENCE_OPEN.mul_f64(rows as f64);
    Ok(figure
        .cpu(each(cpu, rows))
        .beside("prototype 0.31 µs/row", times(took, reference)))
}
