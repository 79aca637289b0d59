//! The `atoll` binary as child processes: a node that is started, killed and started again, and
//! commands that are run to their end. No child outlives the test that started it.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for a machine that does much else; nothing waits for it where all goes well.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// A node uses ports from the given one: gRPC, HTTP, peers, and two that are not used yet.
const PORTS: u16 = 5;
/// Where they are looked for.
const PORTS_BEGIN: u16 = 14_000;
const PORTS_END: u16 = 32_000;
/// How often a start that lost its ports to another process is tried again.
const ATTEMPTS: usize = 20;

/// Calls `look` until it gives something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} for {what}");
        thread::sleep(POLL);
    }
}

/// The first of five ports that nobody listens on at the moment. They lie below those that the kernel
/// gives to outgoing connections: one that asks for the port of a node that is down could otherwise be
/// given that very port, and be connected with itself.
pub fn free_ports() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let blocks = u32::from((PORTS_END - PORTS_BEGIN) / PORTS);
    // Test processes that run at the same time begin far from each other.
    let first = process::id().wrapping_mul(0x9e37_79b1);
    for _ in 0..blocks {
        let block = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % blocks;
        let base = PORTS_BEGIN + u16::try_from(block).unwrap() * PORTS;
        if (base..base + PORTS).all(is_free) {
            return base;
        }
    }
    panic!("no five free ports in a row");
}

/// A command of the binary, with nothing of the tester's own settings.
pub fn atoll() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
    command
        .env_remove("ATOLL_GATEWAY")
        .env_remove("ATOLL_TOKEN")
        .env_remove("ATOLL_CA_FILE")
        .env_remove("ATOLL_CLIENT_CERTIFICATE_FILE")
        .env_remove("ATOLL_CLIENT_KEY_FILE")
        .stdin(Stdio::null());
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Said {
    /// Fails the test unless the command did its work; gives what it printed.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.out
    }

    /// Fails the test unless the command ended with `status` and said all of `words` in one line.
    #[track_caller]
    pub fn failed(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:?}");
        let line = self
            .err
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        assert!(
            line.is_some(),
            "no line of this has all of {words:?}:\n{}",
            self.err
        );
    }
}

/// A child that is killed and reaped when it is dropped.
pub struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A node's process with its directory.
pub struct Node {
    // Before the directory: the process must be gone when that is removed.
    process: Process,
    dir: TempDir,
    port: u16,
}

impl Node {
    /// A node with an empty directory, once it takes traffic.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (process, port) = serve(dir.path());
        Self { process, dir, port }
    }

    /// The gRPC port.
    pub fn grpc(&self) -> u16 {
        self.port
    }

    /// The HTTP port.
    pub fn http(&self) -> u16 {
        self.port + 1
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.dir.path())
    }

    /// A path for a file of the test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the test.
    pub fn write_file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// Takes the process away as a power cut does, as far as the process itself can tell.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks the process to stop and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        wait_for("the node to stop", || self.process.ended())
    }

    /// Starts it again after a kill or a stop, at other ports.
    pub fn restart(&mut self) {
        (self.process, self.port) = serve(self.dir.path());
    }

    /// Kills it and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Runs a command against this node to its end.
    pub fn atoll(&self, arguments: &[&str]) -> Said {
        let gateway = format!("127.0.0.1:{}", self.grpc());
        atoll()
            .args(arguments)
            .args(["--gateway", &gateway])
            .output()
            .unwrap()
            .into()
    }

    /// Applies the text of a definition file.
    pub fn apply(&self, definitions: &str) {
        let file = self.write_file("definitions.yaml", definitions);
        self.atoll(&["apply", "--yes", file.to_str().unwrap()])
            .done();
    }
}

fn data_dir(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The command that serves `data_dir` from `port`.
pub fn serve_command(data_dir: &Path, port: u16) -> Command {
    let mut command = atoll();
    command
        .args([
            "serve",
            "--single",
            "--port",
            &port.to_string(),
            "--data-dir",
        ])
        .arg(data_dir);
    command
}

fn serve(dir: &Path) -> (Process, u16) {
    let log = dir.join("serve.log");
    for _ in 0..ATTEMPTS {
        let port = free_ports();
        let mut command = serve_command(&data_dir(dir), port);
        command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let mut process = Process::spawn(&mut command);
        let became_ready = wait_for("the node to be ready", || {
            if super::client::get(port + 1, "/readyz").is_some_and(|(status, _)| status == 200) {
                return Some(true);
            }
            process.ended().map(|_| false)
        });
        let said = fs::read_to_string(&log).unwrap();
        match (became_ready, process.ended()) {
            (true, None) => return (process, port),
            // Another process took a port in between.
            _ if said.contains("choose another with --port") => {}
            (_, ended) => panic!("the node did not start ({ended:?}): {said}"),
        }
    }
    panic!("no start found its ports free");
}
