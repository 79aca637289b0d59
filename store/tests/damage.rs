//! Rot, read errors, failed syncs and directories of other versions: nothing wrong is ever served.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::Position;
use std::sync::Arc;
use store::{
    Condition, DamagedRow, Known, OpenError, RepairError, Settings, SnapshotError, Store,
    disk::{Fault, FaultDisk, RealDisk},
};

fn first_log(disk: &FaultDisk) -> String {
    disk.files()
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| name.ends_with(".log"))
        .unwrap()
}

#[test]
fn a_flipped_bit_anywhere_in_a_settled_segment_never_serves_wrong_rows() {
    let disk = FaultDisk::new(1);
    drop(hinted(&disk));
    disk.kill();
    let keys: Vec<u64> = (0..60).collect();
    let segment = first_log(&disk);
    let mut damaged = 0;
    for byte in (0..60_000).step_by(131) {
        disk.flip_bit(&segment, byte, (byte % 8) as u32);
        let (store, _, _) = open(&disk);
        for (key, seen) in keys.iter().zip(read_all(&store, S, VIEW, &keys)) {
            assert!(
                seen == found(*key as i64) || seen == DAMAGED,
                "byte {byte}, key {key}: {seen:?}"
            );
            damaged += u32::from(seen == DAMAGED);
        }
        disk.kill();
        disk.flip_bit(&segment, byte, (byte % 8) as u32);
    }
    assert!(damaged > 100, "{damaged}");
}

#[test]
fn a_damaged_row_is_repaired_by_a_replicas_copy_and_by_no_other() {
    let disk = FaultDisk::new(1);
    let (store, mut writer) = hinted(&disk);
    let segment = first_log(&disk);
    let good = record(
        &Put {
            padding: 2_500,
            ..put(5, 5)
        },
        Position(6),
    );
    let at = find(&disk, &segment, &good);
    disk.flip_bit(&segment, at + 200, 1);
    assert_eq!(read(&store, S, 5), DAMAGED);
    assert_eq!(
        store.damaged_rows(),
        [DamagedRow {
            shard: S,
            hash: hash(VIEW, 5)
        }]
    );
    assert_eq!(
        store.known(S, VIEW, hash(VIEW, 5)),
        Known::Full(proto::time::EventTime::saturating(5))
    );

    let older = record(
        &Put {
            padding: 2_500,
            ..put(5, 5)
        },
        Position(4),
    );
    let error = store.repair(S, hash(VIEW, 5), &older).unwrap_err();
    assert!(
        matches!(
            error,
            RepairError::OtherPosition {
                wanted: Position(6),
                ..
            }
        ),
        "{error}"
    );
    let mut broken = good.clone();
    broken[100] ^= 1;
    assert!(matches!(
        store.repair(S, hash(VIEW, 5), &broken),
        Err(RepairError::Malformed(_))
    ));
    assert!(matches!(
        store.repair(S, hash(VIEW, 6), &good),
        Err(RepairError::NotDamaged)
    ));

    store.repair(S, hash(VIEW, 5), &good).unwrap();
    assert_eq!(read(&store, S, 5), found(5));
    assert_eq!(
        (store.damaged_rows().len(), store.repair_counts().found),
        (0, 1)
    );
    drop((store, writer));
    disk.crash();
    let (store, again, _) = open(&disk);
    writer = again;
    assert_eq!(read(&store, S, 5), found(5), "the copy outlives a restart");
    assert_eq!(writer.last(S).position, Position(60));
}

/// Where `record` lies in the file.
fn find(disk: &FaultDisk, path: &str, record: &[u8]) -> u64 {
    use store::disk::Disk as _;
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; file.size_bytes().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
        .windows(48)
        .position(|window| window == &record[..48])
        .expect("the record is there") as u64
}

#[test]
fn a_read_error_is_damage_and_not_absence() {
    let disk = FaultDisk::new(1);
    let (store, _writer) = hinted(&disk);
    disk.fail_read(disk.reads(), Fault::InputOutput);
    assert_eq!(read(&store, S, 5), DAMAGED);
    assert_eq!(read(&store, S, 5), found(5));
    assert_eq!(store.damaged_rows().len(), 1);
    let good = record(
        &Put {
            padding: 2_500,
            ..put(5, 5)
        },
        Position(6),
    );
    let error = store.repair(S, hash(VIEW, 5), &good).unwrap_err();
    assert!(matches!(error, RepairError::NotDamaged), "{error}");
    assert_eq!(store.damaged_rows(), [], "it was a passing fault");
}

