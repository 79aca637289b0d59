//! A child process: its signals, its log, its end. It never outlives its owner.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, OpenOptions},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A child that is killed and reaped when it is dropped, also one that stands still.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`; what it says goes to the end of `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        Self::spawn_apart(command, log, log)
    }

    /// Starts `command` with files of their own for its answer and its errors.
    pub fn spawn_apart(command: &mut Command, out: &Path, err: &Path) -> Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("open {}", path.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open(out)?)
            .stderr(open(err)?)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look at a child")
    }

    /// Bytes of memory that it has, as the system counts them.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        resident_bytes(&status).with_context(|| format!("{path} tells no memory"))
    }

    /// Sends it a signal. It is not reaped yet, so the number is still its own.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("send {signal:?} to child {}", self.child.id()))
    }

    /// Takes it away as a loss of power does, as far as the process itself can tell.
    pub fn kill(&mut self) -> Result<()> {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().context("reap a child")?;
        Ok(())
    }
}

/// What the kernel says of a process: in KiB.
fn resident_bytes(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a child that the kernel does not let go of.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        Process::spawn(Command::new("sleep").arg("600"), &folder.join("log")).unwrap()
    }

    #[test]
    fn a_frozen_child_ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let child = sleeper(folder.path());
        let pid = child.child.id();
        child.signal(Signal::STOP).unwrap();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn the_memory_of_a_child_is_told() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"),
            Some(12 << 10)
        );
        let folder = tempfile::tempdir().unwrap();
        assert!(sleeper(folder.path()).resident_bytes().unwrap() > 0);
    }

    #[test]
    fn a_childs_end_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(folder.path());
        assert_eq!(child.ended().unwrap(), None);
        child.kill().unwrap();
        assert!(child.ended().unwrap().is_some());
    }
}
