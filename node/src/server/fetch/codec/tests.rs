//! Requests and answers read back as they were, and nothing else is read.

use super::*;
use crate::{
    mutations,
    server::{
        fetch::{
            layouts::Layouts,
            own::{Answer, Asked, ShardAnswer},
        },
        frames::{HEAD_BYTES, resealed, sealed},
    },
};
use bytes::Bytes;
use gateway::{
    edge::Deadline,
    lookup::{
        fetch::{Fetch, GroupRead, GroupRows, KeyBatch, Part},
        layout::Layout,
        staging::{Exception, Staging},
    },
    trace::Trace,
};
use proto::{
    hlc::Hlc,
    id::{
        EntityId, FeatureId, Incarnation, PlacementId, ProjectId, RegionId, Revision,
        SchemaVersion, Sequence, ShardId, Stream, ViewId,
    },
    key::Key,
    schema::{Column, RowSchema, SchemaMap},
    time::EventTime,
    token::Reached,
};
use replication::token::Coverage;
use std::{sync::Arc, time::Duration};

const CLUSTER: ClusterId = ClusterId(77);
const NEWEST: (Version, ClusterId) = (Version::AllAges, CLUSTER);

fn schema(view: u32) -> RowSchema {
    let columns = ["int64", "string", "float32"].map(|ty| Column::of(ty.parse().unwrap()));
    RowSchema::new(ViewId(view), SchemaVersion(3), columns.to_vec())
}

fn schemas(views: &[u32]) -> SchemaMap {
    let mut schemas = SchemaMap::default();
    views.iter().for_each(|view| schemas.insert(schema(*view)));
    schemas
}

fn layouts(views: &[u32]) -> Layouts<SchemaMap> {
    Layouts::of(Arc::new(schemas(views)))
}

fn layout(view: u32, features: &[u16]) -> Arc<Layout> {
    let features = features.iter().copied().map(FeatureId);
    Arc::new(Layout::new(Arc::new(schema(view)), features))
}

fn group(entity: u32, places: &[u16], views: Vec<Arc<Layout>>) -> GroupRead {
    let mut group = GroupRead {
        entity: EntityId(entity),
        keys: KeyBatch::default(),
        hashes: Vec::new(),
        places: places.to_vec(),
        views,
    };
    for number in 0..places.len() as i64 {
        let mut key = Key::new();
        key.push_number(number).unwrap();
        key.push_string("customer").unwrap();
        group.hashes.push(key.hash(ProjectId(5), EntityId(entity)));
        group.keys.push(&key);
    }
    group
}

/// Shards 40, 50 and 60; two views of one entity, one of another.
fn fetch() -> Arc<Fetch> {
    Arc::new(Fetch {
        project: ProjectId(5),
        revision: Revision(8),
        shards: vec![ShardId(40), ShardId(50), ShardId(60)],
        groups: vec![
            group(1, &[0, 1, 2, 0], vec![layout(1, &[0, 2]), layout(2, &[1])]),
            group(2, &[2], vec![layout(3, &[0])]),
        ],
        token: Bytes::new(),
        max_staleness: None,
        deadline: Deadline(u64::MAX),
        trace: Some(Trace::from_bytes(*b"0123456789abcdefghijklmno")),
    })
}

fn token(shards: &[u16]) -> Token {
    let mut token = Token::default();
    for shard in shards {
        let stream = Stream {
            origin: RegionId(1),
            shard: ShardId(*shard),
            placement: PlacementId(0),
        };
        let reached = Reached {
            incarnation: Incarnation(1),
            sequence: Sequence(u64::from(*shard) * 3),
        };
        token.see(stream, reached, Hlc(99));
    }
    token
}

/// Asks for the first and the last shard.
fn asked() -> Asked {
    let wait = Duration::from_micros(750);
    Asked::new(&fetch(), vec![0, 2], &token(&[40, 50]), wait)
}

fn rows(layout: &Arc<Layout>, keys: usize) -> Staging {
    let mut rows = Staging::with_capacity(Arc::clone(layout), keys);
    for at in 0..keys {
        if layout.is_all_runs() && at > 0 {
            let bytes = vec![at as u8; layout.row_bytes()];
            rows.push_runs(&bytes, EventTime::saturating(at as u64 + 5));
        } else {
            rows.push_absent();
        }
    }
    rows
}

