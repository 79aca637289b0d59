//! Two regions of real drivers, whose streams go through logs in memory.

use super::{
    logs::Topics,
    node::{SHARD, TestClock},
    wire::Wire,
    world::World,
};
use crate::server::shards::{
    Copied, CopyOrder, Input, LinkInput,
    prepare::tests::{catalog_of, set},
};
use gateway::write::writer::Change;
use proto::{
    id::RegionId,
    link::{Record, decode},
    row::Row,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

const EU: RegionId = RegionId(1);
const US: RegionId = RegionId(2);

struct Regions {
    eu: World,
    us: World,
    topics: Topics,
    /// Copies that eu orders.
    ordered: mpsc::Receiver<CopyOrder>,
}

impl Regions {
    async fn new() -> Self {
        let (topics, clock) = (Topics::default(), TestClock::new());
        let catalog = Arc::new(catalog_of(&["eu", "us"]));
        let region = async |region, copies| {
            let catalog = Arc::clone(&catalog);
            let around = (Wire::new(), clock.clone());
            World::of_region(region, around, (catalog, &topics), copies).await
        };
        let (copies, ordered) = mpsc::channel(8);
        Self {
            eu: region(EU, copies).await,
            us: region(US, mpsc::channel(8).0).await,
            topics,
            ordered,
        }
    }

    /// Waits until all four replicas have the same rows.
    async fn settle(&self) -> BTreeMap<u64, Row> {
        let mut seen = Vec::new();
        for _ in 0..600 {
            sleep(Duration::from_millis(100)).await;
            seen = [&self.eu, &self.us]
                .iter()
                .flat_map(|world| world.rows())
                .collect();
            if seen.len() == 4 && seen.windows(2).all(|two| two[0] == two[1]) {
                return seen.swap_remove(0);
            }
        }
        let counts: Vec<usize> = seen.iter().map(BTreeMap::len).collect();
        panic!("the regions differ: {counts:?} rows");
    }

    /// Nothing but what a region itself wrote is in its log (I13).
    fn check_logs(&self) {
        for region in [EU, US] {
            for record in self.topics.written(region) {
                let origin = match decode(&record).unwrap() {
                    Record::Entry(entry) => entry.stream().origin,
                    Record::Heartbeat(heartbeat) => heartbeat.origin,
                };
                assert_eq!(origin, region);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_two_regions_comes_to_the_same_in_both() {
    let mut regions = Regions::new().await;
    regions.eu.write_all(300).await;
    regions.us.write_all(500).await;
    let partial: &dyn Fn(i64) -> Change = &|number| set(&[(2, -number)]);
    let batch = regions.eu.request(250..320, partial);
    regions.eu.send(&batch).await;
    let gone = regions.us.request(10..20, &|_| Change::Delete);
    regions.us.send(&gone).await;
    let rows = regions.settle().await;
    assert_eq!(rows.len(), 500);
    let deleted = rows.values().filter(|row| !row.has_cells()).count();
    assert_eq!(deleted, 10);
    regions.check_logs();
}

/// Both regions' clocks are one, so that an age can be compared with the truth.
#[tokio::test(start_paused = true)]
async fn ages_are_small_while_streams_flow_and_grow_while_they_do_not() {
    let mut regions = Regions::new().await;
    regions.us.write_all(100).await;
    regions.settle().await;
    sleep(Duration::from_secs(2)).await;
    let ages = |regions: &Regions| {
        let now = regions.eu.now();
        let of = |at: usize| {
            let complete_at = regions.eu.nodes[at].complete_at(US)?;
            Some(now - complete_at.0)
        };
        [of(0), of(1)]
    };
    for age in ages(&regions) {
        let age = age.expect("primary and backup know it");
        assert!((1..2_000_000).contains(&age), "{age} µs");
    }
    regions.topics.set_down(US, true);
    let stopped = regions.eu.now();
    sleep(Duration::from_secs(5)).await;
    regions.us.write_all(10).await;
    for age in ages(&regions) {
        let age = age.expect("what was known stays known");
        assert!(age >= 5_000_000, "{age} µs, and nothing came for 5 s");
    }
    regions.topics.set_down(US, false);
    regions.settle().await;
    sleep(Duration::from_secs(2)).await;
    for at in [0, 1] {
        let complete_at = regions.eu.nodes[at].complete_at(US).unwrap();
        assert!(complete_at.0 > stopped);
    }
}

/// What was not read in time is gone from the log: nothing is claimed until a copy is merged. Meanwhile the
/// region writes on, deletes and is written to.
#[tokio::test(start_paused = true)]
async fn what_a_log_lost_comes_by_a_copy() {
    let mut regions = Regions::new().await;
    regions.us.write_all(100).await;
    regions.settle().await;
    regions.topics.set_hidden(US, true);
    regions.us.write_all(50).await;
    sleep(Duration::from_secs(1)).await;
    regions.topics.forget(US);
    regions.topics.set_hidden(US, false);
    regions.us.write_all(20).await;
    sleep(Duration::from_secs(15)).await;
    assert_eq!(regions.eu.nodes[0].complete_at(US), None);
    let gone = regions.us.request(30..35, &|_| Change::Delete);
    regions.us.send(&gone).await;
    regions.eu.write_all(60).await;
    let order = regions.ordered.try_recv().unwrap();
    assert_eq!((order.shard, order.origin), (SHARD, US));
    let (mark, start, rows) = regions.us.nodes[0].copy_of(US);
    regions.us.write_all(10).await;
    let input = &regions.eu.nodes[0].alive().inputs;
    for copied in [Copied::Rows(rows.into()), Copied::All { mark, start }] {
        let (done, taken) = oneshot::channel();
        let copied = LinkInput::Copied {
            order,
            copied,
            done,
        };
        assert!(input.send(Input::Link(copied)).await.is_ok());
        assert_eq!(taken.await, Ok(Ok(())));
    }
    let rows = regions.settle().await;
    assert_eq!(rows.len(), 100);
    sleep(Duration::from_secs(2)).await;
    assert!(
        regions.eu.nodes[0].complete_at(US).is_some(),
        "the link follows again"
    );
    // It goes on where the copy ended, after a restart too.
    regions.us.write_all(40).await;
    regions.eu.promote(1).await;
    regions.us.write_all(20).await;
    regions.settle().await;
    regions.check_logs();
}

#[tokio::test(start_paused = true)]
async fn primaries_that_change_and_sessions_that_break_lose_and_double_nothing() {
    let mut regions = Regions::new().await;
    for round in 0..6 {
        regions.eu.write_all(200).await;
        regions.topics.break_writers(EU);
        regions.us.write_all(150).await;
        regions.eu.promote(round % 2).await;
        regions.topics.set_down(US, round % 3 == 0);
        regions.us.promote((round + 1) % 2).await;
    }
    regions.topics.set_down(US, false);
    let rows = regions.settle().await;
    assert_eq!(rows.len(), 200);
    regions.check_logs();
}

#[tokio::test(start_paused = true)]
async fn a_region_that_lost_power_goes_on_where_its_disks_say() {
    let mut regions = Regions::new().await;
    regions.eu.write_all(200).await;
    regions.us.write_all(100).await;
    for at in 0..2 {
        regions.us.nodes[at].crash();
    }
    regions.eu.write_all(300).await;
    for at in 0..2 {
        regions.us.start(at).await;
    }
    regions.us.promote(1).await;
    regions.us.write_all(50).await;
    let rows = regions.settle().await;
    assert_eq!(rows.len(), 300);
    regions.check_logs();
}
