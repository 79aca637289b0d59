//! What is told of regions from what nodes say, and what is unknown.

use super::*;
use crate::server::{
    admin::examples::region,
    shards::{LinkReport, OutboxReport, Standing},
    streams::ShardStreams,
};
use proto::{
    id::{ClusterId, Incarnation, Sequence},
    shard::{ShardHash, Sharding},
    token::Reached,
};
use raft::registry::{RegistryCommand, Request, region as regions};
use replication::{
    Micros, RoleName,
    link::{LinkState, Obstacle},
};

const EU: RegionId = RegionId(1);
const US: RegionId = RegionId(2);
const AP: RegionId = RegionId(3);
const EVERYWHERE: PlacementId = PlacementId(0);
const NOW: u64 = 60_000_000;

/// Three regions, of which the third is lost.
fn registry() -> Registry {
    let region = |name: &str| regions::RegionSettings {
        name: name.parse().unwrap(),
        copies: 2,
        min_in_sync: 1,
        durability: regions::Durability::Fsync,
        kafka: None,
        objects: None,
    };
    let founding = regions::Founding {
        cluster: ClusterId(1),
        name: "test".into(),
        sharding: Sharding {
            shards: 2,
            seed: 1,
            algorithm: ShardHash::Xxh3Multiply,
        },
        transport: regions::Transport::Direct,
        max_offset_millis: 500,
        max_future_millis: 300_000,
    };
    let mut registry = Registry::default();
    for request in [
        Request::Found {
            founding,
            regions: ["eu", "us", "ap"].map(region).into(),
            security: None,
        },
        Request::SetRegionState {
            region: AP,
            from: regions::RegionState::Joining,
            to: regions::RegionState::Lost,
        },
    ] {
        registry.apply(RegistryCommand {
            author: "test".into(),
            at_millis: 1,
            request,
        });
    }
    registry
}

fn reached(incarnation: u32, sequence: u64) -> Reached {
    Reached {
        incarnation: Incarnation(incarnation),
        sequence: Sequence(sequence),
    }
}

/// So many microseconds old towards its own region and towards region 2.
fn standing(own: u64, us: Option<u64>) -> Standing {
    Standing {
        role: RoleName::Primary,
        is_readable: true,
        complete_at: Some(Micros(NOW - own)),
        origins: vec![(US, us.map(|age| Micros(NOW - age)))],
    }
}

fn streams(shard: u16, state: LinkState, waiting: u64) -> ShardStreams {
    ShardStreams {
        shard: ShardId(shard),
        links: vec![LinkReport {
            origin: US,
            placement: EVERYWHERE,
            state,
            complete_at: None,
            reached: reached(1, 9),
        }],
        outboxes: vec![OutboxReport {
            placement: EVERYWHERE,
            end: reached(1, 20 + waiting),
            delivered: reached(1, 20),
            backlog_bytes: 10 * waiting as usize,
        }],
    }
}

fn told(standings: &[(u16, Standing)], streams: Option<&[ShardStreams]>) -> Told {
    let standings = standings.iter().cloned();
    let standings = standings.map(|(shard, standing)| (ShardId(shard), standing));
    let others = others(&registry(), EU).collect::<Vec<_>>();
    Told::of((EU, others.into_iter()), &standings.collect(), streams, NOW)
}

/// Of two shards, the first of which has its primary on node 1, the second on node 2.
fn lag(told: &[(u64, Told)]) -> v1::LagResponse {
    let placement = region(2, &[&[1, 2], &[2, 1]]);
    let told = told.iter().cloned();
    let told = told.map(|(node, told)| (NodeId(node), told)).collect();
    let seen = Seen {
        registry: &registry(),
        own: EU,
        placement: &placement,
        alive: &[NodeId(1), NodeId(2)].into(),
        told: &told,
        waited: Duration::from_micros(5),
    };
    seen.lag()
}

fn both(one: u64, other: u64) -> [(u16, Standing); 2] {
    [
        (0, standing(one, Some(one * 2))),
        (1, standing(other, Some(other * 2))),
    ]
}

fn micros(lag: &v1::LagResponse) -> [Option<u64>; 2] {
    assert_eq!(lag.origins[0].origin, "eu");
    assert_eq!(lag.origins[1].origin, "us");
    assert_eq!(lag.origins.len(), 2);
    [lag.origins[0].micros, lag.origins[1].micros]
}

#[test]
fn an_origin_is_as_old_as_the_oldest_shard_of_any_node() {
    let answer = lag(&[
        (1, told(&both(10, 400), None)),
        (2, told(&both(30, 20), None)),
    ]);
    // With a microsecond for the rates of clocks, and what passed since.
    assert_eq!(micros(&answer), [Some(400 + 1 + 5), Some(800 + 1 + 5)]);
    assert_eq!(answer.left_out, ["ap"]);
    let ages = |node: usize| {
        let ages = answer.nodes[node].ages.iter();
        let ages = ages.map(|age| (age.origin.as_str(), age.micros));
        ages.collect::<Vec<_>>()
    };
    assert_eq!(ages(1), [("eu", Some(30 + 6)), ("us", Some(60 + 6))]);
}

