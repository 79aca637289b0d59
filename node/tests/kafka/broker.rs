//! A real broker for a test, by `deploy/dev/kafka.sh`.

use node::region_log::kafka::{Brokers, Security};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A running broker; it ends with the test.
pub struct Broker {
    region: &'static str,
    folder: TempDir,
    port: u16,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/kafka.sh")
}

/// A port whose neighbour is free too. Not one of those that the machine gives to clients: one that tries
/// a killed broker again and again would in the end be given its port, and speak to itself.
fn free_port() -> u16 {
    let first = 20_000 + (std::process::id() % 5_000) as u16 * 2;
    let is_free = |port: &u16| {
        let both = [*port, port + 1].map(|port| TcpListener::bind(("127.0.0.1", port)));
        both.iter().all(Result::is_ok)
    };
    (first..32_000)
        .step_by(2)
        .find(is_free)
        .expect("there is a free one")
}

impl Broker {
    /// Starts one of a region; none where it is not installed, which is said. With `CI=true` it has to be.
    pub fn start(region: &'static str) -> Option<Self> {
        let path = Command::new(script()).arg("path").output().unwrap();
        let jars = PathBuf::from(String::from_utf8(path.stdout).unwrap().trim());
        if !jars.exists() {
            let why = "no Kafka is installed: run deploy/dev/kafka.sh install, which needs Java and Maven";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            eprintln!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let broker = Self {
            region,
            folder,
            port,
        };
        broker.start_again();
        Some(broker)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[allow(dead_code, reason = "tests of whole regions name the address")]
    pub fn brokers(&self) -> Brokers {
        Brokers {
            addresses: vec![self.address()],
            security: Security::Plaintext,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(script());
        command
            .args(arguments)
            .env("ATOLL_KAFKA_DATA", self.folder.path());
        command.output().unwrap()
    }

    pub fn start_again(&self) {
        let output = self.run(&["start", self.region, &self.port.to_string()]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
    }

    /// It loses all it had, and comes back empty.
    #[allow(dead_code, reason = "tests of whole regions need it")]
    pub fn begin_anew(&self) {
        let output = self.run(&["wipe", self.region]);
        assert!(output.status.success());
        self.start_again();
    }

    fn signal(&self, signal: &str) {
        let pid = self.run(&["pid", self.region]);
        let pid = String::from_utf8(pid.stdout).unwrap();
        let sent = Command::new("kill")
            .args([signal, pid.trim()])
            .status()
            .unwrap();
        assert!(sent.success(), "no broker to send {signal} to");
    }

    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    pub fn kill(&self) {
        self.signal("-KILL");
        // Its port is free once it is gone.
        while self.run(&["pid", self.region]).status.success() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.run(&["wipe", self.region]));
    }
}
