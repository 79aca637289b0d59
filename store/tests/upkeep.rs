//! Compaction, sweep, holders, limits: what they free and what they must not touch.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::{
    entry::EntryView,
    hlc::Hlc,
    id::Position,
    reason::{Reason, Refusal},
    time::EventTime,
};
use std::{sync::Arc, time::Duration};
use store::{Full, HolderId, Known, LogRead, Settings, Store, Writer, disk::FaultDisk};

/// Lets background steps run until nothing is left to do.
fn settle(store: &Store, writer: &mut Writer) {
    for _ in 0..200 {
        writer.log_commits().unwrap();
        writer.sync().unwrap();
        while store.hint_step().unwrap() {}
        let done = store.compact_step(1 << 20).unwrap();
        if done.is_idle {
            return;
        }
    }
    panic!("compaction does not come to an end");
}

fn big(n: u64, value: i64) -> Put {
    Put {
        padding: 3_000,
        ..put(n, value)
    }
}

fn fill(writer: &mut Writer, entries: u64, keys: u64) {
    for n in 0..entries {
        write(writer, S, &[big(n % keys, n as i64)]);
    }
}

fn store_bytes(disk: &FaultDisk) -> u64 {
    let segments = disk
        .files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".log") || name.ends_with(".base"));
    segments.map(|(_, bytes)| bytes).sum()
}

#[test]
fn dead_segments_are_given_back_and_every_row_stays() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    fill(&mut writer, 400, 20);
    let before = store_bytes(&disk);
    settle(&store, &mut writer);
    let after = store_bytes(&disk);
    assert!(after < before / 3, "{before} bytes before, {after} after");
    let keys: Vec<u64> = (0..20).collect();
    let expected: Vec<Seen> = (380..400).map(found).collect();
    assert_eq!(read_all(&store, S, VIEW, &keys), expected);
    let (used, live) = store.used_and_live_bytes();
    assert!(
        live > 20 * 3_000 && live < 21 * 3_200,
        "{live} of {used} bytes live"
    );
    drop((store, writer));
    disk.crash();
    let (store, _, recovered) = open(&disk);
    assert!(recovered.damage.is_empty());
    assert_eq!(read_all(&store, S, VIEW, &keys), expected);
    assert_eq!(
        store.used_and_live_bytes().1,
        live,
        "the accounts are the same after a restart"
    );
    assert_eq!(recovered.shards[&S].state.commit.position, Position(400));
}

#[test]
fn a_restart_without_hint_files_shows_the_same_rows() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    fill(&mut writer, 150, 40);
    settle(&store, &mut writer);
    fill(&mut writer, 30, 40);
    let keys: Vec<u64> = (0..40).collect();
    flush(&mut writer);
    let expected = read_all(&store, S, VIEW, &keys);
    drop((store, writer));
    disk.kill();
    let hints: Vec<String> = disk
        .files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.ends_with(".hint"))
        .collect();
    assert!(hints.len() > 1);
    for hint in &hints {
        disk.flip_bit(hint, 20, 3);
    }
    let (store, mut writer, recovered) = open(&disk);
    assert!(recovered.damage.is_empty());
    assert_eq!(read_all(&store, S, VIEW, &keys), expected);
    settle(&store, &mut writer);
    assert_eq!(read_all(&store, S, VIEW, &keys), expected);
}

#[test]
fn compaction_waits_until_the_commits_of_what_it_copies_are_durable() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    fill(&mut writer, 100, 10);
    while store.hint_step().unwrap() {}
    let mut waited = false;
    for _ in 0..20 {
        let done = store.compact_step(1 << 20).unwrap();
        waited |= done.waits_for_sync;
        assert_eq!(
            done.freed_bytes, 0,
            "nothing goes while the last commit is not logged"
        );
    }
    assert!(waited);
    settle(&store, &mut writer);
    assert!(store.compact_step(1 << 20).unwrap().is_idle);
}

