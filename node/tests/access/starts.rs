//! Addresses that others reach need encryption and access control, and the node says so at its start.

use super::{
    lab::plain,
    process::{Process, Said, atoll, free_ports, wait_for},
};
use std::{fs, path::PathBuf, process::Stdio};
use tempfile::TempDir;

struct Start {
    dir: TempDir,
    port: u16,
}

impl Start {
    /// Settings of a node that listens at `host` with the addresses named, at loopback with the others.
    fn new(host: &str, reached: &[&str], more: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_ports());
        let listen = ["grpc", "http", "peer", "link", "gossip"];
        let listen = listen.iter().zip(port..).map(|(what, port)| {
            let host = if reached.contains(what) {
                host
            } else {
                "127.0.0.1"
            };
            format!("{what} = \"{host}:{port}\"\n")
        });
        let listen: String = listen.collect();
        let data = dir.path().join("data");
        let text = format!(
            "[node]\nname = \"eu-0\"\nregion = \"eu\"\nzone = \"a\"\nroles = [\"node\", \"gateway\", \"voter\"]\n\
             data_dir = {data:?}\n[listen]\n{listen}{more}"
        );
        fs::write(dir.path().join("node.toml"), text).unwrap();
        Self { dir, port }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    fn process(&self) -> Process {
        let mut command = atoll();
        command
            .args(["serve", "--config"])
            .arg(self.dir.path().join("node.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::spawn(&mut command);
        wait_for("the node to wait for its founding", || {
            let (_, body) = plain(self.port + 1, "/readyz")?;
            body.contains("no cluster yet").then_some(())
        });
        process
    }

    fn refused(&self, words: &[&str]) {
        let serve = atoll()
            .args(["serve", "--config"])
            .arg(self.dir.path().join("node.toml"))
            .output();
        Said::from(serve.unwrap()).failed(1, words);
    }

    fn init(&self, secure: &str) -> Said {
        let text = format!(
            "[cluster]\nname = \"lab\"\nshards = 8\n{secure}\n[[region]]\nname = \"eu\"\ncopies = 1\nmin_in_sync = 1\n"
        );
        let at = format!("127.0.0.1:{}", self.port + 2);
        let init = atoll()
            .args(["init", "--at", &at, "--config"])
            .arg(self.file("cluster.toml", &text))
            .output();
        Said::from(init.unwrap())
    }
}

#[test]
fn clients_are_not_served_in_the_clear_where_others_reach_them() {
    for address in ["grpc", "http"] {
        let start = Start::new("0.0.0.0", &[address], "");
        let named = format!("listen.{address} is 0.0.0.0:");
        start.refused(&[&named, "[tls]", "listen.insecure_open = true"]);
    }
    let half = Start::new("0.0.0.0", &["grpc"], "[tls]\nkey_file = \"/nowhere\"\n");
    half.refused(&["tls.certificate_file and tls.key_file"]);
}

#[test]
fn a_cluster_that_others_reach_is_secured_unless_the_operator_says_otherwise() {
    let start = Start::new("0.0.0.0", &["peer"], "");
    let _node = start.process();
    let open = start.init("secure = false");
    open.failed(
        1,
        &[
            "listen.peer is 0.0.0.0:",
            "cluster.secure = true",
            "listen.insecure_open = true",
        ],
    );
    let founded = start.init("").done();
    assert!(founded.contains("secrets/first-admin-token"), "{founded}");
    assert!(start.dir.path().join("data/secrets/authority.key").exists());
}

#[test]
fn an_operator_may_say_that_the_network_is_closed() {
    let all = ["grpc", "http", "peer", "link", "gossip"];
    let start = Start::new("0.0.0.0", &all, "insecure_open = true\n");
    let _node = start.process();
    let founded = start.init("").done();
    assert!(!founded.contains("first-admin-token"), "{founded}");
    wait_for("the node to serve in the clear", || {
        let (status, _) = plain(start.port + 1, "/readyz")?;
        (status == 200).then_some(())
    });
}

#[test]
fn an_open_cluster_has_no_certificate_for_its_clients() {
    let start = Start::new("127.0.0.1", &[], "[tls]\n");
    let _node = start.process();
    let open = start.init("secure = false");
    open.failed(
        1,
        &[
            "[tls] names no files",
            "tls.certificate_file and tls.key_file",
        ],
    );
    start.init("secure = true").done();
}
