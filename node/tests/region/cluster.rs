//! Three nodes on loopback, two copies of each shard, every node a gateway.

use super::{
    client,
    process::{Process, atoll, free_ports, wait_for},
};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;

const NODES: usize = 3;
/// More than any disk here has.
const NO_LIMIT: u64 = 1 << 50;
const CLUSTER: &str = r#"
[cluster]
name = "lab"
shards = 16
[[region]]
name = "eu"
copies = 2
min_in_sync = 1
"#;
const DEFINITIONS: &str = "
project: lab
entities:
  - { name: thing, keys: [{ name: id, type: int64 }] }
  - { name: place, keys: [{ name: code, type: string }], copies: every_node }
views:
  - { name: places, entity: place, features: [{ name: country, type: string }] }
  - { name: state, entity: thing, features: [{ name: a, type: int64 }, { name: b, type: string }] }
  - { name: extra, entity: thing, features: [{ name: c, type: float64 }] }
";

pub struct Cluster {
    // Before the directory: the processes must be gone when that is removed.
    nodes: Vec<Process>,
    ports: Vec<u16>,
    durability: &'static str,
    _dir: TempDir,
}

impl Cluster {
    /// Three nodes with the definitions applied, each shard in sync on two of them.
    pub fn start() -> Self {
        Self::start_with("fsync")
    }