fn answer(asked: &Asked, is_read: [bool; 2]) -> Answer {
    let held = |place: &u16| is_read[asked.places.binary_search(place).unwrap()];
    let groups = asked.fetch.groups.iter().zip(asked.wanted.groups());
    let groups = groups.map(|(group, keys)| {
        let keys = keys.iter().copied();
        let keys: Vec<u32> = keys
            .filter(|key| held(&group.places[*key as usize]))
            .collect();
        let views = group.views.iter().map(|layout| rows(layout, keys.len()));
        GroupRows {
            views: views.collect(),
            keys,
        }
    });
    let shard = |is_read, coverage, age| ShardAnswer {
        is_read,
        coverage,
        age,
        origins: vec![
            (RegionId(2), age),
            (RegionId(3), Some(Duration::from_secs(7))),
        ],
    };
    Answer {
        part: Part {
            groups: groups.collect(),
        },
        shards: vec![
            shard(is_read[0], Coverage::NotYet, Some(Duration::from_micros(9))),
            shard(is_read[1], Coverage::Lost, None),
        ],
        seen: token(&[40, 60]),
    }
}

#[test]
fn a_request_is_read_as_what_it_asks_for() {
    let asked = asked();
    let bytes = encode_request(&asked, NEWEST);
    let taken = decode_request(&bytes, CLUSTER, &layouts(&[1, 2, 3])).unwrap();
    let fetch = &taken.asked.fetch;
    assert_eq!((fetch.project, fetch.revision), (ProjectId(5), Revision(8)));
    assert_eq!(fetch.trace, self::fetch().trace);
    assert_eq!(fetch.shards, [ShardId(40), ShardId(60)]);
    assert_eq!(
        taken.asked.token,
        token(&[40]),
        "of other shards nothing is said"
    );
    assert_eq!(taken.asked.wait, asked.wait);
    assert_eq!(taken.is_known, [vec![true, true], vec![true]]);
    let sent = &asked.fetch.groups[0];
    let came = &fetch.groups[0];
    assert_eq!((came.entity, &came.views), (sent.entity, &sent.views));
    assert_eq!(came.places, [0, 1, 0]);
    for (at, key) in [0, 2, 3].into_iter().enumerate() {
        assert_eq!(came.keys.get(at), sent.keys.get(key));
        assert_eq!(came.hashes[at], sent.hashes[key]);
    }
    assert_eq!(fetch.groups[1].places, [1]);
}

#[test]
fn an_answer_is_read_as_rows_of_the_callers_keys() {
    let asked = asked();
    let known = [vec![true, true], vec![true]];
    for is_read in [[true, true], [true, false], [false, true], [false, false]] {
        let answer = answer(&asked, is_read);
        let bytes = encode_answer(&answer, &known, NEWEST);
        let read = decode_answer(&bytes, &asked, CLUSTER).unwrap();
        assert_eq!(read, Decoded::Rows(answer));
        let Decoded::Rows(read) = read else {
            unreachable!()
        };
        assert!(read.part.fits(&asked.fetch));
    }
}

/// Of a gateway of an earlier release, or of a cluster of one region.
#[test]
fn a_caller_is_answered_in_the_version_that_it_reads() {
    let asked = asked();
    let request = encode_request(&asked, (Version::OwnAges, CLUSTER));
    assert_eq!(request[..2], [2, 0], "as it always was");
    let taken = decode_request(&request, CLUSTER, &layouts(&[1, 2, 3])).unwrap();
    assert_eq!(taken.version, Version::OwnAges);
    let newer = encode_request(&asked, NEWEST);
    assert_eq!(newer[HEAD_BYTES..], request[HEAD_BYTES..]);
    let newer = decode_request(&newer, CLUSTER, &layouts(&[1, 2, 3])).unwrap();
    assert_eq!(newer.version, Version::AllAges);

    let mut answer = answer(&asked, [true, true]);
    let read = |version| {
        let bytes = encode_answer(&answer, &taken.is_known, (version, CLUSTER));
        assert_eq!(bytes[..2], (version as u16).to_le_bytes());
        decode_answer(&bytes, &asked, CLUSTER).unwrap()
    };
    let (older, newer) = (read(Version::OwnAges), read(Version::AllAges));
    assert_eq!(newer, Decoded::Rows(answer.clone()));
    let shards = answer.shards.iter_mut();
    shards.for_each(|shard| shard.origins.clear());
    assert_eq!(older, Decoded::Rows(answer), "nothing is said of others");
}

