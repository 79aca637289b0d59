//! Entities with a copy on every node: each gateway reads its own, also when nobody else answers.

use super::{cluster::Cluster, process::wait_for};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

const PLACES: usize = 40;
/// The first of four shards that every node holds.
const FIRST_REFERENCE: u64 = 16;
/// What is between a signal and its effect on what a node claims: a beat, and the machine's other work.
const SLACK_SECONDS: f64 = 1.0;

fn codes() -> Vec<String> {
    (0..PLACES).map(|number| format!("p{number}")).collect()
}

fn lookup(cluster: &Cluster, node: usize, token: &Json) -> Json {
    let mut body = json!({
        "project": "lab", "features": ["places:country"], "rows": { "code": codes() }, "deadline": "10s",
    });
    if !token.is_null() {
        body["token"] = token.clone();
    }
    cluster.post(node, "/v1/lookup", &body)
}

#[track_caller]
fn check(answer: &Json) {
    let column = &answer["features"][0];
    let expected: Vec<String> = (0..PLACES).map(|number| format!("c{number}")).collect();
    assert_eq!(column["values"], json!(expected), "{column}");
}

/// Whether every node beside the two in sync observes each reference shard, and none another.
fn is_observed(cluster: &Cluster) -> bool {
    let shards = cluster.shards(0);
    let is_observer = |replica: &&Json| replica["role"] == "observer";
    shards.iter().all(|shard| {
        let replicas = shard["replicas"].as_array().unwrap();
        let observers: Vec<&Json> = replicas.iter().filter(is_observer).collect();
        let is_reference = shard["shard"].as_u64().unwrap() >= FIRST_REFERENCE;
        let keep_up = observers
            .iter()
            .all(|observer| observer["position"] == shard["committed"]);
        observers.len() == usize::from(is_reference) && keep_up
    })
}

#[test]
fn every_node_answers_from_its_own_copy_and_says_how_old_it_is() {
    let cluster = Cluster::start();
    let rows: Json = codes()
        .iter()
        .zip(0..)
        .map(|(code, number)| json!({ "code": code, "country": format!("c{number}") }))
        .collect();
    let token = cluster.write(0, "places", &rows);
    for reader in Cluster::all() {
        check(&lookup(&cluster, reader, &token));
    }
    wait_for("an observer of each reference shard", || {
        is_observed(&cluster).then_some(())
    });
    let known = |answer: &Json| {
        let text = answer["staleness"]["worst"].as_str()?;
        text.strip_suffix('s')?.parse::<f64>().ok()
    };
    wait_for("an age that is known", || {
        known(&lookup(&cluster, 2, &Json::Null)).filter(|age| *age < 2.0)
    });

    let frozen = Instant::now();
    cluster.signal(0, Signal::STOP);
    cluster.signal(1, Signal::STOP);
    while frozen.elapsed() < Duration::from_secs(6) {
        let since = frozen.elapsed().as_secs_f64();
        let answer = lookup(&cluster, 2, &Json::Null);
        check(&answer);
        let claimed = known(&answer);
        assert!(
            claimed.is_none_or(|age| age >= since - SLACK_SECONDS),
            "{claimed:?} s, and nothing came for {since} s"
        );
    }
    cluster.signal(0, Signal::CONT);
    cluster.signal(1, Signal::CONT);
}
