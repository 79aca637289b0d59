//! What a group keeps and says, damaged: records of its log, its snapshots, its messages. All of it is read or
//! refused with words, and nothing panics.
//!
//! Checksums keep most damage from the decoders; here each damaged part has the right one, as if it had been
//! written so.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;

use mutations::Numbers;
use openraft::{
    CommittedLeaderId, EntryPayload, Membership, StoredMembership, Vote,
    raft::{AppendEntriesRequest, InstallSnapshotRequest, VoteRequest},
};
use proto::id::{BootId, NodeId, RegionId, StoreId};
use raft::{
    group::{
        Blocking, GroupId, Peer, RaftRequest, RaftResponse,
        log::{LogRecord, LogState, RaftLog, SnapshotFloor},
        network::Declined,
        snapshot::{self, SnapshotFiles},
        types::{Entry, LogId, Payload, SnapshotMeta},
    },
    machine::{Command as _, StateMachine as _},
    placement::{
        Placement, PlacementCommand,
        state::{Addresses, Member, Policy},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use store::{
    disk::{Disk, FaultDisk},
    segment::{LogSettings, LogWriter},
};

const RUNS: u64 = 4_000;
/// What JSON and the records give a meaning to.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "null",
    "0",
    "-1",
    "1.5",
    "18446744073709551615",
    "18446744073709551616",
    "\"\\ud800\"",
    "\"entry\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\u{0}",
];

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn follow() -> PlacementCommand {
    PlacementCommand::Follow(Policy {
        region: RegionId(1),
        group: 1,
        shards: 8,
        copies: 2,
        min_in_sync: 1,
        named_by_boot: false,
    })
}

fn entry(term: u64, index: u64) -> Entry {
    Entry {
        log_id: log_id(term, index),
        payload: EntryPayload::Normal(Payload(follow().encode())),
    }
}

fn peers() -> BTreeMap<u64, Peer> {
    let peer = Peer {
        address: "10.0.0.1:6572".into(),
        place: "a".into(),
    };
    BTreeMap::from([(1, peer.clone()), (2, peer)])
}

fn members() -> Membership<u64, Peer> {
    Membership::new(vec![BTreeSet::from([1, 2])], peers())
}

/// A log as a group writes it, with every kind of record.
fn records() -> Vec<LogRecord> {
    let mut first = entry(1, 1);
    first.payload = EntryPayload::Membership(members());
    let mut second = entry(1, 2);
    second.payload = EntryPayload::Blank;
    vec![
        LogRecord::Vote(Vote::new_committed(1, 1)),
        LogRecord::Entry(first),
        LogRecord::Entry(second),
        LogRecord::Entry(entry(1, 3)),
        LogRecord::Entry(entry(1, 4)),
        LogRecord::Committed(log_id(1, 2)),
        LogRecord::Truncate(4),
        LogRecord::Entry(entry(2, 4)),
        LogRecord::Purge(log_id(1, 2)),
        LogRecord::State(LogState {
            vote: Some(Vote::new(2, 2)),
            committed: Some(log_id(2, 3)),
            purged: Some(log_id(1, 3)),
        }),
        LogRecord::Entry(entry(2, 5)),
    ]
}

/// JSON behind its version as people lay it out, so that damage finds its values.
fn spread(bytes: &[u8]) -> String {
    let json: serde_json::Value = serde_json::from_slice(&bytes[1..]).unwrap();
    let json = serde_json::to_string_pretty(&json).unwrap();
    format!("{}{json}", char::from(bytes[0]))
}

/// Of two kinds of damage one.
fn damaged(kept: &str, numbers: &mut Numbers) -> Vec<u8> {
    match numbers.below(4) {
        0 => mutations::bytes(kept.as_bytes(), numbers),
        _ => mutations::text(kept, &PIECES, numbers).into_bytes(),
    }
}

fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 32 << 10,
        spares: 0,
        payload_crc: true,
        ..LogSettings::new("log")
    }
}

