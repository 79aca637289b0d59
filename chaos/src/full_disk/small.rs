//! A small file system in memory for each node's data, and what fills it.

use crate::{cluster::Host, namespace};
use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
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

    fn ballast(&self, place: usize) -> PathBuf {
        self.mounted[place].join("ballast")
    }

    /// Something else takes nearly all the space of one.
    pub fn fill(&self, place: usize) -> Result<()> {
        let path = self.ballast(place);
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        let taken = free_bytes(&self.mounted[place])?.saturating_sub(LEFT_BYTES);
        fallocate(&file, FallocateFlags::empty(), 0, taken)
            .with_context(|| format!("take {taken} bytes of {}", path.display()))
    }

    /// And gives it back.
    pub fn empty(&self, place: usize) -> Result<()> {
        let path = self.ballast(place);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
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