    /// The same, where durable means that.
    pub fn start_with(durability: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..NODES).map(|_| free_ports()).collect();
        let nodes = (0..NODES).map(|node| serve(dir.path(), node, &ports, durability, NO_LIMIT));
        let cluster = Self {
            nodes: nodes.collect(),
            ports,
            durability,
            _dir: dir,
        };
        cluster.found();
        cluster.wait_until_whole();
        cluster
    }

    /// Waits until every gateway takes traffic and knows two copies in sync of each shard.
    pub fn wait_until_whole(&self) {
        wait_for("two copies of each shard", || {
            (0..NODES).all(|node| self.is_whole(node)).then_some(())
        });
    }

    /// Starts a node anew that was killed.
    pub fn restart(&mut self, node: usize) {
        self.restart_within(node, NO_LIMIT);
    }

    /// The same, with so many bytes for its store.
    pub fn restart_within(&mut self, node: usize, max_bytes: u64) {
        // A process that was sent a signal may not be gone yet, and then still has the directory.
        self.nodes[node].kill();
        let (dir, ports) = (self._dir.path(), &self.ports);
        self.nodes[node] = serve(dir, node, ports, self.durability, max_bytes);
    }

    fn found(&self) {
        let dir = self._dir.path();
        let file = |name: &str, text: &str| {
            fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let cluster = file("cluster.toml", CLUSTER);
        let at = format!("127.0.0.1:{}", self.ports[0] + 2);
        wait_for("the first node to be founded", || {
            let init = atoll()
                .args(["init", "--at", &at, "--config"])
                .arg(&cluster)
                .output();
            init.unwrap().status.success().then_some(())
        });
        let definitions = file("definitions.yaml", DEFINITIONS);
        let gateway = format!("127.0.0.1:{}", self.ports[0]);
        wait_for("the definitions to be applied", || {
            let apply = atoll()
                .args(["apply", "--yes", "--gateway", &gateway])
                .arg(&definitions)
                .output();
            apply.unwrap().status.success().then_some(())
        });
    }

    /// Whether a gateway takes traffic and knows two copies in sync of each shard.
    fn is_whole(&self, node: usize) -> bool {
        let ready = client::get(self.ports[node] + 1, "/readyz");
        if ready.is_none_or(|(status, _)| status != 200) {
            return false;
        }
        let is_in_sync = |replica: &&Json| replica["in_sync"] == true;
        let copies = |shard: &Json| {
            let replicas = shard["replicas"].as_array().unwrap();
            replicas.iter().filter(is_in_sync).count()
        };
        let copies: Vec<usize> = self.shards(node).iter().map(copies).collect();
        !copies.is_empty() && copies.iter().all(|copies| *copies == 2)
    }

    /// What a gateway tells of each shard.
    pub fn shards(&self, node: usize) -> Vec<Json> {
        let shards = atoll()
            .args([
                "shards",
                "--output",
                "json",
                "--gateway",
                &self.gateway(node),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(shards.stdout).unwrap();
        let shard = |line: &str| serde_json::from_str(line).unwrap();
        text.lines().map(shard).collect()
    }

    /// What a gateway tells of how far reads can be behind.
    pub fn lag(&self, node: usize) -> Json {
        let gateway = self.gateway(node);
        let lag = atoll()
            .args(["lag", "--output", "json", "--gateway", &gateway])
            .output()
            .unwrap();
        serde_json::from_slice(&lag.stdout).unwrap()
    }

    /// Where a node keeps its files.
    pub fn dir(&self, node: usize) -> PathBuf {
        self._dir.path().join(format!("eu-{node}"))
    }

    /// What a node has logged since it was started.
    pub fn log(&self, node: usize) -> String {
        fs::read_to_string(self._dir.path().join(format!("eu-{node}.log"))).unwrap()
    }

    /// Where a node answers HTTP.
    pub fn http(&self, node: usize) -> u16 {
        self.ports[node] + 1
    }

    /// Takes a node's process away.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// How many rows of a view a gateway exports, wherever their shards are.
    pub fn export(&self, node: usize, view: &str) -> Json {
        let to = self._dir.path().join(format!("{view}-{node}"));
        let export = atoll()
            .args(["export", "--project", "lab", "--view", view, "--to"])
            .arg(to)
            .args(["--output", "json", "--gateway"])
            .arg(format!("127.0.0.1:{}", self.ports[node]))
            .output();
        let exported = super::process::Said::from(export.unwrap()).done();
        serde_json::from_str::<Json>(&exported).unwrap()["rows"].clone()
    }

    /// Every node.
    pub fn all() -> impl Iterator<Item = usize> {
        0..NODES
    }

    pub fn post(&self, node: usize, path: &str, body: &Json) -> Json {
        let (status, answer) = self.try_post(node, path, body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The status and the answer, if a node gives one.
    pub fn try_post(&self, node: usize, path: &str, body: &Json) -> Option<(u16, Json)> {
        client::post(self.ports[node] + 1, path, &body.to_string())
    }

    /// What a command prints as JSON through a node.
    pub fn command(&self, node: usize, arguments: &[&str]) -> Json {
        let output = atoll()
            .args(arguments)
            .args(["--output", "json", "--gateway", &self.gateway(node)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).unwrap_or_else(|_| {
            json!({
                "stdout": text, "stderr": String::from_utf8_lossy(&output.stderr),
            })
        })
    }

    /// Writes rows of a view through a node; gives the token.
    pub fn write(&self, node: usize, view: &str, rows: &Json) -> Json {
        let body = json!({ "project": "lab", "view": view, "rows": rows, "deadline": "30s" });
        let answer = self.post(node, "/v1/write", &body);
        let none = (&json!([]), &json!([]));
        assert_eq!((&answer["rejected"], &answer["unknown"]), none, "{answer}");
        answer["token"].clone()
    }

    /// Looks all features of some things up through a node.
    pub fn lookup(&self, node: usize, ids: &[i64], token: &Json) -> Json {
        let mut body = json!({
            "project": "lab", "features": ["state:*", "extra:*"], "rows": { "id": ids },
            "deadline": "10s",
        });
        if !token.is_null() {
            body["token"] = token.clone();
        }
        self.post(node, "/v1/lookup", &body)
    }

    /// Where a node answers gRPC.
    pub fn gateway(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node])
    }

    pub fn signal(&self, node: usize, signal: Signal) {
        self.nodes[node].signal(signal);
    }
}

fn serve(dir: &Path, node: usize, ports: &[u16], durability: &str, max_bytes: u64) -> Process {
    let address = |node: usize, offset: u16| format!("\"127.0.0.1:{}\"", ports[node] + offset);
    let seeds: Vec<String> = (0..NODES).map(|node| address(node, 2)).collect();
    let listen = ["grpc", "http", "peer", "link", "gossip"];
    let listen = listen.iter().zip(0..);
    let listen: Vec<String> = listen
        .map(|(what, offset)| format!("{what} = {}", address(node, offset)))
        .collect();
    let name = format!("eu-{node}");
    let settings = format!(
        "[cluster]\nname = \"lab\"\nseeds = [{}]\n[node]\nname = \"{name}\"\nregion = \"eu\"\nzone = \"{name}\"\n\
         roles = [\"node\", \"gateway\", \"voter\"]\ndata_dir = {:?}\n[store]\nsegment_bytes = \"8MiB\"\n\
         durability = \"{durability}\"\nmax_bytes = \"{max_bytes}\"\n[listen]\n{}\n",
        seeds.join(", "),
        dir.join(&name),
        listen.join("\n"),
    );
    let file = dir.join(format!("{name}.toml"));
    fs::write(&file, settings).unwrap();
    let mut command = atoll();
    command
        .args(["serve", "--config"])
        .arg(file)
        .env("ATOLL_LOG__SLOW_LOOKUP", "1us")
        .stdout(Stdio::null())
        .stderr(File::create(dir.join(format!("{name}.log"))).unwrap());
    Process::spawn(&mut command)
}