/// Writes payloads as a group's log does, each under a right checksum.
fn written(payloads: &[Vec<u8>]) -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
    let opened = LogWriter::open(Arc::clone(&disk), settings(), &|_| true, &mut |_| {}).unwrap();
    let mut writer = opened.writer;
    for payload in payloads {
        writer.append(b"", &[payload], 1).unwrap();
    }
    writer.write_and_sync().unwrap();
    disk
}

fn opened(disk: Arc<dyn Disk>) -> Result<(), String> {
    let floor = SnapshotFloor::default();
    let log = RaftLog::open(disk, settings(), floor, Blocking::Inline);
    log.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn a_log_with_a_damaged_record_is_replayed_or_refused() {
    let sound: Vec<Vec<u8>> = records().iter().map(LogRecord::encode).collect();
    assert_eq!(opened(written(&sound)), Ok(()));
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..mutations::runs(RUNS) {
        let mut numbers = Numbers::of(seed);
        let mut payloads = sound.clone();
        let place = numbers.below(payloads.len());
        payloads[place] = damaged(&spread(&payloads[place]), &mut numbers);
        if payloads[place].is_empty() {
            // No group is empty.
            continue;
        }
        let replayed = catch_unwind(AssertUnwindSafe(|| opened(written(&payloads))));
        let told = || String::from_utf8_lossy(&payloads[place]);
        match replayed {
            Ok(Ok(())) => taken += 1,
            Ok(Err(words)) => {
                assert!(words.len() > 20, "seed {seed}: {words:?} of {}", told());
                refused += 1;
            }
            Err(_) => panic!("seed {seed} makes it panic: record {place}, {}", told()),
        }
    }
    assert!(
        taken > 0 && refused > mutations::runs(RUNS) / 4,
        "{taken} taken, {refused} refused: too little is tried"
    );
}

#[test]
fn a_record_that_can_be_read_reads_back() {
    let kept: Vec<String> = records()
        .iter()
        .map(|kept| spread(&kept.encode()))
        .collect();
    let mut read = 0;
    for seed in 0..mutations::runs(RUNS) {
        let mut numbers = Numbers::of(seed);
        let place = numbers.below(kept.len());
        let bytes = damaged(&kept[place], &mut numbers);
        if let Ok(record) = LogRecord::decode(&bytes) {
            let again = LogRecord::decode(&record.encode());
            assert_eq!(again.unwrap(), record, "seed {seed}");
            read += 1;
        }
    }
    assert!(read > 0, "all were refused: too little is tried");
}

fn region() -> Placement {
    let member = |node: u64| Member {
        node: NodeId(node),
        name: format!("n{node}"),
        boot: BootId(200 + node),
        store: Some(StoreId(100 + node)),
        zone: "a".into(),
        voter: true,
        gateway: false,
        addresses: Addresses::default(),
        draining: false,
        fewer_copies: false,
    };
    let mut region = Placement::default();
    region.apply(follow());
    for node in [1, 2] {
        region.apply(PlacementCommand::Register(member(node)));
    }
    assert_eq!(region.members.len(), 2);
    region
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        last_log_id: Some(log_id(2, 7)),
        last_membership: StoredMembership::new(Some(log_id(1, 1)), members()),
        snapshot_id: "2-7".into(),
    }
}

/// The bytes of a snapshot file.
fn file(body: &[u8]) -> Vec<u8> {
    let disk = FaultDisk::new(1);
    let files = SnapshotFiles::open(Arc::new(disk.clone()), "s".into(), GroupId::Global).unwrap();
    files.write(&meta(), body).unwrap();
    let (path, length) = disk.files().remove(0);
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    disk.open(&path).unwrap().read_at(0, &mut bytes).unwrap();
    bytes
}

/// Gives a damaged snapshot its right checksum, where it still has the place for one.
fn under_a_right_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > 14 {
        let sum = crc32c::crc32c(&bytes[14..]).to_le_bytes();
        bytes[10..14].copy_from_slice(&sum);
    }
    bytes
}

