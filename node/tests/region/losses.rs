//! Disks that lose something: a whole store, or the bytes under one row.

use super::{client, cluster::Cluster, process::wait_for};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

const THINGS: i64 = 200;
const FILLER_BYTES: usize = 100 << 10;

fn states(ids: &[i64], round: i64) -> Json {
    let row = |id: &i64| json!({ "id": id, "a": id * 1_000 + round, "b": format!("{id}/{round}") });
    ids.iter().map(row).collect()
}

/// The rows of a round through one node, by the token of their write: without it a backup may answer
/// that has not heard yet that they are committed.
#[track_caller]
fn check(cluster: &Cluster, reader: usize, ids: &[i64], (round, token): (i64, &Json)) {
    let answer = cluster.lookup(reader, ids, token);
    let column = |place: usize| &answer["features"][place]["values"];
    let a: Vec<i64> = ids.iter().map(|id| id * 1_000 + round).collect();
    let b: Vec<String> = ids.iter().map(|id| format!("{id}/{round}")).collect();
    assert_eq!(
        (column(0), column(1)),
        (&json!(a), &json!(b)),
        "by node {reader}, with statuses {} and {}",
        answer["features"][0]["statuses"],
        answer["features"][1]["statuses"]
    );
}

/// Whether each shard has two copies, all in sync and as far as their primary.
fn is_caught_up(cluster: &Cluster) -> bool {
    let is_level = |shard: &Json| {
        let replicas = shard["replicas"].as_array().unwrap();
        // Observers come besides, and nobody waits for them.
        let copies = replicas.iter().filter(|own| own["role"] != "observer");
        let replicas: Vec<&Json> = copies.collect();
        let committed = shard["committed"].as_u64();
        let names: BTreeSet<&str> = replicas
            .iter()
            .filter_map(|own| own["node"].as_str())
            .collect();
        committed.is_some()
            && names.len() == 2
            && replicas.len() == 2
            && replicas
                .iter()
                .all(|own| own["in_sync"] == true && own["position"].as_u64() >= committed)
    };
    cluster.shards(0).iter().all(is_level)
}

fn is_named(cluster: &Cluster, name: &str) -> bool {
    let shards = cluster.shards(0);
    let mut replicas = shards
        .iter()
        .flat_map(|shard| shard["replicas"].as_array().unwrap());
    replicas.any(|own| own["node"] == name && own["in_sync"] == true)
}

#[test]
fn a_node_that_lost_its_store_alone_is_a_new_copy_and_nothing_is_lost() {
    let mut cluster = Cluster::start();
    let ids: Vec<i64> = (0..THINGS).collect();
    let first = cluster.write(0, "state", &states(&ids, 1));
    let store = cluster.dir(2).join("store");
    let id = || fs::read_to_string(store.join("ID")).unwrap();
    let before = id();

    // So fast that nobody has missed it: it is still named in sync, under its old store.
    cluster.kill(2);
    fs::remove_dir_all(&store).unwrap();
    cluster.restart(2);
    wait_for("the node to have a store again", || {
        store.join("ID").exists().then_some(())
    });
    assert_ne!(id(), before, "what is in it was never acknowledged by it");
    check(&cluster, 0, &ids, (1, &first));
    let second = cluster.write(1, "state", &states(&ids, 2));
    wait_for(
        "two copies of each shard, level with their primaries",
        || is_caught_up(&cluster).then_some(()),
    );
    assert!(is_named(&cluster, "eu-2"), "it holds shards again");
    for reader in Cluster::all() {
        check(&cluster, reader, &ids, (2, &second));
    }
    // What the others had, it has.
    cluster.kill(0);
    check(&cluster, 2, &ids, (2, &second));
}

/// The segments of a node in which some bytes lie, with their places.
fn places_of(store: &Path, needle: &[u8]) -> Vec<(PathBuf, u64)> {
    let mut places = Vec::new();
    for file in fs::read_dir(store).unwrap() {
        let path = file.unwrap().path();
        let is_segment = path
            .extension()
            .is_some_and(|kind| kind == "log" || kind == "base");
        // Compaction may have taken it away meanwhile.
        let Some(bytes) = is_segment.then(|| fs::read(&path).ok()).flatten() else {
            continue;
        };
        let found = bytes.windows(needle.len()).enumerate();
        let found = found.filter(|(_, window)| *window == needle);
        places.extend(found.map(|(place, _)| (path.clone(), place as u64)));
    }
    places
}