#[test]
fn rows_below_the_floor_are_gone_at_once_and_after_a_restart() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10), put(2, 20), put(3, 30)]);
    writer.set_floor(VIEW, EventTime::saturating(20)).unwrap();
    let expected = [MISSING, found(20), found(30)];
    assert_eq!(read_all(&store, S, VIEW, &[1, 2, 3]), expected);
    writer.set_floor(VIEW, EventTime::saturating(5)).unwrap();
    assert_eq!(
        store.floor(VIEW),
        EventTime::saturating(20),
        "a floor never falls"
    );
    let mut removed = 0;
    loop {
        let done = store.sweep_step(10).unwrap();
        removed += done.removed;
        if done.round_done {
            break;
        }
    }
    assert_eq!((removed, store.rows(S)), (1, 2));
    writer.sync().unwrap();
    drop((store, writer));
    disk.crash();
    let (store, _, _) = open(&disk);
    assert_eq!(
        (store.rows(S), store.floor(VIEW)),
        (2, EventTime::saturating(20))
    );
    assert_eq!(read_all(&store, S, VIEW, &[1, 2, 3]), expected);
}

/// A tombstone of event time 1 at position 21 over a row that lies in an older segment.
fn deleted_row(disk: &FaultDisk) -> (Arc<Store>, Writer) {
    let (store, mut writer, _) = open(disk);
    write(&mut writer, S, &[big(1, 0)]);
    // Alive for ever: their segment stays, and the row's dead record with it.
    for n in 100..119 {
        write(&mut writer, S, &[big(n, 1)]);
    }
    write(&mut writer, S, &[tombstone(1, 1)]);
    for n in 0..60 {
        write(&mut writer, S, &[big(200 + n % 3, n as i64)]);
    }
    (store, writer)
}

fn sweep_round(store: &Store) -> u64 {
    let mut removed = 0;
    loop {
        let done = store.sweep_step(1_000).unwrap();
        removed += done.removed;
        if done.round_done {
            return removed;
        }
    }
}

#[test]
fn a_tombstone_goes_when_nothing_older_can_come_and_its_row_does_not_return() {
    let disk = FaultDisk::new(1);
    let (store, mut writer) = deleted_row(&disk);
    assert_eq!(sweep_round(&store), 0, "no mark, no lateness: it stays");
    writer.set_collected_mark(S, stamp(Position(20))).unwrap();
    store.set_max_late(VIEW, Some(Duration::ZERO));
    assert_eq!(sweep_round(&store), 0, "its stamp lies above the mark");
    writer.set_collected_mark(S, stamp(Position(21))).unwrap();
    store.set_max_late(VIEW, None);
    assert_eq!(sweep_round(&store), 0, "late events may still come");
    store.set_max_late(VIEW, Some(Duration::ZERO));
    assert_eq!(sweep_round(&store), 1);
    assert_eq!(read(&store, S, 1), MISSING);
    settle(&store, &mut writer);
    for _ in 0..3 {
        drop((store_of(&disk), ()));
        disk.kill();
    }
    let (store, mut writer, recovered) = open(&disk);
    assert!(
        read(&store, S, 1) == MISSING || read(&store, S, 1) == DELETED,
        "{:?}",
        read(&store, S, 1)
    );
    assert_eq!(recovered.shards[&S].state.collected, stamp(Position(21)));
    // Whatever compaction does next, the old row stays dead.
    store.set_max_late(VIEW, Some(Duration::ZERO));
    for round in 0..4 {
        sweep_round(&store);
        for n in 0..30 {
            write(&mut writer, S, &[big(100 + n % 10, round * 100 + n as i64)]);
        }
        settle(&store, &mut writer);
    }
    drop((store, writer));
    disk.kill();
    let (store, _, _) = open(&disk);
    assert!(
        matches!(read(&store, S, 1), MISSING | DELETED),
        "{:?}",
        read(&store, S, 1)
    );
}

fn store_of(disk: &FaultDisk) -> Arc<Store> {
    open(disk).0
}

