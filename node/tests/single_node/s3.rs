//! A real S3 server for a test: versitygw over a folder, as `deploy/dev/s3.sh` installs it.

use super::process::{Process, free_ports, wait_for};
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The bucket that is there.
pub const BUCKET: &str = "atoll-tests";
const KEY: &str = "tester";
const SECRET: &str = "a-secret-of-a-test";

/// A running server; it ends with the test.
pub struct S3 {
    _process: Process,
    _folder: TempDir,
    port: u16,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/s3.sh")
}

impl S3 {
    /// Starts one; none where it is not installed, which is said. With `CI=true` it has to be.
    pub fn start() -> Option<Self> {
        let path = Command::new(script()).arg("path").output().unwrap();
        let server = PathBuf::from(String::from_utf8(path.stdout).unwrap().trim());
        if !server.exists() {
            let why = "no S3 server is installed: run deploy/dev/s3.sh install, which needs Go";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            eprintln!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("buckets");
        fs::create_dir_all(root.join(BUCKET)).unwrap();
        let port = free_ports();
        let log = File::create(folder.path().join("s3.log")).unwrap();
        let mut command = Command::new(script());
        command
            .args(["start", &port.to_string()])
            .arg(&root)
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut process = Process::spawn(&mut command);
        wait_for("the S3 server to listen", || {
            assert!(process.ended().is_none(), "the S3 server ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        Some(Self {
            _process: process,
            _folder: folder,
            port,
        })
    }

    /// What a command needs to know of it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &endpoint),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}
