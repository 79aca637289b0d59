//! Lookups through every gateway: exact values, tokens, ages, and a replica that stands still.

use super::cluster::Cluster;
use rustix::process::Signal;
use serde_json::{Value as Json, json};

const THINGS: i64 = 200;

fn seconds(age: &Json) -> Option<f64> {
    let text = age.as_str()?;
    text.strip_suffix('s').map(|number| number.parse().unwrap())
}

/// Every thing has its values, which are told by its number and `round`.
#[track_caller]
fn check(answer: &Json, ids: &[i64], round: i64) {
    let expected = [
        ids.iter().map(|id| json!(id * 1_000 + round)).collect(),
        ids.iter()
            .map(|id| json!(format!("{id}/{round}")))
            .collect(),
        ids.iter()
            .map(|id| json!(*id as f64 + 0.5))
            .collect::<Vec<Json>>(),
    ];
    for (column, expected) in answer["features"].as_array().unwrap().iter().zip(expected) {
        assert_eq!(column["values"], json!(expected), "{}", column["name"]);
        let statuses = column["statuses"].as_array().unwrap();
        assert!(
            statuses.iter().all(|status| status == "PRESENT"),
            "{column}"
        );
    }
    assert_eq!(answer["stale"], false);
}

fn states(ids: &[i64], round: i64) -> Json {
    let row = |id: &i64| json!({ "id": id, "a": id * 1_000 + round, "b": format!("{id}/{round}") });
    ids.iter().map(row).collect()
}

#[test]
fn every_gateway_reads_what_was_written_through_any_also_while_a_replica_stands_still() {
    let cluster = Cluster::start();
    let ids: Vec<i64> = (0..THINGS).collect();
    let extras: Json = ids
        .iter()
        .map(|id| json!({ "id": id, "c": *id as f64 + 0.5 }))
        .collect();
    cluster.write(1, "extra", &extras);
    let mut round = 0;
    for writer in Cluster::all() {
        for _ in 0..5 {
            round += 1;
            let mut token = cluster.write(writer, "state", &states(&ids, round));
            // Right after the write, and each read follows the one before.
            for reader in Cluster::all() {
                let answer = cluster.lookup(reader, &ids, &token);
                check(&answer, &ids, round);
                token = answer["token"].clone();
            }
        }
    }

    // Two shards of three are on each node: what it claims is known, and about a round of closes.
    for reader in Cluster::all() {
        let known = super::process::wait_for("ages that are known", || {
            let answer = cluster.lookup(reader, &ids, &Json::Null);
            seconds(&answer["staleness"]["worst"])
        });
        assert!((0.0..5.0).contains(&known), "{known} s");
    }

    // The whole region is as old as its oldest node, and has nobody to send anything to.
    let lag = super::process::wait_for("a lag that is known", || {
        let lag = cluster.lag(0);
        seconds(&lag["origins"]["eu"]).map(|worst| (worst, lag))
    });
    let nodes = lag.1["nodes"].as_array().unwrap().iter();
    let nodes: Vec<f64> = nodes
        .map(|node| seconds(&node["staleness"]).unwrap())
        .collect();
    assert_eq!(nodes.len(), 3);
    assert_eq!(nodes.into_iter().reduce(f64::max), Some(lag.0));
    assert_eq!(
        (&lag.1["links"], &lag.1["outboxes"]),
        (&json!({}), &json!([]))
    );

    // A third of the shards lies on other nodes alone.
    for exporter in Cluster::all() {
        assert_eq!(cluster.export(exporter, "state"), THINGS, "node {exporter}");
    }

    cluster.signal(2, Signal::STOP);
    for _ in 0..30 {
        for reader in [0, 1] {
            check(&cluster.lookup(reader, &ids, &Json::Null), &ids, round);
        }
    }
    // Its shards get another primary; what is written then is read, and the sleeper catches up.
    round += 1;
    let token = cluster.write(0, "state", &states(&ids, round));
    for reader in [0, 1] {
        check(&cluster.lookup(reader, &ids, &token), &ids, round);
    }
    cluster.signal(2, Signal::CONT);
    check(&cluster.lookup(2, &ids, &token), &ids, round);
}
