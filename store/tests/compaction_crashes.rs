//! Power lost, or an error, at every operation of settling: hint files, copying, publishing, letting
//! segments go. Whatever was done by then, every row and every deletion is as it was.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::Position;
use std::{sync::Arc, time::Duration};
use store::{
    RowState, Store, Writer,
    disk::{Fault, FaultDisk},
};

const KEYS: u64 = 12;

/// A store with much to compact: overwritten rows, deleted ones, a tail that was cut.
fn filled(seed: u64) -> (FaultDisk, Arc<Store>, Writer) {
    let disk = FaultDisk::new(seed);
    let (store, mut writer, _) = open(&disk);
    for n in 0..70 {
        let key = n % (KEYS - n / 20);
        let row = match n % 7 {
            3 => tombstone(key, n + 1),
            _ => Put {
                event: n + 1,
                padding: 4_000,
                ..put(key, n as i64)
            },
        };
        write(&mut writer, S, &[row]);
        if n == 30 {
            append(&mut writer, S, &[put(1, 9_999)]);
            writer.cut(S, Position(31)).unwrap();
        }
    }
    store.set_max_late(VIEW, Some(Duration::ZERO));
    writer.set_collected_mark(S, stamp(Position(60))).unwrap();
    flush(&mut writer);
    (disk, store, writer)
}

/// Settles all there is to settle, until something fails.
fn settle(store: &Store, writer: &mut Writer) -> Option<()> {
    loop {
        writer.log_commits().ok()?;
        writer.sync().ok()?;
        while store.hint_step().ok()? {}
        store.sweep_step(1_000).ok()?;
        if store.compact_step(9_000).ok()?.is_idle {
            return Some(());
        }
    }
}

/// The rows that are there; deleted and collected ones are both absent.
fn rows(store: &Store) -> Vec<Option<i64>> {
    let keys: Vec<u64> = (0..KEYS).collect();
    let seen = read_all(store, S, VIEW, &keys);
    assert!(
        seen.iter()
            .all(|(state, _)| !matches!(state, RowState::Damaged | RowState::Cold))
    );
    seen.into_iter().map(|(_, value)| value).collect()
}

fn check(fault: Fault, seed: u64) {
    let (disk, store, mut writer) = filled(seed);
    let expected = rows(&store);
    assert!(expected.contains(&None) && expected.iter().flatten().count() > 5);
    let before = disk.changes();
    settle(&store, &mut writer).unwrap();
    let operations = disk.changes() - before;
    assert!(operations > 40, "{operations}");
    assert!(disk.files().iter().any(|(name, _)| name.ends_with(".base")));
    for at in 0..operations {
        let (disk, store, mut writer) = filled(seed + at);
        disk.fail_change(disk.changes() + at, fault);
        settle(&store, &mut writer);
        if fault != Fault::PowerLoss {
            assert_eq!(
                rows(&store),
                expected,
                "readers go on after {fault:?} at {at}"
            );
        }
        drop((store, writer));
        disk.crash();

        let (store, mut writer, recovered) = open(&disk);
        assert!(
            recovered.damage.is_empty(),
            "{fault:?} at {at}: {:?}",
            recovered.damage
        );
        assert_eq!(
            recovered.shards[&S].state.commit.position,
            Position(70),
            "{fault:?} at {at}"
        );
        assert_eq!(rows(&store), expected, "{fault:?} at {at}");
        store.set_max_late(VIEW, Some(Duration::ZERO));
        settle(&store, &mut writer).unwrap();
        assert_eq!(rows(&store), expected, "{fault:?} at {at}, settled");
        drop((store, writer));
        disk.crash();
        assert_eq!(
            rows(&open(&disk).0),
            expected,
            "{fault:?} at {at}, opened again"
        );
    }
}

#[test]
fn power_lost_at_any_step_of_settling_changes_no_row() {
    check(Fault::PowerLoss, 1_000);
}

#[test]
fn an_error_at_any_step_of_settling_changes_no_row() {
    check(Fault::InputOutput, 2_000);
    check(Fault::NoSpace, 3_000);
}
