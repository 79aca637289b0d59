//! Starts that must be refused, with a clear message, and that leave everything as it was.

use super::process::{Node, Process, Said, atoll, free_ports, serve_command, wait_for};
use serde_json::json;
use std::{
    fs,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::Path,
    process::Stdio,
};

const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
      - { name: a, type: int64 }
";

fn node_with_a_row() -> Node {
    let node = Node::start();
    node.apply(DEFINITIONS);
    node.write(
        "state",
        json!([{ "id": 1, "event_time": "2024-03-01T10:00:00Z", "a": 1 }]),
    );
    node
}

fn check_row(node: &Node) {
    assert_eq!(node.row("state", 1)["a"][0], 1);
}

/// A start that ends by itself.
fn refused_start(data_dir: &Path, port: u16) -> Said {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = serve_command(data_dir, port);
    command.stdout(Stdio::null()).stderr(log.reopen().unwrap());
    let mut process = Process::spawn(&mut command);
    let status = wait_for("the start to be refused", || process.ended());
    Said {
        status: status.code(),
        out: String::new(),
        err: fs::read_to_string(log.path()).unwrap(),
    }
}

#[test]
fn a_port_in_use_is_named_and_the_data_stays_as_it_was() {
    let mut node = node_with_a_row();
    node.terminate();
    for (place, key) in (0..).zip(["listen.grpc", "listen.http", "listen.peer"]) {
        let port = free_ports();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port + place)).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        refused_start(&node.data_dir(), port).failed(1, &[key, &address, "--port"]);
    }
    let port = free_ports();
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 4)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused_start(&node.data_dir(), port).failed(1, &["listen.gossip", &address, "--port"]);
    node.restart();
    check_row(&node);
}

#[test]
fn a_data_directory_in_use_is_refused_and_its_owner_serves_on() {
    let node = node_with_a_row();
    refused_start(&node.data_dir(), free_ports())
        .failed(1, &["in use by another process", "--data-dir"]);
    check_row(&node);
    node.write("state", json!([{ "id": 2, "a": 2 }]));
}

#[test]
fn a_data_directory_of_a_newer_version_is_refused_and_left_alone() {
    let mut node = node_with_a_row();
    node.terminate();
    let format = node.data_dir().join("format");
    let known = fs::read_to_string(&format).unwrap();
    let newer = known.trim().parse::<u32>().unwrap() + 1;
    fs::write(&format, newer.to_string()).unwrap();
    refused_start(&node.data_dir(), free_ports())
        .failed(1, &["format", &newer.to_string(), "newer atoll"]);
    assert_eq!(fs::read_to_string(&format).unwrap(), newer.to_string());
    fs::write(&format, known).unwrap();
    node.restart();
    check_row(&node);
}

#[test]
fn a_garbled_id_is_refused_by_its_file() {
    let mut node = node_with_a_row();
    node.terminate();
    let file = node.data_dir().join("node-id");
    let known = fs::read_to_string(&file).unwrap();
    fs::write(&file, "nonsense").unwrap();
    refused_start(&node.data_dir(), free_ports()).failed(1, &["node-id", "nonsense"]);
    fs::write(&file, known).unwrap();
    node.restart();
    check_row(&node);
}

#[test]
fn wrong_usage_ends_with_2_and_a_refusal_with_1() {
    let run = |line: &str| -> Said { atoll().args(line.split(' ')).output().unwrap().into() };
    run("get --project lab").failed(2, &["--service"]);
    run("fetch").failed(2, &["fetch"]);
    run("serve").failed(2, &["--single"]);
    run("serve --single --port 70000").failed(2, &["70000"]);
    run("write --project lab --view state").failed(2, &["--file"]);
    // Nobody answers at the port that was just free.
    let gateway = format!("127.0.0.1:{}", free_ports());
    let said: Said = atoll()
        .args(["registry", "list", "--gateway", &gateway])
        .output()
        .unwrap()
        .into();
    said.failed(1, &[&gateway]);
    run("--version").done();
}