#[test]
fn holders_keep_the_log_until_they_move_on_or_hold_too_much() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    store.hold(HolderId(1), S, Position(1));
    fill(&mut writer, 200, 10);
    settle(&store, &mut writer);
    let held = store.held_bytes();
    assert!(held > 300 << 10, "{held}");
    let LogRead::Entries(entries) = store.read_log(S, Position(1), 10_000).unwrap() else {
        panic!("held entries are there")
    };
    let positions: Vec<u64> = entries
        .iter()
        .map(|bytes| EntryView::parse(bytes).unwrap().header().position.0)
        .collect();
    assert_eq!(positions, [1, 2, 3]);
    store.hold(HolderId(1), S, Position(195));
    settle(&store, &mut writer);
    assert!(store.held_bytes() < held / 2);
    assert_eq!(
        store.read_log(S, Position(1), 10_000).unwrap(),
        LogRead::Gone
    );
    assert_eq!(store.take_dropped_holders(), []);
    assert!(
        matches!(store.read_log(S, Position(200), 1).unwrap(), LogRead::Entries(entries) if entries.len() == 1)
    );
    assert_eq!(store.read_log(S, Position(201), 1).unwrap(), LogRead::End);

    drop((store, writer));
    disk.kill();
    let settings = Settings {
        held_bytes: 200 << 10,
        ..settings()
    };
    let (store, mut writer, _) = Store::open(Arc::new(disk.clone()), settings).unwrap();
    store.hold(HolderId(2), S, Position(198));
    fill(&mut writer, 200, 10);
    settle(&store, &mut writer);
    assert_eq!(store.take_dropped_holders(), [HolderId(2)]);
    assert!(store.held_bytes() <= 200 << 10);
}

#[test]
fn a_nearly_full_disk_and_a_full_index_refuse_new_writes_and_nothing_else() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    fill(&mut writer, 60, 60);
    store
        .check_write(S, &[hash(VIEW, 1), hash(VIEW, 1_000)])
        .unwrap();
    disk.set_capacity(store_bytes(&disk) + (200 << 10));
    // What comes by with or without anything to do, and whether it succeeds or not.
    let _ = store.prepare_step();
    let full = store.check_write(S, &[hash(VIEW, 1)]).unwrap_err();
    assert!(matches!(full, Full::Disk { .. }), "{full}");
    assert_eq!(Refusal::from(full).reason, Reason::NearlyFull);
    assert_eq!(store.check_disk(), Err(full), "whoever's write it is");
    write(&mut writer, S, &[put(1, 77)]);
    assert_eq!(read(&store, S, 1), found(77));
    assert!(
        store.compaction_budget(1_000) > 3_000,
        "it makes room faster than writes take it"
    );

    drop((store, writer));
    disk.kill();
    disk.set_capacity(1 << 40);
    let settings = Settings {
        index_memory_bytes: 4_000,
        ..settings()
    };
    let (store, _, _) = Store::open(Arc::new(disk.clone()), settings).unwrap();
    let full = store
        .check_write(S, &[hash(VIEW, 1), hash(VIEW, 1_000)])
        .unwrap_err();
    assert!(matches!(full, Full::IndexMemory { .. }), "{full}");
    assert_eq!(store.check_disk(), Ok(()));
    store.check_write(S, &[hash(VIEW, 1)]).unwrap();
}

#[test]
fn the_index_alone_says_which_rows_need_no_look() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    assert_eq!(store.known(S, VIEW, hash(VIEW, 1)), Known::Absent);
    write(&mut writer, S, &[put(1, 10), tombstone(2, 20)]);
    assert_eq!(
        store.known(S, VIEW, hash(VIEW, 1)),
        Known::Full(EventTime::saturating(10))
    );
    assert_eq!(store.known(S, VIEW, hash(VIEW, 2)), Known::Unknown);
    assert_eq!(store.known(S, OTHER_VIEW, hash(VIEW, 1)), Known::Absent);
    assert!(store.index_bytes() > 0 && store.largest_hlc() > Hlc::ZERO && store.tail_bytes() > 0);
}

#[test]
fn spare_segments_are_made_ahead_so_that_the_writer_need_not() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    assert!(store.prepare_step().unwrap());
    assert!(
        !store.prepare_step().unwrap(),
        "one is enough in these settings"
    );
    disk.set_capacity(store_bytes(&disk) + (64 << 10));
    write(&mut writer, S, &[put(1, 1)]);
    assert_eq!(
        read(&store, S, 1),
        found(1),
        "the first segment took no new space"
    );
}
