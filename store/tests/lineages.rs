//! What a stream's last *start* entry said is kept with the shard, wherever that entry went.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    id::{Incarnation, PlacementId, RegionId, Sequence},
};
use std::sync::Arc;
use store::{NewEntry, Store, Writer, disk::FaultDisk};

/// Appends and commits a *start* of `incarnation` with `extras`.
fn start(writer: &mut Writer, incarnation: u32, extras: &[u8]) {
    let position = writer.last(S).position.next();
    let header = EntryHeader {
        kind: EntryKind::Start,
        incarnation: Incarnation(incarnation),
        sequence: Sequence(1),
        ..header(S, 1, position)
    };
    let bytes = EntryBuilder::with_extras(header, extras).finish();
    writer.append(&[NewEntry { bytes, hashes: &[] }]).unwrap();
    writer.sync().unwrap();
    writer.commit(S, position).unwrap();
}

fn start_of(store: &Store) -> Option<Vec<u8>> {
    store
        .start(S, (RegionId(1), PlacementId(1)))
        .map(|extras| extras.to_vec())
}

fn reopened(disk: &FaultDisk, open_before: (Arc<Store>, Writer)) -> (Arc<Store>, Writer) {
    drop(open_before);
    disk.crash();
    let (store, writer, _) = open(disk);
    (store, writer)
}

#[test]
fn the_last_start_survives_restarts_before_and_after_its_segment_is_settled_and_gone() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    start(&mut writer, 1, b"first");
    assert_eq!(start_of(&store), Some(b"first".to_vec()));
    start(&mut writer, 2, b"second");
    flush(&mut writer);
    let (store, mut writer) = reopened(&disk, (store, writer));
    assert_eq!(start_of(&store), Some(b"second".to_vec()), "read again");

    start(&mut writer, 3, b"third");
    let fat = |n: u64| Put {
        padding: 30_000,
        ..put(n % 3, n as i64)
    };
    for n in 0..4 {
        write(&mut writer, S, &[fat(n)]);
    }
    flush(&mut writer);
    while store.hint_step().unwrap() {}
    let (store, mut writer) = reopened(&disk, (store, writer));
    assert_eq!(start_of(&store), Some(b"third".to_vec()), "settled");

    for n in 0..40 {
        write(&mut writer, S, &[fat(n)]);
        flush(&mut writer);
        while store.hint_step().unwrap() {}
        store.compact_step(1 << 20).unwrap();
    }
    assert!(matches!(
        store.read_log(S, proto::id::Position(3), 1).unwrap(),
        store::LogRead::Gone
    ));
    let (store, _) = reopened(&disk, (store, writer));
    assert_eq!(start_of(&store), Some(b"third".to_vec()), "gone");
}

#[test]
fn a_snapshot_carries_starts() {
    let (source, mut source_writer, _) = open(&FaultDisk::new(1));
    start(&mut source_writer, 2, b"lineage");
    let disk = FaultDisk::new(2);
    let (store, mut writer, _) = open(&disk);
    install(&mut writer, &chunks(&source, 1_000));
    writer.sync().unwrap();
    assert_eq!(start_of(&store), Some(b"lineage".to_vec()));
    let (store, _) = reopened(&disk, (store, writer));
    assert_eq!(start_of(&store), Some(b"lineage".to_vec()));
}
