//! `durability = "replicated"`: what two nodes hold in memory counts. Killed nodes come back as others
//! and take nothing along; when all are killed the region says so, and goes on when a person accepts it.

use super::{
    cluster::Cluster,
    process::wait_for,
    writes::{load, request, told},
};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

/// Under load, one node after the other is killed and comes back.
fn kill_each(cluster: &mut Cluster) -> Vec<(Json, Json)> {
    let mut done = Vec::new();
    for victim in Cluster::all() {
        let others: Vec<usize> = Cluster::all().filter(|node| *node != victim).collect();
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        done.extend(thread::scope(|scope| {
            let own = &*cluster;
            let load = scope.spawn(|| load(own, [others[0], others[1]], &stop, &answered));
            let more = |count: usize| {
                let goal = answered.load(Ordering::Relaxed) + count;
                wait_for("writes", || {
                    (answered.load(Ordering::Relaxed) >= goal).then_some(())
                });
            };
            more(30);
            cluster.signal(victim, Signal::KILL);
            more(30);
            stop.store(true, Ordering::Relaxed);
            load.join().unwrap()
        }));
        cluster.restart(victim);
        cluster.wait_until_whole();
    }
    done
}

/// Each row of the answered requests, through each node.
fn check_all_is_there(cluster: &Cluster, done: &[(Json, Json)]) {
    for (body, answer) in done {
        let rows = body["rows"].as_array().unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        for node in Cluster::all() {
            let found = cluster.lookup(node, &ids, &answer["token"]);
            let column = &found["features"][0];
            assert_eq!(
                column["statuses"],
                json!(vec!["PRESENT"; 4]),
                "{body}: {found}"
            );
            let expected: Vec<&Json> = rows.iter().map(|row| &row["a"]).collect();
            assert_eq!(column["values"], json!(expected), "{body}");
        }
    }
}

fn warnings(cluster: &Cluster) -> String {
    cluster.command(0, &["status"])["warnings"].to_string()
}

#[test]
fn memory_of_two_outlives_the_kill_of_each_and_the_kill_of_all_is_no_silent_loss() {
    let mut cluster = Cluster::start_with("replicated");
    let done = kill_each(&mut cluster);
    check_all_is_there(&cluster, &done);
    for (body, answer) in &done {
        let again = cluster.post(0, "/v1/write", body);
        assert_eq!(told(&again), told(answer), "{body}");
    }

    for node in Cluster::all() {
        cluster.signal(node, Signal::KILL);
    }
    for node in Cluster::all() {
        cluster.restart(node);
    }
    // The cluster's 16 and the 4 of reference data.
    wait_for("the loss to be said", || {
        let said = warnings(&cluster);
        said.contains("20 shards are held by no run that counts")
            .then_some(())
    });
    // Nobody may call a row absent, or an old one present, and nobody takes a write.
    let (status, found) = cluster
        .try_post(
            0,
            "/v1/lookup",
            &json!({ "project": "lab", "features": ["state:a"], "rows": { "id": [0, 1, 2] }, "deadline": "1s" }),
        )
        .expect("an answer");
    let column = &found["features"][0];
    assert!(
        status == 200 && column["statuses"] == json!(vec!["UNAVAILABLE"; 3]),
        "{status} {found}"
    );
    let mut late = request(9, 0);
    late["deadline"] = json!("2s");
    let (_, refused) = cluster.try_post(1, "/v1/write", &late).expect("an answer");
    assert_ne!(refused["accepted"], json!(4), "{refused}");

    let wrong = [
        "recover",
        "--region",
        "eu",
        "--accept-loss",
        "--cluster",
        "other",
    ];
    let refused = cluster.command(0, &wrong);
    assert!(
        refused.to_string().contains("nothing was changed"),
        "{refused}"
    );
    let accept = [
        "recover",
        "--region",
        "eu",
        "--accept-loss",
        "--cluster",
        "lab",
    ];
    let recovered = cluster.command(0, &accept);
    let recovered = recovered["shards"].as_array().expect("shards");
    assert!(
        recovered.len() >= 16 && recovered.iter().all(|shard| shard["incarnation"] == 2),
        "{recovered:?}"
    );
    cluster.wait_until_whole();
    // The processes ended, and the machine did not: here the longest logs hold everything.
    let unsigned: Vec<(Json, Json)> = done
        .into_iter()
        .map(|(body, _)| (body, json!({ "token": null })))
        .collect();
    check_all_is_there(&cluster, &unsigned);
    cluster.write(2, "state", &json!([{ "id": 77, "a": 1, "b": "on" }]));
    assert!(!warnings(&cluster).contains("held by no run"));
}