#[test]
fn a_damaged_snapshot_is_refused_or_read_whole() {
    let body = snapshot::encode_parts(&region().parts());
    let kept = file(&body);
    let (head, read) = snapshot::decode(&kept).unwrap();
    assert_eq!((head.meta, read), (meta(), &body[..]));
    mutations::check(RUNS * 4, &[&kept], |damaged| {
        if damaged != kept {
            assert!(snapshot::decode(damaged).is_err(), "its checksum differs");
        }
        let damaged = under_a_right_checksum(damaged.to_vec());
        let Ok((_, body)) = snapshot::decode(&damaged) else {
            return;
        };
        let Ok(parts) = snapshot::decode_parts(body) else {
            return;
        };
        if let Ok(read) = Placement::from_parts(&parts) {
            assert_eq!(Placement::from_parts(&read.parts()), Ok(read));
        }
    });
}

#[test]
fn a_state_with_a_damaged_part_is_refused_by_that_part_or_read() {
    let parts = region().parts();
    let keys: Vec<&String> = parts.keys().collect();
    let mut refused = 0;
    for seed in 0..mutations::runs(RUNS) {
        let mut numbers = Numbers::of(seed);
        let key = keys[numbers.below(keys.len())];
        let json: serde_json::Value = serde_json::from_slice(&parts[key]).unwrap();
        let value = damaged(&serde_json::to_string_pretty(&json).unwrap(), &mut numbers);
        let mut changed = parts.clone();
        if numbers.below(8) == 0 {
            let moved = mutations::text(key, &["/", "x", "-1", "é"], &mut numbers);
            changed.insert(moved, value);
        } else {
            changed.insert(key.clone(), value);
        }
        let read = catch_unwind(|| {
            let body = snapshot::encode_parts(&changed);
            assert_eq!(snapshot::decode_parts(&body), Ok(changed.clone()));
            Placement::from_parts(&changed).map(|read| {
                assert_eq!(Placement::from_parts(&read.parts()), Ok(read));
            })
        });
        let read = read.unwrap_or_else(|_| panic!("seed {seed} makes it panic: {changed:?}"));
        if let Err(error) = read {
            assert!(error.to_string().starts_with("part \""), "{error}");
            refused += 1;
        }
    }
    assert!(refused > mutations::runs(RUNS) / 4, "{refused} refused");
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let requests = [
        RaftRequest::Append(AppendEntriesRequest {
            vote: Vote::new_committed(2, 1),
            prev_log_id: Some(log_id(1, 3)),
            entries: vec![entry(2, 4), entry(2, 5)],
            leader_commit: Some(log_id(1, 3)),
        }),
        RaftRequest::Vote(VoteRequest::new(Vote::new(3, 2), Some(log_id(2, 5)))),
        RaftRequest::Snapshot(InstallSnapshotRequest {
            vote: Vote::new_committed(2, 1),
            meta: meta(),
            offset: 5,
            data: vec![0, 255, 7],
            done: true,
        }),
        RaftRequest::Propose(Payload("\u{1}{}".into())),
    ];
    let kept: Vec<Vec<u8>> = requests.into_iter().map(RaftRequest::encode).collect();
    let kept: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
    mutations::check(RUNS * 4, &kept, |damaged| {
        if let Ok(request) = RaftRequest::decode(damaged) {
            assert!(RaftRequest::decode(&request.encode()).is_ok());
        }
    });
    let leader = Some((NodeId(2), Peer::default()));
    let answers = [
        RaftResponse::Propose(Ok((7, Payload("\u{1}{}".into())))),
        RaftResponse::Propose(Err(Declined::NotLeader { leader })),
        RaftResponse::ReadIndex(Err(Declined::TimedOut)),
        RaftResponse::ReadIndex(Ok(9)),
    ];
    let kept: Vec<Vec<u8>> = answers.iter().map(RaftResponse::encode).collect();
    let kept: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
    mutations::check(RUNS * 4, &kept, |damaged| {
        if let Ok(answer) = RaftResponse::decode(damaged) {
            assert!(RaftResponse::decode(&answer.encode()).is_ok());
        }
    });
}
