//! All regions write the same rows while nodes and a whole region go: afterwards all have the same.

use super::{
    cluster::{Cluster, REGIONS},
    process::wait_for,
    streams::{directly, start},
};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

const IDS: u64 = 400;
/// Rows of one request.
const ROWS: u64 = 40;

/// Writes through a region's gateway until it is stopped; gives how many rows were taken for sure.
fn load(cluster: &Cluster, region: usize, stop: &AtomicBool, rounds: &AtomicU64) -> u64 {
    let (mut accepted, mut round) = (0, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let row = |place: u64| {
            let id = (round * 7 + place * 13 + region as u64) % IDS;
            // Regions overwrite each other, now by an older event, now by a newer one.
            let minute = (round * 31 + place + region as u64 * 17) % 60;
            let event_time = format!("2026-11-20T12:{minute:02}:00Z");
            match place % 3 {
                0 => json!({ "id": id, "a": round, "event_time": event_time }),
                1 => {
                    json!({ "id": id, "b": format!("{region}/{round}"), "event_time": event_time })
                }
                _ => json!({ "id": id, "a": null, "b": "both", "event_time": event_time }),
            }
        };
        let rows: Vec<Json> = (0..ROWS).map(row).collect();
        let body = json!({ "project": "lab", "view": "state", "rows": rows, "deadline": "2s" });
        // A gateway that is away, or a shard without a primary, is what this is about.
        if let Some((200, answer)) = cluster.try_post(region, "/v1/write", &body) {
            accepted += answer["accepted"].as_u64().unwrap_or(0);
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    }
    accepted
}

#[test]
fn after_kills_under_load_all_regions_have_the_same_rows() {
    let mut cluster = start(&directly());
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let more = |count: u64| {
        let goal = rounds.load(Ordering::Relaxed) + count;
        wait_for("writes", || {
            (rounds.load(Ordering::Relaxed) >= goal).then_some(())
        });
    };
    // Each phase loads all regions while one thing happens.
    for phase in 0..3 {
        stop.store(false, Ordering::Relaxed);
        let accepted: u64 = thread::scope(|scope| {
            let loads: Vec<_> = (0..REGIONS.len())
                .map(|region| {
                    let (cluster, stop, rounds) = (&cluster, &stop, &rounds);
                    scope.spawn(move || load(cluster, region, stop, rounds))
                })
                .collect();
            let _ended = Ended(&stop);
            more(30);
            match phase {
                0 => cluster.signal(0, 0, Signal::KILL),
                1 => cluster.signal(2, 1, Signal::STOP),
                _ => (0..3).for_each(|node| cluster.signal(1, node, Signal::KILL)),
            }
            more(30);
            thread::sleep(Duration::from_secs(2));
            if phase == 1 {
                cluster.signal(2, 1, Signal::CONT);
            }
            more(20);
            stop.store(true, Ordering::Relaxed);
            loads.into_iter().map(|load| load.join().unwrap()).sum()
        });
        println!("phase {phase}: {accepted} rows accepted");
        assert!(accepted > 0);
    }
    // A node that was the last in sync on a busy machine has what was acknowledged: all come back.
    cluster.kill(0, 0);
    cluster.restart(0, 0);
    cluster.kill_region(1);
    cluster.restart_region(1);
    for region in 0..REGIONS.len() {
        cluster.wait_until_whole(region);
    }
    for region in [1, 2] {
        // What was cut off catches up first.
        let looked = (0..5).map(|_| cluster.audit(region));
        let mut said = String::new();
        let found = looked.into_iter().find(|(equal, text)| {
            assert!(!text.contains("shards differ"), "{text}");
            said.clone_from(text);
            *equal
        });
        assert!(found.is_some(), "{said}");
        println!("{said}");
    }
}

/// Ends loads with whoever waits for them.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
