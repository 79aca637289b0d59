//! What founding and starting refuse, with words that say what to do, and that leave everything as
//! it was.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use chaos::{
    atoll::{Atoll, COMMAND_WITHIN, Said},
    clock::Clock,
    cluster::{Cluster, Host, Node, Shape, files},
};
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

const ALONE: Shape = Shape {
    nodes: 1,
    copies: 1,
    shards: 4,
};
const END_WITHIN: Duration = Duration::from_secs(30);
const DEFINITIONS: &str = "
project: lab
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
";

fn atoll() -> Atoll {
    Atoll::find().unwrap()
}

fn alone() -> Cluster {
    Cluster::found(atoll(), ALONE, Clock::start()).unwrap()
}

/// Runs `atoll init` with the text of a cluster file.
fn init(folder: &Path, founding: &str, at: &str) -> Said {
    let file = folder.join("founding.toml");
    fs::write(&file, founding).unwrap();
    let file = file.display().to_string();
    let arguments = ["init", "--config", &file, "--at", at];
    atoll().run(arguments, COMMAND_WITHIN).unwrap()
}

#[track_caller]
fn check(said: &Said, words: &[&str]) {
    assert_eq!(said.status, Some(1), "{said:?}");
    let has_all = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(
        said.err.lines().any(has_all),
        "not all of {words:?} in {said:?}"
    );
}

/// A node that is started with these settings and must end by itself.
fn refused_start(folder: &Path, settings: &str) -> Said {
    let file = folder.join("refused.toml");
    fs::write(&file, settings).unwrap();
    let mut command: Command = atoll().command();
    command.args(["serve", "--config"]).arg(&file);
    let log = folder.join("refused.log");
    let _ = fs::remove_file(&log);
    let mut process = chaos::process::Process::spawn(&mut command, &log).unwrap();
    let end = Instant::now() + END_WITHIN;
    let status = loop {
        if let Some(status) = process.ended().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < end, "the start was not refused");
        thread::sleep(Duration::from_millis(10));
    };
    Said {
        status,
        out: String::new(),
        err: fs::read_to_string(&log).unwrap(),
    }
}

#[test]
fn a_second_init_is_refused_and_the_cluster_serves_on() {
    let cluster = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = cluster.nodes()[0].peer_address();
    let before = cluster.state().unwrap().cluster;
    let said = init(folder.path(), &files::cluster(&ALONE), &at);
    check(&said, &["belongs to cluster", &before, "founded once"]);
    assert_eq!(cluster.state().unwrap().cluster, before);
    cluster.apply(0, DEFINITIONS).unwrap();
}

#[test]
fn a_founding_file_with_mistakes_founds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::new(0, Host::loopback(), folder.path()).unwrap();
    node.spawn(&atoll(), &files::node(&node, &[])).unwrap();
    let at = node.peer_address();
    let right = files::cluster(&ALONE);
    let end = Instant::now() + END_WITHIN;
    while !node.not_ready().unwrap().unwrap().contains("atoll init") {
        assert!(Instant::now() < end, "{:?}", node.not_ready());
        thread::sleep(Duration::from_millis(10));
    }
    let twice = format!("{right}\n[[region]]\nname = \"eu\"\n");
    let wrong: [(String, &[&str]); 7] = [
        (
            right.replace("copies = 1", "copies = 0"),
            &["eu", "copies", "1 to 5"],
        ),
        (right.replace("copies = 1", "copys = 1"), &["copys"]),
        (
            right.replace("shards = 4", "shards = 0"),
            &["cluster.shards", "choose 1"],
        ),
        (right.replace("[cluster]", "[cluster"), &["founding.toml"]),
        (twice, &["region eu", "twice"]),
        (
            right.replace("name = \"eu\"", "name = \"us\""),
            &["region eu", "[[region]]"],
        ),
        (
            right.replace("\"chaos\"", "\"other\""),
            &["cluster.name", "chaos", "other"],
        ),
    ];
    for (text, words) in &wrong {
        check(&init(folder.path(), text, &at), words);
    }
    assert!(node.not_ready().unwrap().is_some(), "nothing was founded");
    init(folder.path(), &right, &at).done().unwrap();
}

#[test]
fn an_address_where_nobody_listens_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::new(0, Host::loopback(), folder.path()).unwrap();
    let at = node.peer_address();
    let said = init(folder.path(), &files::cluster(&ALONE), &at);
    check(&said, &[&at, "atoll serve", "listen.peer"]);
}

#[test]
fn a_data_directory_of_another_cluster_is_refused() {
    let mut cluster = alone();
    cluster.kill(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = files::node(&cluster.nodes()[0], &[]);
    let other = settings.replace("name = \"chaos\"", "name = \"other\"");
    check(
        &refused_start(folder.path(), &other),
        &["cluster", "chaos", "other"],
    );
    cluster.start(0).unwrap();
    cluster.settle(END_WITHIN).unwrap();
}

#[test]
fn two_nodes_on_one_directory_are_refused() {
    let cluster = alone();
    let folder = tempfile::tempdir().unwrap();
    let other = Node::new(1, Host::loopback(), folder.path()).unwrap();
    let same_data = cluster.nodes()[0].data_dir().display().to_string();
    let own_data = other.data_dir().display().to_string();
    let shared = files::node(&other, &[]).replace(&own_data, &same_data);
    let said = refused_start(folder.path(), &shared);
    check(&said, &["in use by another process", &same_data]);
    cluster.apply(0, DEFINITIONS).unwrap();
}

#[test]
fn a_port_in_use_is_named() {
    let mut cluster = alone();
    cluster.kill(0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = files::node(&cluster.nodes()[0], &[]);
    let first = cluster.nodes()[0].port();
    for port in first..first + 3 {
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = refused_start(folder.path(), &settings);
        check(&said, &["listen", &address, "settings"]);
    }
    cluster.start(0).unwrap();
    cluster.settle(END_WITHIN).unwrap();
}
