//! Regions a, b and c on loopback: in each two nodes that hold two copies of each shard, and a gateway that
//! votes and holds none. Nodes of b know nobody but nodes of a when they start; those of c know their own
//! as well, so that one can be started anew where all others are gone.

use super::{
    client,
    process::{Process, atoll, free_ports, wait_for},
};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};
use tempfile::TempDir;

pub const REGIONS: [&str; 3] = ["a", "b", "c"];
/// Nodes 0 and 1 of a region hold rows, node 2 is its gateway.
const NODES: usize = 3;
const GATEWAY: usize = 2;
const CLUSTER: &str = r#"
[cluster]
name = "lab"
shards = 8
[[region]]
name = "a"
[[region]]
name = "b"
[[region]]
name = "c"
"#;

/// A region's nodes.
struct Region {
    nodes: Vec<Process>,
    ports: Vec<u16>,
}

pub struct Cluster {
    // Before the directory: the processes must be gone when that is removed.
    regions: Vec<Region>,
    dir: TempDir,
}

impl Cluster {
    /// All nodes of all regions, founded by one command, each shard in sync on two nodes of its region.
    pub fn start() -> Self {
        Self::founded_as(CLUSTER)
    }

    /// The same, with other settings of the cluster.
    pub fn founded_as(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<Vec<u16>> = REGIONS
            .iter()
            .map(|_| (0..NODES).map(|_| free_ports()).collect())
            .collect();
        let regions = REGIONS.iter().zip(&ports).map(|(region, own)| Region {
            nodes: (0..NODES)
                .map(|node| {
                    let seeds = seeds(region, &ports[0], own);
                    serve(dir.path(), (region, node), own[node], &seeds)
                })
                .collect(),
            ports: own.clone(),
        });
        let cluster = Self {
            regions: regions.collect(),
            dir,
        };
        cluster.found(settings);
        for region in 0..REGIONS.len() {
            cluster.wait_until_whole(region);
        }
        cluster
    }

    fn found(&self, settings: &str) {
        let file = self.dir.path().join("cluster.toml");
        fs::write(&file, settings).unwrap();
        let at = format!("127.0.0.1:{}", self.regions[0].ports[0] + 2);
        wait_for("the first node to be founded", || {
            let mut init = atoll();
            let init = init.args(["init", "--at", &at, "--config"]).arg(&file);
            init.output().unwrap().status.success().then_some(())
        });
    }

    /// Waits until a region's gateway takes traffic and knows two copies in sync of each shard.
    pub fn wait_until_whole(&self, region: usize) {
        wait_for("two copies of each shard", || {
            self.is_whole(region).then_some(())
        });
    }

    /// Whether a region's gateway takes traffic and knows two copies in sync of each shard.
    fn is_whole(&self, region: usize) -> bool {
        let ready = client::get(self.http(region), "/readyz");
        if ready.is_none_or(|(status, _)| status != 200) {
            return false;
        }
        let is_in_sync = |replica: &&Json| replica["in_sync"] == true;
        let shards = self.records(region, &["shards"]);
        !shards.is_empty()
            && shards.iter().all(|shard| {
                let replicas = shard["replicas"].as_array().unwrap();
                replicas.iter().filter(is_in_sync).count() == 2
            })
    }

    /// Takes all processes of a region away.
    pub fn kill_region(&mut self, region: usize) {
        for node in &mut self.regions[region].nodes {
            node.kill();
        }
    }

    /// Starts all nodes of a region anew that were killed.
    pub fn restart_region(&mut self, region: usize) {
        for node in 0..NODES {
            self.restart(region, node);
        }
    }

    /// Starts a node anew that was killed.
    pub fn restart(&mut self, region: usize, node: usize) {
        let (name, first) = (REGIONS[region], self.regions[0].ports.clone());
        let Region { nodes, ports } = &mut self.regions[region];
        let seeds = seeds(name, &first, ports);
        nodes[node] = serve(self.dir.path(), (name, node), ports[node], &seeds);
    }

