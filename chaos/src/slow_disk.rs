//! One node's disk gets slow: each of its syncs takes two seconds, for a while, once as that of a voter
//! and once as that of the leader of the region's group.
//!
//! The node itself is well: it answers, and serves lookups, and no lookup may fail at any time. It is to
//! leave the in-sync sets and be primary of nothing, so that writes do not wait for its disk, and to come
//! back once that is fast again.
//!
//! The delay is real to the process: a small library stands before the C library's `fsync` and
//! `fdatasync`, which is what the store and the groups' logs call.

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Host},
    limping::{self, Fault, Limping, Settings},
    report::Findings,
};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};
use tempfile::TempDir;

const SOURCE: &str = include_str!("slow_disk/slow_sync.c");

/// The library and the files that switch it on, one for each node.
struct Disks {
    folder: TempDir,
}

/// Runs it and judges it. An error says that there was nothing to judge.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let disks = Disks::build()?;
    let hosts = (0..settings.shape.nodes).map(|place| disks.host(place));
    let cluster = Cluster::found_on(Atoll::find()?, settings.shape, clock, hosts.collect())?;
    limping::run(settings, cluster, clock, |run| {
        for who in settings.whom.iter().copied() {
            let victim = run.choose(who)?;
            run.bout(&format!("slow disk of {who}"), victim, &mut Slow(&disks))?;
        }
        Ok(())
    })
}

struct Slow<'a>(&'a Disks);

impl Fault for Slow<'_> {
    fn begin(&mut self, _: &mut Limping, victim: usize) -> Result<()> {
        let switch = self.0.switch(victim);
        File::create(&switch).with_context(|| format!("make {}", switch.display()))?;
        Ok(())
    }

    fn end(&mut self, _: &mut Limping, victim: usize) -> Result<()> {
        let switch = self.0.switch(victim);
        fs::remove_file(&switch).with_context(|| format!("remove {}", switch.display()))
    }
}

impl Disks {
    fn build() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("atoll-chaos-").tempdir()?;
        let disks = Self { folder };
        let source = disks.folder.path().join("slow_sync.c");
        fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        compiler.arg(disks.library()).arg(&source).arg("-ldl");
        let said = compiler
            .output()
            .context("start cc, the C compiler; install one")?;
        ensure!(
            said.status.success(),
            "slow_sync.c does not build: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(disks)
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("slow_sync.so")
    }

    fn switch(&self, place: usize) -> PathBuf {
        self.folder.path().join(format!("slow-{place}"))
    }

    fn host(&self, place: usize) -> Host {
        Host::with_slow_syncs(self.library(), self.switch(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// Syncs the folder with a program that knows nothing of the library.
    fn sync(disks: &Disks, file: &Path) -> Duration {
        let mut command = Command::new("dd");
        command.args([
            "if=/dev/zero",
            "bs=1",
            "count=1",
            "conv=fsync",
            "status=none",
        ]);
        command.arg(format!("of={}", file.display()));
        command.env("LD_PRELOAD", disks.library());
        command.env("CHAOS_SLOW_SYNC", disks.switch(0));
        let began = Instant::now();
        assert!(command.status().unwrap().success());
        began.elapsed()
    }

    #[test]
    fn syncs_are_slow_while_the_switch_is_there() {
        let disks = Disks::build().unwrap();
        let file = disks.folder.path().join("synced");
        assert!(sync(&disks, &file) < Duration::from_secs(2));
        File::create(disks.switch(0)).unwrap();
        assert!(sync(&disks, &file) >= Duration::from_secs(2));
        File::create(disks.switch(1)).unwrap();
        fs::remove_file(disks.switch(0)).unwrap();
        assert!(
            sync(&disks, &file) < Duration::from_secs(2),
            "another's switch"
        );
    }
}
