//! One node: its process, its folder, its addresses.

use super::Host;
use crate::{atoll::Atoll, http, ports::free_ports, process::Process};
use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

const ASK_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// How much of a log explains a failure.
const LAST_LINES: usize = 15;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Runs,
    /// It stands still.
    Frozen,
    /// There is none.
    Down,
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    name: String,
    host: Host,
    port: u16,
    folder: PathBuf,
    process: Option<Process>,
    standing: Standing,
}

impl Node {
    /// A node that was not started yet.
    pub fn new(place: usize, host: Host, folder: &Path) -> Result<Self> {
        Ok(Self {
            name: format!("eu-{}", place + 1),
            host,
            port: free_ports()?,
            folder: folder.to_owned(),
            process: None,
            standing: Standing::Down,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its first port, that of gRPC.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of the machine it runs on.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.host.address()
    }

    /// Where it runs.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Where HTTP is spoken.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((self.address(), self.port + 1))
    }

    /// Where clients call it.
    #[must_use]
    pub fn grpc_address(&self) -> String {
        format!("{}:{}", self.address(), self.port)
    }

    /// Where nodes call it.
    #[must_use]
    pub fn peer_address(&self) -> String {
        format!("{}:{}", self.address(), self.port + 2)
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        match self.host.disk() {
            Some(disk) => disk.join("data"),
            None => self.folder.join(format!("{}-data", self.name)),
        }
    }

    /// What its process does.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn settings(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    /// What tells people about it after a run.
    #[must_use]
    pub fn files_to_keep(&self) -> [PathBuf; 2] {
        [self.log(), self.settings()]
    }

    /// Starts its process with these settings.
    pub fn spawn(&mut self, atoll: &Atoll, settings: &str) -> Result<()> {
        let file = self.settings();
        fs::write(&file, settings).with_context(|| format!("write {}", file.display()))?;
        let mut command = self.host.serve(atoll.command(), &file);
        self.process = Some(Process::spawn(&mut command, &self.log())?);
        self.standing = Standing::Runs;
        Ok(())
    }

    /// Whether its process runs still; an error tells why not.
    pub fn is_starting(&mut self) -> Result<bool> {
        let ended = match &mut self.process {
            Some(process) => process.ended()?,
            None => bail!("node {} was not started", self.name),
        };
        match ended {
            None => Ok(true),
            Some(status) => bail!("node {} ended: {status}{}", self.name, self.last_words()),
        }
    }

    /// Why it takes no traffic; none if it does. A process that ended is an error.
    pub fn not_ready(&mut self) -> Result<Option<String>> {
        self.is_starting()?;
        Ok(match http::get(self.http(), "/readyz", ASK_WITHIN) {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(answer.body),
            Err(error) => Some(format!("{error:#}")),
        })
    }

    /// Takes its process away at once.
    pub fn kill(&mut self) -> Result<()> {
        self.standing = Standing::Down;
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// Lets its process end in its own way, which must come in time.
    pub fn stop(&mut self, within: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let end = Instant::now() + within;
        while self.is_running()? {
            if Instant::now() >= end {
                bail!(
                    "node {} does not end in {within:?}{}",
                    self.name,
                    self.last_words()
                );
            }
            thread::sleep(POLL);
        }
        self.process = None;
        self.standing = Standing::Down;
        Ok(())
    }

    /// Whether it has a process that did not end.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.is_none()),
            None => Ok(false),
        }
    }

    /// Bytes that its process sent to replicas that lag; none while it does not answer.
    #[must_use]
    pub fn sent_bytes(&self) -> Option<u64> {
        let answer = http::get(self.http(), "/metrics", ASK_WITHIN).ok()?;
        Some(answer.body.lines().filter_map(sent_bytes).sum())
    }

    /// A number of its metrics that has no labels; none while it does not answer, or has no such number.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let answer = http::get(self.http(), "/metrics", ASK_WITHIN).ok()?;
        let mut lines = answer.body.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Bytes of memory that its process has.
    pub fn resident_bytes(&self) -> Result<u64> {
        let process = self.process.as_ref();
        process
            .with_context(|| format!("node {} is down", self.name))?
            .resident_bytes()
    }

    /// Lets its process stand still.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.standing = Standing::Frozen;
        Ok(())
    }

    /// Lets it go on.
    pub fn wake(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.standing = Standing::Runs;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref();
        process
            .with_context(|| format!("node {} is down", self.name))?
            .signal(signal)
    }

    /// The end of its log, for errors.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        format!(
            "\nlast lines of {}:\n{}",
            self.name,
            lines[from..].join("\n")
        )
    }
}

/// The bytes that a line of metrics tells of, if it does.
fn sent_bytes(line: &str) -> Option<u64> {
    let (series, value) = line.rsplit_once(' ')?;
    let is_asked_for = series.starts_with("atoll_catch_up_bytes_total{");
    value.parse().ok().filter(|_| is_asked_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_sent_are_read_from_the_metrics() {
        let line = "atoll_catch_up_bytes_total{way=\"log\"} 1048";
        assert_eq!(sent_bytes(line), Some(1_048));
        assert_eq!(sent_bytes("# HELP atoll_catch_up_bytes Bytes"), None);
        assert_eq!(sent_bytes("atoll_store_index_bytes 7"), None);
    }
}
