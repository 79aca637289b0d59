//! A disk that fills up: writes are refused with a hint when to come again, all else goes on, and writes
//! are taken again once there is room.
//!
//! By the setting `store.max_bytes` of a single node and of backups, and on a small file system of its own. That
//! needs the right to mount one; who has not got it must say so, see [`WITHOUT_MOUNT`].

use super::{
    client,
    cluster::Cluster,
    process::{Process, atoll, free_ports, wait_for},
};
use serde_json::{Value as Json, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

const CLUSTER: &str = "[cluster]\nname = \"lab\"\nshards = 4\n[[region]]\nname = \"eu\"\ncopies = 1\nmin_in_sync = 1\n";
const DEFINITIONS: &str = "
project: lab
entities: [{ name: thing, keys: [{ name: id, type: int64 }] }]
views: [{ name: state, entity: thing, features: [{ name: blob, type: string }] }]
";
const MIB: u64 = 1 << 20;
/// Bytes of a row, so that a store fills up soon.
const ROW_BYTES: usize = 100 << 10;
const ROWS_PER_WRITE: i64 = 8;
/// Space that the small file system has, and what is left of it when it is full: less than the store keeps
/// back, and enough for what is no row.
const TOTAL: u64 = 160 * MIB;
const LEFT: u64 = 6 * MIB;

/// Set to anything, it leaves out the test that mounts a file system.
const WITHOUT_MOUNT: &str = "ATOLL_TESTS_WITHOUT_MOUNT";
/// Less than what a store with segments of 8 MiB keeps back.
const NO_ROOM: u64 = 33 * MIB;

struct Node {
    process: Process,
    dir: TempDir,
    data: PathBuf,
    port: u16,
}

impl Node {
    fn start(data: Option<&Path>, max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = data.map_or_else(|| dir.path().join("data"), |data| data.join("data"));
        let port = free_ports();
        let process = serve(dir.path(), &data, port, max_bytes);
        let node = Self {
            process,
            dir,
            data,
            port,
        };
        node.found();
        node
    }

    fn found(&self) {
        let cluster = self.file("cluster.toml", CLUSTER);
        let at = format!("127.0.0.1:{}", self.port + 2);
        let run = |arguments: &[&str], file: &Path| {
            let command = atoll().args(arguments).arg(file).output().unwrap();
            command.status.success().then_some(())
        };
        wait_for("the node to be founded", || {
            run(&["init", "--at", &at, "--config"], &cluster)
        });
        let definitions = self.file("definitions.yaml", DEFINITIONS);
        let gateway = format!("127.0.0.1:{}", self.port);
        wait_for("the definitions to be applied", || {
            run(&["apply", "--yes", "--gateway", &gateway], &definitions)
        });
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn restart(&mut self, max_bytes: u64) {
        self.process.kill();
        self.process = serve(self.dir.path(), &self.data, self.port, max_bytes);
        wait_for("the node to be ready", || {
            let ready = client::get(self.port + 1, "/readyz");
            ready.filter(|(status, _)| *status == 200)
        });
    }

    fn post(&self, path: &str, body: &Json) -> (u16, Json) {
        client::post(self.port + 1, path, &body.to_string()).expect("an answer")
    }

    /// Writes some rows from `first` on; whether all were taken. Anything but a refusal for want of room is a
    /// fault.
    fn write(&self, first: i64) -> bool {
        let blob = "x".repeat(ROW_BYTES);
        let row = |id| json!({ "id": id, "blob": format!("{id}{blob}") });
        let rows: Vec<Json> = (first..first + ROWS_PER_WRITE).map(row).collect();
        let body = json!({ "project": "lab", "view": "state", "rows": rows, "deadline": "20s" });
        let (status, answer) = self.post("/v1/write", &body);
        match status {
            200 => {
                let rejected = answer["rejected"].as_array().unwrap();
                let for_room = rejected.iter().all(|row| row["reason"] == "NEARLY_FULL");
                assert!(for_room && answer["unknown"] == json!([]), "{answer}");
                rejected.is_empty()
            }
            429 => {
                assert_eq!(answer["error"]["reason"], "NEARLY_FULL", "{answer}");
                false
            }
            _ => panic!("{status}: {answer}"),
        }
    }

    /// Writes until the store says that it is nearly full; gives how many rows it took.
    fn fill(&self, from: i64) -> i64 {
        let mut id = from;
        while self.write(id) {
            id += ROWS_PER_WRITE;
            assert!(id < 10_000, "the store is never full");
        }
        id
    }

    /// All rows that were taken are read, and what is no write is done.
    fn goes_on(&self, rows: i64) {
        let ids: Vec<i64> = (0..rows).step_by(7).collect();
        let body = json!({ "project": "lab", "features": ["state:blob"], "rows": { "id": ids } });
        let (status, answer) = self.post("/v1/lookup", &body);
        assert_eq!(status, 200, "{answer}");
        let statuses = answer["features"][0]["statuses"].as_array().unwrap();
        assert!(
            statuses.iter().all(|status| status == "PRESENT"),
            "{statuses:?}"
        );
        let gateway = format!("127.0.0.1:{}", self.port);
        let more = DEFINITIONS.replace(
            "type: string }",
            "type: string }, { name: more, type: int64 }",
        );
        let file = self.file("more.yaml", &more);
        let apply = atoll()
            .args(["apply", "--yes", "--gateway", &gateway])
            .arg(file)
            .output()
            .unwrap();
        assert!(apply.status.success(), "{apply:?}");
    }
}

fn serve(dir: &Path, data: &Path, port: u16, max_bytes: u64) -> Process {
    let settings = format!(
        "[cluster]\nname = \"lab\"\n[node]\nname = \"eu-1\"\nregion = \"eu\"\nzone = \"a\"\n\
         roles = [\"node\", \"gateway\", \"voter\"]\ndata_dir = {data:?}\n\
         [store]\nsegment_bytes = \"4MiB\"\nmax_bytes = \"{max_bytes}\"\n[listen]\n"
    );
    let listen = ["grpc", "http", "peer", "link", "gossip"]
        .iter()
        .zip(port..);
    let listen: String = listen
        .map(|(what, port)| format!("{what} = \"127.0.0.1:{port}\"\n"))
        .collect();
    let file = dir.join("node.toml");
    fs::write(&file, settings + &listen).unwrap();
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("node.log"));
    let mut command = atoll();
    command
        .args(["serve", "--config"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(log.unwrap());
    Process::spawn(&mut command)
}

#[test]
fn writes_stop_before_the_limit_of_the_setting_and_go_on_above_a_higher_one() {
    let mut node = Node::start(None, 48 * MIB);
    let rows = node.fill(0);
    assert!(rows > ROWS_PER_WRITE);
    node.goes_on(rows);
    node.restart(96 * MIB);
    wait_for("writes to be taken", || node.write(rows).then_some(()));
    node.goes_on(rows + ROWS_PER_WRITE);
}

/// A small file system in memory, gone with this value.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let size = format!("size={TOTAL}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&at)
            .output();
        assert!(
            mounted
                .as_ref()
                .is_ok_and(|mounted| mounted.status.success()),
            "no file system can be mounted here, which takes root; {WITHOUT_MOUNT}=1 leaves this test out: {mounted:?}"
        );
        Self(at)
    }

    fn free_bytes(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        stat.f_bavail * stat.f_frsize
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Processes that had files in it are gone by now.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn writes_stop_on_a_full_disk_and_go_on_once_there_is_room() {
    if std::env::var_os(WITHOUT_MOUNT).is_some() {
        eprintln!("skipped: {WITHOUT_MOUNT} is set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let small = Small::mount(folder.path().join("small"));
    let node = Node::start(Some(&small.0), 100 << 30);
    for write in 0..4 {
        assert!(node.write(write * ROWS_PER_WRITE), "there is room");
    }
    let rows = 4 * ROWS_PER_WRITE;
    // Something else takes the space.
    let ballast = small.0.join("ballast");
    let taken = vec![0_u8; usize::try_from(small.free_bytes().saturating_sub(LEFT)).unwrap()];
    fs::write(&ballast, taken).unwrap();
    wait_for("writes to be refused", || (!node.write(0)).then_some(()));
    node.goes_on(rows);
    fs::remove_file(&ballast).unwrap();
    wait_for("writes to be taken", || node.write(rows).then_some(()));
    node.goes_on(rows + ROWS_PER_WRITE);
    drop(node);
}

const THINGS: i64 = 200;

/// Writes the same things through the first node; how many were taken. The others must have been refused for
/// want of room.
fn write_things(cluster: &Cluster, a: i64) -> i64 {
    let rows: Vec<Json> = (0..THINGS)
        .map(|id| json!({ "id": id, "a": a, "b": "thing" }))
        .collect();
    let body = json!({ "project": "lab", "view": "state", "rows": rows, "deadline": "20s" });
    let (status, answer) = cluster.try_post(0, "/v1/write", &body).expect("an answer");
    if status == 429 {
        assert_eq!(answer["error"]["reason"], "NEARLY_FULL", "{answer}");
        return 0;
    }
    assert_eq!(status, 200, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let for_room = rejected.iter().all(|row| row["reason"] == "NEARLY_FULL");
    assert!(for_room && answer["unknown"] == json!([]), "{answer}");
    answer["accepted"].as_i64().unwrap()
}

#[test]
fn a_primary_with_room_refuses_what_its_backups_have_no_room_for() {
    let mut cluster = Cluster::start();
    assert_eq!(write_things(&cluster, 1), THINGS);
    // Of each shard's two copies one is on these, at least.
    for node in [1, 2] {
        cluster.kill(node);
        cluster.restart_within(node, NO_ROOM);
        cluster.wait_until_whole();
    }
    wait_for("all writes to be refused", || {
        (write_things(&cluster, 2) == 0).then_some(())
    });
    let shards = cluster.shards(0);
    let leads = shards.iter().filter(|shard| shard["primary"] == "eu-0");
    assert!(leads.count() > 0, "whose own disk has room: {shards:?}");

    let ids: Vec<i64> = (0..THINGS).collect();
    let answer = cluster.lookup(0, &ids, &Json::Null);
    let statuses = answer["features"][0]["statuses"].as_array().unwrap();
    let are_present = statuses.iter().all(|status| status == "PRESENT");
    assert!(are_present, "{statuses:?}");

    for node in [1, 2] {
        cluster.kill(node);
        cluster.restart(node);
        cluster.wait_until_whole();
    }
    wait_for("all writes to be taken", || {
        (write_things(&cluster, 3) == THINGS).then_some(())
    });
}
