//! What the disk and the page cache allow, measured by plain calls in the same run.

use super::rows::ROW_BYTES;
use crate::figure::{Figure, Latencies, each};
use crate::machine::thread_cpu;
use anyhow::Context as _;
use node::demo::lookups::Draw;
use rustix::fs::{Advice, fadvise};
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

/// A hundred rows of 948 bytes with their headers, as the reference measured it.
const APPEND_BYTES: usize = 97_000;
const APPENDS: u64 = 400;
const FILE_BYTES: u64 = 64 << 20;
/// Keys of a batch of reads.
const READS: u64 = 51;
const READ_BATCHES: u64 = 2_000;
/// A record of the store, with header and key.
const RECORD_BYTES: usize = ROW_BYTES + 76;
const REFERENCE_APPEND: Duration = Duration::from_micros(95);

/// The limits.
pub struct DiskLimits {
    zeroed: Latencies,
    growing: Latencies,
    reads: Latencies,
    cpu_of_read: Duration,
}

impl DiskLimits {
    /// Measures in a file below `path`, which goes again.
    pub fn measure(path: &Path) -> anyhow::Result<Self> {
        let path = path.join("limits");
        let growing = appends(&path).context("append to a growing file")?;
        fs::write(&path, vec![0; usize::try_from(FILE_BYTES)?])?;
        File::open(&path)?.sync_all()?;
        let zeroed = appends(&path).context("overwrite zeros")?;
        let (reads, cpu_of_read) = reads(&path).context("read what is cached")?;
        fs::remove_file(&path)?;
        Ok(Self {
            zeroed,
            growing,
            reads,
            cpu_of_read,
        })
    }

    /// The median of 97 kB over zeros, synced.
    pub fn append(&self) -> Duration {
        self.zeroed.at(0.5)
    }

    /// As lines of the table.
    pub fn figures(&self) -> Vec<Figure> {
        let reference = crate::figure::times(self.append(), REFERENCE_APPEND);
        vec![
            Figure::of("disk: 97 kB + fdatasync, growing file").latency(&self.growing),
            Figure::of("disk: 97 kB + fdatasync, over zeros")
                .latency(&self.zeroed)
                .beside("reference machine 95 µs", reference),
            Figure::of("page cache: 51 preads of 1 kB")
                .latency(&self.reads)
                .cpu(self.cpu_of_read),
        ]
    }
}

fn appends(path: &Path) -> anyhow::Result<Latencies> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let bytes = vec![7; APPEND_BYTES];
    let mut latencies = Latencies::default();
    for at in 0..APPENDS {
        let began = Instant::now();
        file.write_all_at(&bytes, at * APPEND_BYTES as u64)?;
        file.sync_data()?;
        latencies.record(began.elapsed());
    }
    Ok(latencies)
}

fn reads(path: &Path) -> anyhow::Result<(Latencies, Duration)> {
    let file = File::open(path)?;
    let mut buffer = vec![0; RECORD_BYTES];
    let (mut draw, mut latencies) = (Draw::new(3), Latencies::default());
    let mut sink = std::io::sink();
    let cpu = thread_cpu();
    for _ in 0..READ_BATCHES {
        let began = Instant::now();
        for _ in 0..READS {
            file.read_exact_at(&mut buffer, draw.below(FILE_BYTES - RECORD_BYTES as u64))?;
            sink.write_all(&buffer)?;
        }
        latencies.record(began.elapsed());
    }
    Ok((latencies, each(thread_cpu() - cpu, READ_BATCHES)))
}

/// Takes every clean page of the files below `path` out of the page cache.
pub fn forget(path: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget(&entry.path())?;
        } else {
            fadvise(File::open(entry.path())?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
