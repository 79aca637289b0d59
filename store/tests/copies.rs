//! Snapshots of a shard: made under writes, installed whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::{EntityId, Position, ProjectId, ShardId};
use store::{
    Condition, InstallError, LogRead, Store, Writer,
    disk::{Fault, FaultDisk},
};

#[test]
fn a_snapshot_under_writes_and_compaction_becomes_an_equal_replica() {
    let disk = FaultDisk::new(1);
    let (source, mut source_writer) = hinted(&disk);
    write(&mut source_writer, S, &[tombstone(3, 50)]);
    source.hold(store::HolderId(1), S, Position(1));
    let mut reader = source.snapshot(S).unwrap();
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
    assert_eq!(recovered.shards[&S].carried.as_deref(), Some(CARRIED));
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
                .try_for_each(|chunk| install.take(chunk))
                .ok()?;
            install.seal(CARRIED).ok()?;
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
        writer.sync().unwrap();
        let taken = wrong
            .iter()
            .try_for_each(|chunk| install.take(chunk))
            .and_then(|()| install.seal(CARRIED));
        assert!(taken.is_err() || writer.finish_install(install).is_err());
    }
    assert_eq!(
        install(&mut writer, &chunks).state.commit.position,
        Position(60)
    );
}

#[test]
fn compaction_leaves_an_install_that_is_under_way_alone() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let other = FaultDisk::new(2);
    let (joiner, mut writer) = hinted(&other);
    let mut install = writer.begin_install(S).unwrap();
    writer.sync().unwrap();
    for chunk in chunks(&source, 20_000) {
        install.take(&chunk).unwrap();
        write(&mut writer, ShardId(4), &[put(1, 1)]);
        flush(&mut writer);
        while !joiner.compact_step(1 << 20).unwrap().is_idle {}
    }
    install.seal(CARRIED).unwrap();
    while !joiner.compact_step(1 << 20).unwrap().is_idle {}
    assert_eq!(read(&joiner, S, 7), DAMAGED, "nothing shows before its end");
    writer.finish_install(install).unwrap();
    writer.sync().unwrap();
    let keys: Vec<u64> = (0..60).collect();
    let expected = read_all(&source, S, VIEW, &keys);
    assert_eq!(read_all(&joiner, S, VIEW, &keys), expected);
    drop((joiner, writer));
    other.crash();
    let (joiner, _, _) = open(&other);
    assert_eq!(read_all(&joiner, S, VIEW, &keys), expected);
}

#[test]
fn rows_of_a_snapshot_wait_until_the_emptied_shard_is_durable() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let (_, mut writer, _) = open(&FaultDisk::new(2));
    let mut install = writer.begin_install(S).unwrap();
    let taken = chunks(&source, 20_000)
        .iter()
        .try_for_each(|chunk| install.take(chunk));
    assert!(matches!(taken, Err(InstallError::NotDurable)), "{taken:?}");
}

#[test]
fn an_install_that_a_newer_one_overtook_adds_nothing() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let chunks = chunks(&source, 20_000);
    let (joiner, mut writer, _) = open(&FaultDisk::new(2));
    let mut first = writer.begin_install(S).unwrap();
    writer.sync().unwrap();
    first.take(&chunks[0]).unwrap();
    let mut second = writer.begin_install(S).unwrap();
    writer.sync().unwrap();
    let taken = chunks[1..].iter().try_for_each(|chunk| first.take(chunk));
    assert!(matches!(taken, Err(InstallError::Superseded)), "{taken:?}");
    assert_eq!(joiner.rows(S), 0);
    chunks.iter().for_each(|chunk| second.take(chunk).unwrap());
    second.seal(CARRIED).unwrap();
    writer.finish_install(second).unwrap();
    assert_eq!(joiner.rows(S), 60);
}

#[test]
fn a_shard_that_lost_what_its_snapshot_carried_asks_for_a_copy() {
    let disk = FaultDisk::new(1);
    let (source, _source_writer) = hinted(&disk);
    let other = FaultDisk::new(2);
    let (_, mut writer, _) = open(&other);
    install(&mut writer, &chunks(&source, 20_000));
    writer.sync().unwrap();
    drop(writer);
    other.kill();
    let files = other.files();
    let (path, _) = files
        .iter()
        .find(|(name, _)| name.ends_with(".carried"))
        .unwrap();
    other.flip_bit(path, 12, 0);
    let (_, mut writer, recovered) = open(&other);
    assert!(recovered.shards[&S].needs_copy());
    assert_eq!(recovered.shards[&S].carried, None);
    install(&mut writer, &chunks(&source, 20_000));
    writer.sync().unwrap();
    drop(writer);
    other.kill();
    let (_, _, recovered) = open(&other);
    assert_eq!(recovered.shards[&S].carried.as_deref(), Some(CARRIED));
    let carried = other
        .files()
        .iter()
        .filter(|(name, _)| name.ends_with(".carried"))
        .count();
    assert_eq!(carried, 1, "the earlier one went");
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
