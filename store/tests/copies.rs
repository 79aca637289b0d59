//! Snapshots of a shard: made under writes, installed whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::{EntityId, Position, ProjectId, ShardId};
use store::{
    Condition, LogRead, Store, Writer,
    disk::{Fault, FaultDisk},
};

#[test]
fn a_snapshot_under_writes_and_compaction_becomes_an_equal_replica() {
    let disk = FaultDisk::new(1);
    let (source, mut source_writer) = hinted(&disk);
    write(&mut source_writer, S, &[tombstone(3, 50)]);
    source.hold(store::HolderId(1), S, Position(1));
    let requests = vec![store::RecentRequest {
        position: Position(61),
        hlc: stamp(Position(61)),
        request: proto::request::RequestId::make(1, 2),
        part: proto::request::RequestPart(0),
    }];
    let mut reader = source.snapshot(S, requests.clone()).unwrap();
    let mut chunks = vec![
        reader.next_chunk(4_000).unwrap().unwrap(),
        reader.next_chunk(4_000).unwrap().unwrap(),
    ];
    for n in 0..60 {
        write(
            &mut source_writer,
            S,
            &[Put {
                padding: 2_500,
                ..put(n % 20, 1_000 + n as i64)
            }],
        );
        source_writer.log_commits().unwrap();
        source_writer.sync().unwrap();
        while source.hint_step().unwrap() {}
        source.compact_step(1 << 20).unwrap();
    }
    while let Some(chunk) = reader.next_chunk(4_000).unwrap() {
        chunks.push(chunk);
    }

    let other = FaultDisk::new(2);
    let (joiner, mut writer, _) = open(&other);
    write(&mut writer, S, &[put(777, 1)]);
    let installed = install(&mut writer, &chunks);
    assert_eq!(installed.state.commit.position, Position(61));
    assert_eq!(installed.scan_end, Position(121));
    assert_eq!(
        read(&joiner, S, 777),
        MISSING,
        "what was there before is void"
    );
    writer.sync().unwrap();
    let next = follow(&source, &mut writer, Position(62));
    flush(&mut writer);
    assert_eq!(next, Position(122));
    let keys: Vec<u64> = (0..60).collect();
    assert_eq!(
        read_all(&joiner, S, VIEW, &keys),
        read_all(&source, S, VIEW, &keys)
    );
    writer.sync().unwrap();
    drop((joiner, writer));
    other.crash();
    let (joiner, _, recovered) = open(&other);
    assert_eq!(
        read_all(&joiner, S, VIEW, &keys),
        read_all(&source, S, VIEW, &keys)
    );
    assert_eq!(joiner.rows(S), source.rows(S));
    assert!(
        recovered.shards[&S].state.requests.is_empty()
            || recovered.shards[&S].state.requests == requests
    );
}

#[test]
fn an_install_cut_short_leaves_an_empty_shard_that_asks_for_a_copy() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let chunks = chunks(&source, 20_000);
    for at in 0..60 {
        let other = FaultDisk::new(at);
        let (store, mut writer, _) = open(&other);
        write(&mut writer, S, &[put(777, 1)]);
        write(&mut writer, ShardId(4), &[put(1, 1)]);
        flush(&mut writer);
        other.fail_change(other.changes() + at, Fault::PowerLoss);
        let finished = writer.begin_install(S).ok().and_then(|mut install| {
            writer.sync().ok()?;
            chunks
                .iter()
                .try_for_each(|chunk| writer.install(&mut install, chunk))
                .ok()?;
            writer.finish_install(install).ok()?;
            writer.sync().ok()
        });
        drop((store, writer));
        other.crash();
        let (store, _, recovered) = open(&other);
        assert_eq!(read(&store, ShardId(4), 1), found(1));
        match recovered.shards[&S].state.condition {
            Condition::Whole if store.applied(S) == Position(60) => {
                assert_eq!(
                    (read(&store, S, 7), read(&store, S, 777), store.rows(S)),
                    (found(7), MISSING, 60)
                );
            }
            Condition::Whole => {
                assert!(finished.is_none());
                assert_eq!(
                    (read(&store, S, 777), store.rows(S)),
                    (found(1), 1),
                    "at {at}: as before"
                );
            }
            Condition::Installing => assert_eq!((read(&store, S, 7), store.rows(S)), (DAMAGED, 0)),
            Condition::Quarantined => panic!("a crash is not rot"),
        }
    }
}

#[test]
fn chunks_that_do_not_belong_together_are_refused() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let chunks = chunks(&source, 20_000);
    assert!(chunks.len() > 5);
    let other = FaultDisk::new(2);
    let (_, mut writer, _) = open(&other);
    let mut without_one = chunks.clone();
    without_one.remove(2);
    let mut doubled = chunks.clone();
    doubled.insert(2, chunks[2].clone());
    let mut swapped = chunks.clone();
    swapped.swap(2, 3);
    for wrong in [
        without_one,
        doubled,
        swapped,
        chunks[1..].to_vec(),
        chunks[..3].to_vec(),
    ] {
        let mut install = writer.begin_install(S).unwrap();
        let taken = wrong
            .iter()
            .try_for_each(|chunk| writer.install(&mut install, chunk));
        assert!(taken.is_err() || writer.finish_install(install).is_err());
    }
    assert_eq!(
        install(&mut writer, &chunks).state.commit.position,
        Position(60)
    );
}

#[test]
fn a_dropped_shard_is_empty_after_a_restart_too() {
    let disk = FaultDisk::new(1);
    let (store, mut writer) = hinted(&disk);
    writer.drop_shard(S).unwrap();
    assert_eq!((read(&store, S, 5), store.rows(S)), (MISSING, 0));
    write(&mut writer, S, &[put(9, 1)]);
    flush(&mut writer);
    drop((store, writer));
    disk.crash();
    let (store, mut writer, recovered) = open(&disk);
    assert_eq!(read_all(&store, S, VIEW, &[5, 9]), [MISSING, found(1)]);
    assert_eq!(
        (recovered.shards[&S].state.commit.position, store.rows(S)),
        (Position(1), 1)
    );
    writer.drop_shard(S).unwrap();
}

/// Appends and commits what the source's log has from `next` on, as a backup that catches up.
fn follow(source: &Store, writer: &mut Writer, mut next: Position) -> Position {
    while let LogRead::Entries(entries) = source.read_log(S, next, 20_000).unwrap() {
        for bytes in entries {
            let view = proto::entry::EntryView::parse(&bytes).unwrap();
            next = view.header().position.next();
            let hash = |record: proto::record::RecordView<'_>| {
                let key = proto::key::Key::from_canonical(record.key());
                key.hash(ProjectId(1), EntityId(1)).with_view(record.view())
            };
            let hashes: Vec<u64> = view.records().map(|(_, record)| hash(record)).collect();
            let entry = store::NewEntry {
                bytes: bytes.clone(),
                hashes: &hashes,
            };
            writer.append(&[entry]).unwrap();
        }
        writer.sync().unwrap();
        writer.commit(S, Position(next.0 - 1)).unwrap();
    }
    next
}