#[test]
fn rot_in_the_part_of_the_log_that_is_read_quarantines_and_a_copy_ends_it() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    for n in 0..10 {
        write(&mut writer, S, &[put(n, n as i64)]);
    }
    drop((store, writer));
    disk.kill();
    let segment = first_log(&disk);
    let third = record(&put(2, 2), Position(3));
    disk.flip_bit(&segment, find(&disk, &segment, &third) + 60, 0);
    let (store, mut writer, recovered) = open(&disk);
    assert_eq!(recovered.damage.len(), 1);
    assert!(recovered.shards[&S].needs_copy());
    assert_eq!(store.condition(S), Condition::Quarantined);
    assert_eq!(
        read_all(&store, S, VIEW, &[1, 2, 99]),
        [DAMAGED; 3],
        "nothing of it is taken for absent"
    );
    assert!(matches!(store.snapshot(S), Err(SnapshotError::NotWhole(_))));

    let healthy = FaultDisk::new(2);
    let (source, mut source_writer, _) = open(&healthy);
    for n in 0..10 {
        write(&mut source_writer, S, &[put(n, n as i64)]);
    }
    install(&mut writer, &chunks(&source, 300));
    writer.sync().unwrap();
    assert_eq!(
        read_all(&store, S, VIEW, &[1, 2, 99]),
        [found(1), found(2), MISSING]
    );
    drop((store, writer));
    disk.crash();
    let (store, _, recovered) = open(&disk);
    assert!(!recovered.shards[&S].needs_copy());
    assert_eq!(
        read_all(&store, S, VIEW, &[1, 2, 99]),
        [found(1), found(2), MISSING]
    );
}

#[test]
fn a_directory_of_a_newer_version_is_refused_and_named() {
    let disk = FaultDisk::new(1);
    drop(open(&disk));
    disk.kill();
    let digit = "atoll store ".len() as u64;
    disk.flip_bit("store/FORMAT", digit, 2);
    let error = Store::open(Arc::new(disk.clone()), settings())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "the store in store has format 7, this program reads up to 3; start the newer version"
    );
    disk.flip_bit("store/FORMAT", digit, 2);
    disk.flip_bit("store/FORMAT", 0, 1);
    assert!(matches!(
        Store::open(Arc::new(disk), settings()),
        Err(OpenError::UnknownFormat { .. })
    ));
}

#[test]
fn a_failed_sync_is_final() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10)]);
    append(&mut writer, S, &[put(1, 11)]);
    disk.fail_change(disk.changes() + 1, Fault::InputOutput);
    let error = writer.sync().unwrap_err().to_string();
    assert!(error.contains("restart the process"), "{error}");
    assert!(writer.is_poisoned());
    assert!(writer.sync().is_err() && writer.set_floor(VIEW, proto::time::EventTime::MAX).is_err());
    assert_eq!(read(&store, S, 1), found(10), "reads go on");
}

#[test]
fn a_real_directory_keeps_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
        Store::open(
            disk,
            Settings {
                segment_bytes: 256 << 10,
                ..Settings::default()
            },
        )
        .unwrap()
    };
    let (store, mut writer, _) = open();
    for n in 0..200 {
        write(
            &mut writer,
            S,
            &[Put {
                padding: 3_000,
                ..put(n % 20, n as i64)
            }],
        );
        writer.log_commits().unwrap();
        writer.sync().unwrap();
        while store.hint_step().unwrap() {}
        store.compact_step(store.compaction_budget(6_000)).unwrap();
    }
    drop((store, writer));
    let (store, _, recovered) = open();
    assert!(recovered.damage.is_empty() && !recovered.torn);
    let keys: Vec<u64> = (0..20).collect();
    assert_eq!(
        read_all(&store, S, VIEW, &keys),
        (180..200).map(found).collect::<Vec<_>>()
    );
}
