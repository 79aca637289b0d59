//! Rows on their way between regions.

use super::{
    broker::Broker,
    cluster::{Cluster, REGIONS},
    process::wait_for,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const DEFINITIONS: &str = "
project: lab
entities:
  - { name: thing, keys: [{ name: id, type: int64 }] }
views:
  - { name: state, entity: thing, features: [{ name: a, type: int64 }, { name: b, type: string }] }
  - { name: counts, entity: thing, features: [{ name: n, type: int64, combine: sum }] }
";
/// Of events; another later one is an hour on.
const NOON: &str = "2026-11-20T12:00:00Z";
const ONE: &str = "2026-11-20T13:00:00Z";
const IDS: i64 = 60;

fn over_kafka(brokers: &[Broker]) -> String {
    let regions = REGIONS.iter().zip(brokers).map(|(region, broker)| {
        format!(
            "[[region]]\nname = \"{region}\"\n[region.kafka]\nbrokers = [\"{}\"]\npartitions = 4\nreplication = 1\n\
             retention = \"1h\"\nsecurity = \"plaintext\"\n",
            broker.address()
        )
    });
    let regions: String = regions.collect();
    format!("[cluster]\nname = \"lab\"\nshards = 8\ntransport = \"kafka\"\n{regions}")
}

pub fn directly() -> String {
    let regions = REGIONS.map(|region| format!("[[region]]\nname = \"{region}\"\n"));
    format!(
        "[cluster]\nname = \"lab\"\nshards = 8\ntransport = \"direct\"\n{}",
        regions.concat()
    )
}

pub fn start(settings: &str) -> Cluster {
    let cluster = Cluster::founded_as(settings);
    // Voters of other regions are still being added, and leaders may change.
    wait_for("the definitions to be applied", || {
        let (status, _) = cluster.apply(0, DEFINITIONS);
        (status == 200).then_some(())
    });
    for region in 0..REGIONS.len() {
        wait_for("the definitions", || {
            let (status, _) = lookup(&cluster, region, "counts:n", &json!({}));
            (status == 200).then_some(())
        });
    }
    cluster
}

/// Writes rows of one view through a region's gateway; gives the token.
#[track_caller]
fn write(cluster: &Cluster, region: usize, view: &str, rows: Vec<Json>) -> String {
    let count = rows.len();
    let body = json!({ "project": "lab", "view": view, "rows": rows, "deadline": "30s" });
    let (status, answer) = cluster.post(region, "/v1/write", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["accepted"], json!(count), "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

fn rows(ids: std::ops::Range<i64>, row: impl Fn(i64) -> Json) -> Vec<Json> {
    let with_id = |id: i64| {
        let mut row = row(id);
        row["id"] = json!(id);
        row
    };
    ids.map(with_id).collect()
}

/// What a region's gateway answers to a lookup of all ids.
fn lookup(cluster: &Cluster, region: usize, feature: &str, more: &Json) -> (u16, Json) {
    let ids: Vec<i64> = (0..IDS).collect();
    let mut body = json!({
        "project": "lab", "features": [feature], "rows": { "id": ids }, "deadline": "10s",
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    cluster.post(region, "/v1/lookup", &body)
}

fn values(cluster: &Cluster, region: usize, feature: &str) -> Vec<Json> {
    let (status, answer) = lookup(cluster, region, feature, &json!({}));
    assert_eq!(status, 200, "{answer}");
    answer["features"][0]["values"].as_array().unwrap().clone()
}

/// Waits until all regions answer alike, and as expected.
#[track_caller]
fn converges(cluster: &Cluster, feature: &str, expected: impl Fn(i64) -> Json) {
    let expected: Vec<Json> = (0..IDS).map(expected).collect();
    for (region, name) in REGIONS.iter().enumerate() {
        let mut last = Vec::new();
        wait_for(&format!("{feature} in region {name}"), || {
            last = values(cluster, region, feature);
            (last == expected).then_some(())
        });
    }
}

/// Waits until each region knows of each how old its answers can be.
fn all_ages_known(cluster: &Cluster) -> BTreeMap<usize, Json> {
    let known = |region| {
        let (_, answer) = lookup(cluster, region, "state:a", &json!({}));
        let origins = answer["staleness"]["origins"].as_object()?.clone();
        let is_whole = origins.len() == REGIONS.len() && origins.values().all(Json::is_string);
        is_whole.then_some(Json::Object(origins))
    };
    let ages = (0..REGIONS.len()).map(|region| {
        let mut ages = Json::Null;
        wait_for("ages of all origins", || {
            ages = known(region)?;
            Some(())
        });
        (region, ages)
    });
    ages.collect()
}

/// Rows of all regions, conflicts, counts, ages and tokens.
fn check_streams(cluster: &Cluster) {
    // Each region writes a third; all write one feature of all, the last event winning wherever it was
    // written.
    for region in 0..REGIONS.len() {
        let third = region as i64 * 20;
        let of = |id: i64| json!({ "a": id * 10, "event_time": NOON });
        write(cluster, region, "state", rows(third..third + 20, of));
    }
    converges(cluster, "state:a", |id| json!(id * 10));
    let late = rows(0..IDS, |_| json!({ "b": "late", "event_time": NOON }));
    let newest = |id| json!({ "b": format!("new {id}"), "event_time": ONE });
    write(cluster, 1, "state", rows(0..IDS, newest));
    write(cluster, 2, "state", late);
    converges(cluster, "state:b", |id| json!(format!("new {id}")));
    // A later write of one feature leaves the other.
    converges(cluster, "state:a", |id| json!(id * 10));
    // Counts of all regions add up.
    for (region, count) in [1_i64, 10, 100].into_iter().enumerate() {
        let of = |id: i64| json!({ "n": id * count, "event_time": NOON });
        write(cluster, region, "counts", rows(0..IDS, of));
    }
    converges(cluster, "counts:n", |id| json!(id * 111));
    println!("ages: {:?}", all_ages_known(cluster));
    assert_eq!(confirmed(cluster, "all", "30s"), REGIONS);
    let some = confirmed(cluster, "one_other", "30s");
    assert!(some.len() >= 2 && some[0] == "a", "{some:?}");
    assert_eq!(confirmed(cluster, "region", "30s"), ["a"]);
    // A token of one region is honoured in another: that value or a newer one.
    for round in 0..20 {
        let of = |_| json!({ "a": round, "event_time": ONE });
        let token = write(cluster, round % 3, "state", rows(0..IDS, of));
        let more = json!({ "token": token });
        let (status, answer) = lookup(cluster, (round + 1) % 3, "state:a", &more);
        assert_eq!(status, 200, "{answer}");
        let values = answer["features"][0]["values"].as_array().unwrap();
        assert!(
            values.iter().all(|value| value == &json!(round)),
            "round {round}: {answer}"
        );
    }
}

/// Writes all ids through region a, to be answered as `ack` says; gives who holds them.
#[track_caller]
fn confirmed(cluster: &Cluster, ack: &str, deadline: &str) -> Vec<String> {
    let of = |id: i64| json!({ "a": id, "event_time": "2026-11-20T12:30:00Z" });
    let rows = rows(0..IDS, of);
    let body = json!({ "project": "lab", "view": "state", "rows": rows, "ack": ack, "deadline": deadline });
    let (status, answer) = cluster.post(0, "/v1/write", &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["accepted"], &answer["unknown"]),
        (&json!(IDS), &json!([])),
        "{answer}"
    );
    let confirmed = answer["confirmed"].as_array().unwrap();
    let mut names: Vec<String> = confirmed
        .iter()
        .map(|name| name.as_str().unwrap().into())
        .collect();
    names.sort();
    names
}

/// A primary of the first region goes: what is written then arrives everywhere.
fn check_without_a_primary(cluster: &mut Cluster) {
    cluster.kill(0, 0);
    let of = |id: i64| json!({ "a": -id, "event_time": "2026-11-20T15:00:00Z" });
    write(cluster, 0, "state", rows(0..30, of));
}

/// A region was away while another's broker lost what it had not read: it comes by a copy.
fn check_without_its_log(cluster: &mut Cluster, brokers: &[Broker]) {
    cluster.kill_region(2);
    let of = |id: i64| json!({ "a": id + 7, "event_time": "2026-11-20T16:00:00Z" });
    write(cluster, 1, "state", rows(0..IDS, of));
    wait_for("the broker to have it", || {
        let lag = cluster.get(1, "/v1/lag");
        let outboxes = lag["outboxes"].as_array()?;
        let is_through = outboxes.iter().all(|outbox| outbox["entries"] == json!(0));
        (!outboxes.is_empty() && is_through).then_some(())
    });
    brokers[1].begin_anew();
    let of = |id: i64| json!({ "a": id + 8, "event_time": "2026-11-20T17:00:00Z" });
    write(cluster, 1, "state", rows(0..10, of));
    cluster.restart_region(2);
    cluster.wait_until_whole(2);
    converges(cluster, "state:a", |id| {
        json!(if id < 10 { id + 8 } else { id + 7 })
    });
    println!("ages after a copy: {:?}", all_ages_known(cluster));
}

#[test]
fn over_brokers_what_is_written_anywhere_is_read_everywhere() {
    let regions = REGIONS.iter();
    let Some(mut brokers): Option<Vec<Broker>> =
        regions.map(|region| Broker::start(region)).collect()
    else {
        return;
    };
    let mut cluster = start(&over_kafka(&brokers));
    check_streams(&cluster);
    // A broker is killed: writes go on, and arrive once it is back.
    brokers[0].kill();
    // Others cannot have it: it is durable here, and the answer says who is known to hold it.
    assert_eq!(confirmed(&cluster, "one_other", "2s"), ["a"]);
    let of = |id: i64| json!({ "a": id, "event_time": "2026-11-20T14:00:00Z" });
    write(&cluster, 0, "state", rows(0..IDS, of));
    check_without_a_primary(&mut cluster);
    brokers[0].start_again();
    converges(&cluster, "state:a", |id| {
        json!(if id < 30 { -id } else { id })
    });
    check_without_its_log(&mut cluster, &brokers);
    drop(cluster);
    brokers.clear();
}

#[test]
fn over_links_what_is_written_anywhere_is_read_everywhere() {
    let mut cluster = start(&directly());
    check_streams(&cluster);
    let of = |id: i64| json!({ "a": id, "event_time": "2026-11-20T14:00:00Z" });
    write(&cluster, 0, "state", rows(0..IDS, of));
    check_without_a_primary(&mut cluster);
    converges(&cluster, "state:a", |id| {
        json!(if id < 30 { -id } else { id })
    });
}