#[test]
fn values_of_a_schema_that_the_callee_does_not_know_are_unavailable() {
    let asked = asked();
    let bytes = encode_request(&asked, NEWEST);
    let taken = decode_request(&bytes, CLUSTER, &layouts(&[2, 3])).unwrap();
    assert_eq!(taken.is_known, [vec![false, true], vec![true]]);
    let answer = answer(&taken.asked, [true, true]);
    let bytes = encode_answer(&answer, &taken.is_known, NEWEST);
    let Decoded::Rows(read) = decode_answer(&bytes, &asked, CLUSTER).unwrap() else {
        panic!("rows were expected");
    };
    assert!(read.part.fits(&asked.fetch));
    let unavailable = (0..3).map(|row| (row, Exception::Unavailable));
    let unavailable: Vec<_> = unavailable.collect();
    assert_eq!(read.part.groups[0].views[0].exceptions(), unavailable);
    assert_eq!(read.part.groups[0].views[1], answer.part.groups[0].views[0]);
    assert_eq!(read.part.unreadable(&asked.fetch), [0, 2]);
}

#[test]
fn rows_too_large_for_a_message_are_said_to_be() {
    let asked = asked();
    let mut large = answer(&asked, [true, true]);
    let layout = Arc::clone(large.part.groups[1].views[0].layout());
    let row = vec![1; layout.row_bytes()];
    let mut rows = Staging::with_capacity(layout, 0);
    for _ in 0..proto::limits::MESSAGE_BYTES / 16 + 1 {
        rows.push_runs(&row, EventTime::default());
    }
    large.part.groups[1].views[0] = rows;
    let bytes = encode_answer(&large, &[vec![true, true], vec![true]], NEWEST);
    assert!(bytes.len() < 64);
    assert_eq!(
        decode_answer(&bytes, &asked, CLUSTER),
        Ok(Decoded::TooLarge)
    );
}

#[test]
fn no_byte_can_be_changed_or_cut_off() {
    let asked = asked();
    let request = encode_request(&asked, NEWEST);
    let known = [vec![true, true], vec![true]];
    let answer = encode_answer(&answer(&asked, [true, true]), &known, NEWEST);
    let layouts = layouts(&[1, 2, 3]);
    check_whole(&request, |bytes| {
        decode_request(bytes, CLUSTER, &layouts).is_ok()
    });
    check_whole(&answer, |bytes| {
        decode_answer(bytes, &asked, CLUSTER).is_ok()
    });
}

/// Only the whole bytes are read, and only as they are.
fn check_whole(bytes: &Bytes, reads: impl Fn(&[u8]) -> bool) {
    assert!(reads(bytes));
    for at in 0..bytes.len() {
        assert!(!reads(&bytes[..at]), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            assert!(!reads(&damaged), "bit {bit} of byte {at}");
        }
    }
}

/// Behind the checksum, too: a sender that is wrong must not bring the reader down.
#[test]
fn bytes_that_are_wrong_under_a_right_checksum_never_panic() {
    let asked = asked();
    let request = encode_request(&asked, NEWEST);
    let known = [vec![true, true], vec![true]];
    let answer = encode_answer(&answer(&asked, [true, true]), &known, NEWEST);
    let layouts = layouts(&[1, 2, 3]);
    for bytes in [&request, &answer] {
        for at in HEAD_BYTES..bytes.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] = byte;
                let damaged = sealed(damaged);
                let _ = decode_request(&damaged, CLUSTER, &layouts);
                if let Ok(Decoded::Rows(read)) = decode_answer(&damaged, &asked, CLUSTER) {
                    assert!(read.part.fits(&asked.fetch), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn damaged_requests_and_answers_with_a_fitting_checksum_are_read_or_refused() {
    let asked = asked();
    let request = encode_request(&asked, NEWEST);
    let known = layouts(&[1, 2, 3]);
    let known = std::panic::AssertUnwindSafe(&known);
    mutations::check(20_000, &[&request[HEAD_BYTES..]], |damaged| {
        let known = *known;
        drop(decode_request(&resealed(&request, damaged), CLUSTER, known));
    });
    let layouts_known = [vec![true, true], vec![true]];
    let whole = encode_answer(&answer(&asked, [true, true]), &layouts_known, NEWEST);
    let asked = std::panic::AssertUnwindSafe(&asked);
    mutations::check(20_000, &[&whole[HEAD_BYTES..]], |damaged| {
        let asked = *asked;
        if let Ok(Decoded::Rows(read)) = decode_answer(&resealed(&whole, damaged), asked, CLUSTER) {
            assert!(read.part.fits(&asked.fetch), "rows for other keys");
        }
    });
}