#[test]
fn one_shard_or_node_of_unknown_age_makes_it_unknown() {
    let known = told(&both(1, 1), None);
    let unknown = |standings: &[(u16, Standing)]| {
        micros(&lag(&[(1, known.clone()), (2, told(standings, None))]))
    };
    let old = [(0, standing(1, None)), (1, standing(1, Some(1)))];
    assert_eq!(unknown(&old), [Some(7), None]);
    let mut unnamed = standing(1, None);
    unnamed.origins.clear();
    assert_eq!(unknown(&[(0, unnamed)]), [Some(7), None]);
    assert_eq!(
        micros(&lag(&[(1, known.clone())])),
        [None; 2],
        "node 2 is silent"
    );
    // A shard that can be read nowhere.
    let first = told(&both(1, 1)[..1], None);
    let both = lag(&[(1, first.clone()), (2, first)]);
    assert_eq!(micros(&both), [None; 2]);
    // What cannot be read is nobody's answer.
    let mut unreadable = standing(1, None);
    unreadable.is_readable = false;
    assert_eq!(unknown(&[(0, unreadable)]), [Some(7), Some(8)]);
}

#[test]
fn links_are_counted_by_what_each_shards_primary_says() {
    let held = LinkState::Held(Obstacle::OtherCluster);
    let first = [streams(0, held, 3), streams(1, LinkState::Live, 900)];
    let second = [streams(1, LinkState::Replay, 4)];
    let answer = lag(&[
        (1, told(&both(1, 1), Some(&first))),
        (2, told(&both(1, 1), Some(&second))),
    ]);
    let counts = |answer: &v1::LagResponse| {
        let links = answer.origins[1].links.iter();
        let links = links.map(|count| (count.state.clone(), count.shards));
        links.collect::<Vec<_>>()
    };
    let named = |state: &str, shards| (state.to_owned(), shards);
    assert_eq!(counts(&answer), [named("held", 1), named("replay", 1)]);
    assert!(answer.origins[0].links.is_empty());
    assert_eq!(
        answer.origins[1].held,
        [v1::HeldLinks {
            obstacle: Obstacle::OtherCluster.to_string(),
            shards: 1,
        }]
    );
    let silent = lag(&[(1, told(&both(1, 1), Some(&first)))]);
    assert_eq!(counts(&silent), [named("held", 1), named("unknown", 1)]);
}

#[test]
fn what_is_still_to_be_sent_is_known_when_every_shard_says_it() {
    let of = |waiting: u64, shard| [streams(shard, LinkState::Live, waiting)];
    let answer = lag(&[
        (1, told(&both(1, 1), Some(&of(3, 0)))),
        (2, told(&both(1, 1), Some(&of(4, 1)))),
    ]);
    let outbox = |entries, bytes| v1::OutboxLag {
        regions: vec!["eu".into(), "us".into(), "ap".into()],
        shards: 2,
        entries,
        bytes,
    };
    assert_eq!(answer.outboxes, [outbox(Some(7), Some(70))]);
    let mut begun_anew = of(4, 1);
    begun_anew[0].outboxes[0].end.incarnation = Incarnation(2);
    let answer = lag(&[
        (1, told(&both(1, 1), Some(&of(3, 0)))),
        (2, told(&both(1, 1), Some(&begun_anew))),
    ]);
    assert_eq!(answer.outboxes, [outbox(None, Some(70))]);
    let silent = lag(&[(1, told(&both(1, 1), Some(&of(3, 0))))]);
    let alone = v1::OutboxLag {
        shards: 1,
        ..outbox(None, None)
    };
    assert_eq!(silent.outboxes, [alone]);
    let stuck = lag(&[
        (1, told(&both(1, 1), Some(&of(3, 0)))),
        (2, told(&both(1, 1), None)),
    ]);
    assert_eq!(stuck.outboxes[0].entries, None);
}

#[test]
fn the_first_incarnation_follows_nothing() {
    let mut never_sent = streams(0, LinkState::Live, 2);
    never_sent.outboxes[0].delivered = Reached::default();
    let told = told(&[], Some(&[never_sent]));
    let backlog = told.outboxes[&(ShardId(0), EVERYWHERE)];
    assert_eq!(backlog.entries, Some(22));
}

#[test]
fn the_worst_of_a_shards_placements_counts() {
    let mut two = streams(0, LinkState::Gap, 1);
    let mut other = two.links[0].clone();
    other.placement = PlacementId(4);
    other.state = LinkState::Live;
    two.links.push(other);
    let told = told(&[], Some(&[two]));
    assert_eq!(told.links[&(ShardId(0), US)], Link::Gap);
}

#[test]
fn what_a_node_says_reads_back_and_no_part_of_it_does() {
    let held = LinkState::Held(Obstacle::NewerRecord);
    let said = [
        streams(0, held, 3),
        streams(1, LinkState::Snapshot, 0),
        streams(2, LinkState::Live, 7),
    ];
    let mut told = told(
        &[(0, standing(5, None)), (7, standing(9, Some(2)))],
        Some(&said),
    );
    told.outboxes.insert(
        (ShardId(9), PlacementId(2)),
        Backlog {
            entries: None,
            bytes: 1,
        },
    );
    let bytes = encode(&told);
    assert_eq!(decode(&bytes), Ok(told));
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
    assert!(decode(&[2, 0, 0]).is_err());
}
