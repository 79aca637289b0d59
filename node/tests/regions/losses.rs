//! What several regions share, and what goes on without each other.

use super::{
    cluster::{Cluster, REGIONS},
    process::wait_for,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const DEFINITIONS: &str = "
project: lab
entities:
  - { name: thing, keys: [{ name: id, type: int64 }] }
views:
  - { name: state, entity: thing, features: [{ name: a, type: int64 }] }
";
const IDS: i64 = 40;

/// The definitions, and a view more.
fn with_view(name: &str) -> String {
    format!(
        "{DEFINITIONS}  - {{ name: {name}, entity: thing, features: [{{ name: c, type: float64 }}] }}\n"
    )
}

/// Writes a round of rows through a region's gateway and reads them there.
#[track_caller]
fn write_and_read(cluster: &Cluster, region: usize, round: i64) {
    let value = |id: i64| id * 1_000 + round;
    let rows: Json = (0..IDS)
        .map(|id| json!({ "id": id, "a": value(id) }))
        .collect();
    let body = json!({ "project": "lab", "view": "state", "rows": rows, "deadline": "30s" });
    let (status, answer) = cluster.post(region, "/v1/write", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["accepted"], &answer["unknown"]),
        (&json!(IDS), &json!([])),
        "{answer}"
    );
    assert_eq!(answer["region"], REGIONS[region]);
    let ids: Vec<i64> = (0..IDS).collect();
    let body = json!({
        "project": "lab", "features": ["state:a"], "rows": { "id": ids }, "token": answer["token"],
        "deadline": "10s",
    });
    let (status, answer) = cluster.post(region, "/v1/lookup", &body);
    assert_eq!(status, 200, "{answer}");
    let expected: Vec<i64> = ids.into_iter().map(value).collect();
    assert_eq!(answer["features"][0]["values"], json!(expected), "{answer}");
}

/// The voters of the global group by region, as a region's gateway lists them.
fn voters(cluster: &Cluster, region: usize) -> Vec<usize> {
    let regions = cluster.records(region, &["region", "list"]);
    let voters = regions.iter().map(|region| region["voters"].as_array());
    voters.map(|voters| voters.map_or(0, Vec::len)).collect()
}

/// Waits until a view that was applied through one region is defined in another.
fn wait_for_view(cluster: &Cluster, region: usize, name: &str) {
    let list = ["registry", "list", "--project", "lab", "--object", "view"];
    wait_for("the definitions to be seen", || {
        let views = cluster.records(region, &list);
        let is_seen = |view: &Json| {
            view["name"]
                .as_str()
                .is_some_and(|known| known.starts_with(name))
        };
        views.iter().any(is_seen).then_some(())
    });
}

fn check_one_cluster(cluster: &Cluster) {
    // Two, two and one: a whole region can go, and then one more node.
    for region in 0..REGIONS.len() {
        wait_for("voters in all three regions", || {
            let mut voters = voters(cluster, region);
            voters.sort_unstable();
            (voters == [1, 2, 2]).then_some(())
        });
    }
    // What nodes know of other regions comes a little later.
    let expected: Vec<Json> = (0..REGIONS.len())
        .map(|region| cluster.grpc(region).into())
        .collect();
    for (region, name) in REGIONS.iter().enumerate() {
        wait_for("all regions to be active and known everywhere", || {
            let listed = cluster.records(region, &["region", "list"]);
            let are_whole = listed.iter().all(|region| {
                region["state"] == "active" && region["placed"] == 12 && region["nodes"] == 3
            });
            let gateway = |listed: &Json| listed["gateways"][0]["grpc_address"].clone();
            let known: Vec<Json> = listed.iter().map(gateway).collect();
            (are_whole && known == expected).then_some(())
        });
        let topology = cluster.get(region, "/v1/topology");
        assert_eq!(topology["region"], *name);
        assert_eq!(topology["gateways"].as_array().unwrap().len(), 3);
        assert_eq!(topology["regions"].as_array().unwrap().len(), 3);
    }
}

/// What a gateway warns of, in one text.
fn warnings(cluster: &Cluster, region: usize) -> String {
    cluster.get(region, "/v1/status")["warnings"].to_string()
}

fn primaries(cluster: &Cluster, region: usize) -> BTreeSet<String> {
    let shards = cluster.records(region, &["shards"]);
    let primary = |shard: &Json| shard["primary"].as_str().unwrap_or_default().to_owned();
    shards.iter().map(primary).collect()
}

#[test]
fn regions_share_definitions_and_go_on_without_each_other() {
    let mut cluster = Cluster::start();
    let (a, b, c) = (0, 1, 2);
    check_one_cluster(&cluster);

    let (status, answer) = cluster.apply(b, DEFINITIONS);
    assert_eq!(status, 200, "{answer}");
    for region in [a, b, c] {
        wait_for_view(&cluster, region, "state");
        write_and_read(&cluster, region, 1);
    }

    cluster.kill_region(a);
    wait_for("definitions to change without region a", || {
        let (status, answer) = cluster.apply(b, &with_view("second"));
        let is_quorum_awaited = answer["error"]["reason"] == "NO_GLOBAL_QUORUM";
        assert!(status == 200 || is_quorum_awaited, "{answer}");
        (status == 200).then_some(())
    });
    wait_for_view(&cluster, c, "second");
    for region in [b, c] {
        write_and_read(&cluster, region, 2);
    }

    cluster.kill_region(b);
    let (status, answer) = cluster.apply(c, &with_view("third"));
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["error"]["reason"], "NO_GLOBAL_QUORUM", "{answer}");
    write_and_read(&cluster, c, 3);
    let said = wait_for("the loss of the quorum to be told", || {
        let said = warnings(&cluster, c);
        said.contains("definitions and regions cannot be changed")
            .then_some(said)
    });
    assert!(said.contains("lookups and writes go on"), "{said}");

    // The region's own group needs nobody else. A copy that was slow may have left its set meanwhile.
    cluster.wait_until_whole(c);
    let lost = "c-0".to_owned();
    assert!(primaries(&cluster, c).contains(&lost));
    cluster.kill(c, 0);
    wait_for("another primary in region c", || {
        (!primaries(&cluster, c).contains(&lost)).then_some(())
    });
    write_and_read(&cluster, c, 4);

    // Nor does a node that starts anew need others than those of its region.
    cluster.restart(c, 0);
    cluster.wait_until_whole(c);
    write_and_read(&cluster, c, 5);

    // What comes back has what was defined meanwhile, and all go on together.
    cluster.restart_region(a);
    cluster.restart_region(b);
    wait_for("definitions to change again", || {
        let answer = cluster.try_apply(c, &with_view("third"));
        answer.filter(|(status, _)| *status == 200)
    });
    for region in [a, b] {
        cluster.wait_until_whole(region);
        wait_for_view(&cluster, region, "third");
        write_and_read(&cluster, region, 6);
    }
}