fn carried(store: &Path) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(store)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|kind| kind == "carried"))
        .collect()
}

fn metric(cluster: &Cluster, node: usize, name: &str) -> f64 {
    let (_, text) = client::get(cluster.http(node), "/metrics").unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_row_whose_bytes_rotted_is_answered_by_another_replica_and_repaired_from_it() {
    let mut cluster = Cluster::start();
    let needle = "a value that lies nowhere else";
    cluster.write(0, "state", &json!([{ "id": 7, "a": 7, "b": needle }]));
    // So much behind it that its segment is full and settled.
    for first in (1_000..1_300).step_by(20) {
        let filler = "x".repeat(FILLER_BYTES);
        let row = |id: i64| json!({ "id": id, "b": filler });
        let rows: Json = (first..first + 20).map(row).collect();
        cluster.write(0, "state", &rows);
    }
    let is_settled = |node: usize| {
        let places = places_of(&cluster.dir(node).join("store"), needle.as_bytes());
        let are_hinted = places
            .iter()
            .all(|(path, _)| path.with_extension("hint").exists());
        !places.is_empty() && are_hinted
    };
    let holders = wait_for("the row to lie in settled segments of two nodes", || {
        let holders: Vec<usize> = Cluster::all().filter(|node| is_settled(*node)).collect();
        (holders.len() == 2).then_some(holders)
    });
    let (rotten, other) = (holders[0], holders[1]);
    let store = cluster.dir(rotten).join("store");
    let before = carried(&store);
    for (path, place) in places_of(&store, needle.as_bytes()) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(b"A", place).unwrap();
    }

    let expected = (json!(needle), json!("PRESENT"));
    assert_eq!(
        found_by(&cluster, rotten),
        expected,
        "from the other replica"
    );
    let repaired = "atoll_store_repairs_total{result=\"repaired\"}";
    wait_for("the row to be repaired", || {
        (metric(&cluster, rotten, repaired) >= 1.0).then_some(())
    });
    assert!(metric(&cluster, rotten, "atoll_store_damage_total") >= 1.0);
    assert_eq!(carried(&store), before, "its shard was not brought anew");
    cluster.kill(other);
    assert_eq!(
        found_by(&cluster, rotten),
        expected,
        "from the copy that was put in its place"
    );
}

fn found_by(cluster: &Cluster, node: usize) -> (Json, Json) {
    let answer = cluster.lookup(node, &[7], &Json::Null);
    (
        answer["features"][1]["values"][0].clone(),
        answer["features"][1]["statuses"][0].clone(),
    )
}

#[test]
fn no_loss_is_accepted_where_no_majority_could_decide_it() {
    let mut cluster = Cluster::start();
    cluster.kill(1);
    cluster.kill(2);
    wait_for("the two to be missed", || {
        let status = cluster.command(0, &["status"]);
        let nodes = status["nodes"].as_array()?;
        let missed = nodes.iter().filter(|node| node["state"] != "serving");
        (missed.count() == 2).then_some(())
    });
    let accept = [
        "recover",
        "--region",
        "eu",
        "--accept-loss",
        "--cluster",
        "lab",
    ];
    let said = cluster.command(0, &accept).to_string();
    for words in [
        "1 of its 3 voters answer",
        "eu-1",
        "eu-2",
        "Nothing was changed",
    ] {
        assert!(said.contains(words), "no {words} in {said}");
    }
    // Nothing waits to be carried out later: the rows of both are there again when they are.
    cluster.restart(1);
    cluster.restart(2);
    cluster.wait_until_whole();
    let shards = cluster.shards(0);
    assert!(
        shards.iter().all(|shard| shard["incarnation"] == 1),
        "{shards:?}"
    );
}
