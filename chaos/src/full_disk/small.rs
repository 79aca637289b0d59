//! A small file system in memory for each node's data, and what fills it.

use crate::{cluster::Host, namespace};
use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;

/// What the scenario takes.
pub const NEEDS: &str = "full-disk mounts small file systems in a namespace of its own, which takes root, and \
                         `unshare` and `mount` (util-linux)";
const MIB: u64 = 1 << 20;
/// Room for what is no row: the groups' logs are written ahead in 64 MiB.
const USUAL_BYTES: u64 = 256 * MIB;
/// Room for a loaded row, with what compaction needs.
const ROW_BYTES: u64 = 512;
/// What is left of a full disk: less than a store keeps back, and enough for what is no row.
const LEFT_BYTES: u64 = 6 * MIB;
/// How often it is looked for more.
const TAKEN_EVERY: Duration = Duration::from_millis(20);

/// Begins this program anew in a namespace of its own, unless it is there already: mounts in it are seen by
/// nobody else, and vanish with its last process.
pub fn enter() -> Result<()> {
    namespace::enter(&["--mount"], NEEDS)
}

/// See the module. Gone with this value, once the processes that had files there are.
#[derive(Debug)]
pub struct Disks {
    mounted: Vec<PathBuf>,
    folder: TempDir,
}

impl Disks {
    /// Mounts one for each node, with room for so many loaded rows.
    pub fn mount(nodes: usize, rows: u64) -> Result<Self> {
        ensure!(
            namespace::is_own(),
            "the process is in no namespace of its own"
        );
        let folder = tempfile::Builder::new().prefix("atoll-chaos-").tempdir()?;
        let mut disks = Self {
            mounted: Vec::new(),
            folder,
        };
        let size = format!("size={}", USUAL_BYTES + rows * ROW_BYTES);
        for place in 0..nodes {
            let at = disks.folder.path().join(format!("disk-{place}"));
            fs::create_dir(&at)?;
            let target = at.display().to_string();
            namespace::run(
                "mount",
                &["-t", "tmpfs", "-o", &size, "none", &target],
                NEEDS,
            )?;
            disks.mounted.push(at);
        }
        Ok(disks)
    }

    /// A node whose data lies there.
    #[must_use]
    pub fn host(&self, place: usize) -> Host {
        Host::on_small_disk(self.mounted[place].clone())
    }

    /// Something else takes nearly all the space of one, and what the node gives back meanwhile.
    pub fn fill(&self, place: usize) -> Result<Ballast> {
        Ballast::take(&self.mounted[place])
    }
}

/// What fills a file system, until it is let go of.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    taking: Option<JoinHandle<Result<()>>>,
}

impl Ballast {
    fn take(at: &Path) -> Result<Self> {
        let path = at.join("ballast");
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        let mut taken = take_more(at, &file, 0)?;
        let stop = Arc::<AtomicBool>::default();
        let (at, stops) = (at.to_owned(), Arc::clone(&stop));
        // A store that is nearly full compacts, and has room again for a while.
        let taking = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                taken = take_more(&at, &file, taken)?;
                thread::sleep(TAKEN_EVERY);
            }
            Ok(())
        });
        Ok(Self {
            path,
            stop,
            taking: Some(taking),
        })
    }

    /// Gives all of it back.
    pub fn let_go(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(taking) = self.taking.take() {
            let taken = taking.join();
            taken.map_err(|_| anyhow!("what takes space panicked"))??;
        }
        fs::remove_file(&self.path).with_context(|| format!("remove {}", self.path.display()))
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Takes what is free beyond what is left; the bytes that are taken then.
fn take_more(at: &Path, file: &File, taken: u64) -> Result<u64> {
    let more = free_bytes(at)?.saturating_sub(LEFT_BYTES);
    if more == 0 {
        return Ok(taken);
    }
    match fallocate(file, FallocateFlags::empty(), taken, more) {
        Ok(()) => Ok(taken + more),
        // The node was faster.
        Err(Errno::NOSPC) => Ok(taken),
        Err(error) => Err(error).with_context(|| format!("take {more} bytes of {}", at.display())),
    }
}

fn free_bytes(at: &Path) -> Result<u64> {
    let stat = statvfs(at).with_context(|| format!("ask {} for its room", at.display()))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

impl Drop for Disks {
    fn drop(&mut self) {
        for at in &self.mounted {
            // One that is still in use goes with the namespace.
            let _ = Command::new("umount").arg(at).status();
        }
    }
}
