//! What a process answers before it belongs to a cluster, and one that is no gateway.

use super::{
    client,
    process::{Process, atoll, free_ports, wait_for},
    reflection::Client,
};
use serde_json::json;
use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

const CLUSTER: &str = "
[cluster]
name = \"lab\"
shards = 4
[[region]]
name = \"eu\"
copies = 1
min_in_sync = 1
";
const HEALTH: &str = "grpc.health.v1.Health";

/// A node that waits to be founded.
fn command(dir: &Path, port: u16, roles: &str) -> Command {
    let listen = ["grpc", "http", "peer", "link", "gossip"];
    let listen = listen.iter().zip(port..);
    let listen: Vec<String> = listen
        .map(|(key, port)| format!("{key} = \"127.0.0.1:{port}\"\n"))
        .collect();
    let settings = format!(
        "[node]\nname = \"eu-1\"\nregion = \"eu\"\nroles = [{roles}]\ndata_dir = {:?}\n\
         [store]\nsegment_bytes = \"8MiB\"\n[listen]\n{}",
        dir.join("data"),
        listen.concat(),
    );
    let file = dir.join("node.toml");
    fs::write(&file, settings).unwrap();
    let mut command = atoll();
    let log = File::create(dir.join("serve.log")).unwrap();
    command.args(["serve", "--config"]).arg(file);
    command.stdout(Stdio::null()).stderr(log);
    command
}

fn health(port: u16, service: &str) -> String {
    let client = Client::at(port, HEALTH);
    let answer = client.called("Check", &json!({ "service": service }));
    answer["status"].as_str().unwrap().to_owned()
}

fn not_ready(port: u16) -> Option<String> {
    let (status, answer) = client::get(port + 1, "/readyz")?;
    (status == 503).then_some(answer)
}

#[test]
fn a_node_that_waits_has_its_ports_and_says_what_it_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_ports();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut refused = Process::spawn(&mut command(dir.path(), port, "\"node\", \"voter\""));
    wait_for("the start to be refused", || refused.ended());
    let said = fs::read_to_string(dir.path().join("serve.log")).unwrap();
    assert!(said.contains("listen.grpc"), "{said}");

    drop(taken);
    let _node = Process::spawn(&mut command(dir.path(), port, "\"node\", \"voter\""));
    let why = wait_for("the node to say what it waits for", || {
        not_ready(port).filter(|why| why.contains("no cluster yet"))
    });
    assert!(why.contains("atoll init"), "{why}");
    assert_eq!(health(port, ""), "NOT_SERVING");

    let cluster = dir.path().join("cluster.toml");
    fs::write(&cluster, CLUSTER).unwrap();
    let at = format!("127.0.0.1:{}", port + 2);
    let init = atoll()
        .args(["init", "--at", &at, "--config"])
        .arg(&cluster)
        .output();
    assert!(init.unwrap().status.success());
    wait_for("the node to be ready", || {
        let ready = client::get(port + 1, "/readyz")?;
        (ready.0 == 200).then_some(())
    });
    is_no_gateway(port);
}

/// It is ready, and its shards are reached by way of others.
fn is_no_gateway(port: u16) {
    assert_eq!(health(port, ""), "SERVING");
    assert_eq!(health(port, "atoll.v1.FeatureService"), "NOT_SERVING");
    let lookup = json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [1] } });
    let write = json!({ "project": "lab", "view": "state", "rows": [{ "id": 1, "a": 1 }] });
    for (path, body) in [("/v1/lookup", lookup), ("/v1/write", write)] {
        let (status, answer) = client::post(port + 1, path, &body.to_string()).unwrap();
        assert_eq!(status, 412, "{answer}");
        assert_eq!(answer["error"]["reason"], "NOT_A_GATEWAY");
    }
    let gateway = format!("127.0.0.1:{port}");
    let status = atoll()
        .args(["status", "--gateway", &gateway])
        .output()
        .unwrap();
    assert!(status.status.success(), "administration is answered");
}
