//! Writes through gateways that lead nothing of them, while primaries are killed.

use super::{cluster::Cluster, process::wait_for};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};
use uuid::Uuid;

const WRITERS: i64 = 3;
/// Far more than a failover takes: with so much time, no write may be left open.
const DEADLINE: &str = "40s";
/// What a client of a first or a repeated request must be told alike.
const TOLD: [&str; 5] = ["accepted", "superseded", "rejected", "unknown", "token"];

/// A request of four rows, which lie in several shards.
pub fn request(writer: i64, number: i64) -> Json {
    let first = writer * 1_000_000 + number * 4;
    let row = |id: i64| json!({ "id": id, "a": number, "b": "x" });
    json!({
        "project": "lab", "view": "state", "deadline": DEADLINE,
        "request_id": Uuid::now_v7().to_string(),
        "rows": (first..first + 4).map(row).collect::<Vec<Json>>(),
    })
}

pub fn told(answer: &Json) -> [&Json; 5] {
    TOLD.map(|name| &answer[name])
}

/// Writes through two nodes until told to stop; gives each request with its answer.
pub fn load(
    cluster: &Cluster,
    through: [usize; 2],
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Vec<(Json, Json)> {
    let writer = |writer: i64| {
        let mut done = Vec::new();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let body = request(writer, number);
            let answer = cluster.post(through[(number % 2) as usize], "/v1/write", &body);
            answered.fetch_add(1, Ordering::Relaxed);
            done.push((body, answer));
        }
        done
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| scope.spawn(move || writer(number)))
            .collect();
        let done = writers.into_iter().map(|writer| writer.join().unwrap());
        done.flatten().collect()
    })
}

fn status(cluster: &Cluster, node: usize) -> Json {
    cluster.command(node, &["status"])
}

/// Ends a load with whoever waits for it.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_killed_primary_makes_writes_slower_and_a_repeat_at_its_successor_gets_the_first_answer() {
    let cluster = Cluster::start();
    let before = wait_for("every node to be heard of", || {
        let status = status(&cluster, 1);
        let nodes = status["nodes"].as_array().unwrap();
        nodes
            .iter()
            .all(|node| node["reachable"] == true)
            .then(|| status.clone())
    });
    assert!(
        before["nodes"][0]["primaries"].as_u64() > Some(0),
        "{before}"
    );

    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let done = thread::scope(|scope| {
        let load = scope.spawn(|| load(&cluster, [1, 2], &stop, &answered));
        // Should this one end by a surprise, the load must not go on for ever.
        let _ended = Ended(&stop);
        let more = |count: usize| {
            let goal = answered.load(Ordering::Relaxed) + count;
            wait_for("writes", || {
                (answered.load(Ordering::Relaxed) >= goal).then_some(())
            });
        };
        more(50);
        // On a busy machine a copy may have left; without it the killed one would be the last.
        wait_for("every copy to be in sync", || {
            (status(&cluster, 1)["shards_under_replicated"] == 0).then_some(())
        });
        cluster.signal(0, Signal::KILL);
        wait_for("the killed node to be missed", || {
            let status = status(&cluster, 1);
            let killed = &status["nodes"][0];
            (killed["reachable"] == false && killed["primaries"] == 0).then_some(())
        });
        more(50);
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    wait_for("the other node to warn of it", || {
        let warnings = status(&cluster, 2)["warnings"].clone();
        let mut warnings = warnings.as_array().unwrap().iter();
        let is_named = |warning: &Json| warning == "eu-0 is not reachable";
        warnings.any(is_named).then_some(())
    });

    for (body, answer) in &done {
        let whole = [&json!(4), &json!(0), &json!([]), &json!([])];
        assert_eq!(told(answer)[..4], whole, "{body}");
    }
    // To whoever is primary now: were a repeat carried out, its token would name later sequences.
    for (body, answer) in &done {
        let again = cluster.post(2, "/v1/write", body);
        assert_eq!(told(&again), told(answer), "{body}");
    }
}