    /// Takes a process away.
    pub fn kill(&mut self, region: usize, node: usize) {
        self.regions[region].nodes[node].kill();
    }

    /// Where a region's gateway answers HTTP.
    pub fn http(&self, region: usize) -> u16 {
        self.regions[region].ports[GATEWAY] + 1
    }

    /// Where it answers gRPC.
    pub fn grpc(&self, region: usize) -> String {
        format!("127.0.0.1:{}", self.regions[region].ports[GATEWAY])
    }

    /// What a command prints as JSON through a region's gateway: a record for each line.
    pub fn records(&self, region: usize, arguments: &[&str]) -> Vec<Json> {
        let output = atoll()
            .args(arguments)
            .args(["--output", "json", "--gateway", &self.grpc(region)])
            .output();
        // A refusal is no record.
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Whether `atoll audit`, asked at a region's gateway, finds all replicas of all regions equal, and what it says.
    #[allow(
        dead_code,
        reason = "tests of the metadata write nothing that could differ"
    )]
    pub fn audit(&self, region: usize) -> (bool, String) {
        let output = atoll()
            .args(["audit", "--gateway", &self.grpc(region)])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    /// Applies definitions through a region's gateway: the status and the answer.
    pub fn apply(&self, region: usize, text: &str) -> (u16, Json) {
        self.try_apply(region, text).expect("an answer")
    }

    /// The same where the gateway may not answer.
    pub fn try_apply(&self, region: usize, text: &str) -> Option<(u16, Json)> {
        let body = json!({ "files": [{ "name": "lab.yaml", "text": text }] });
        let path = "/v1/registry/apply";
        client::post(self.http(region), path, &body.to_string())
    }

    /// Sends a signal to a process.
    #[allow(
        dead_code,
        reason = "tests of the metadata take processes away for good"
    )]
    pub fn signal(&self, region: usize, node: usize, signal: Signal) {
        self.regions[region].nodes[node].signal(signal);
    }

    /// The same as [`Cluster::post`], or nothing where the gateway does not answer.
    #[allow(dead_code, reason = "tests of the metadata need an answer")]
    pub fn try_post(&self, region: usize, path: &str, body: &Json) -> Option<(u16, Json)> {
        client::post(self.http(region), path, &body.to_string())
    }

    /// What a region's gateway answers; the status and the body.
    pub fn post(&self, region: usize, path: &str, body: &Json) -> (u16, Json) {
        let answer = client::post(self.http(region), path, &body.to_string());
        answer.expect("an answer")
    }

    /// What a region's gateway answers to a question.
    pub fn get(&self, region: usize, path: &str) -> Json {
        let (status, text) = client::get(self.http(region), path).expect("an answer");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

fn seeds(region: &str, first: &[u16], own: &[u16]) -> Vec<u16> {
    match region {
        "c" => [first, own].concat(),
        _ => first.to_vec(),
    }
}

fn serve(dir: &Path, (region, node): (&str, usize), port: u16, seeds: &[u16]) -> Process {
    let name = format!("{region}-{node}");
    let seeds: Vec<String> = seeds
        .iter()
        .map(|port| format!("\"127.0.0.1:{}\"", port + 2))
        .collect();
    let listen = ["grpc", "http", "peer", "link", "gossip"];
    let listen = listen.iter().zip(port..);
    let listen: Vec<String> = listen
        .map(|(what, port)| format!("{what} = \"127.0.0.1:{port}\""))
        .collect();
    let roles = match node {
        GATEWAY => r#"["gateway", "voter"]"#,
        _ => r#"["node", "voter"]"#,
    };
    let settings = format!(
        "[cluster]\nname = \"lab\"\nseeds = [{}]\n[node]\nname = \"{name}\"\nregion = \"{region}\"\nzone = \
         \"{name}\"\nroles = {roles}\ndata_dir = {:?}\n[store]\nsegment_bytes = \"8MiB\"\n[listen]\n{}\n",
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
        .stdout(Stdio::null())
        .stderr(File::create(dir.join(format!("{name}.log"))).unwrap());
    Process::spawn(&mut command)
}
