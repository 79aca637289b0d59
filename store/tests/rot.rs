//! Rot that a start comes upon: who suffers from it, and that it does so once.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::ShardId;
use std::sync::Arc;
use store::{
    Condition, Store, Writer,
    disk::{Disk, FaultDisk},
};

const OTHER: ShardId = ShardId(9);

fn file_with(disk: &FaultDisk, extension: &str) -> String {
    let files = disk.files();
    let mut named = files.into_iter().map(|(name, _)| name);
    named.find(|name| name.ends_with(extension)).unwrap()
}

fn count(disk: &FaultDisk, extension: &str) -> usize {
    let files = disk.files();
    files
        .iter()
        .filter(|(name, _)| name.ends_with(extension))
        .count()
}

/// Where `bytes` lie in a file.
fn place_of(disk: &FaultDisk, path: &str, bytes: &[u8]) -> u64 {
    let file = disk.open(path).unwrap();
    let mut content = vec![0; file.size_bytes().unwrap() as usize];
    file.read_at(0, &mut content).unwrap();
    let place = content
        .windows(bytes.len())
        .position(|window| window == bytes);
    place.expect("the bytes are there") as u64
}

/// Rows of two shards that lie in base segments.
fn compacted(disk: &FaultDisk) -> (Arc<Store>, Writer) {
    let (store, mut writer, _) = open(disk);
    churn(&store, &mut writer, &[S, OTHER]);
    (store, writer)
}

fn cold(store: &Store, shard: ShardId) -> Vec<Seen> {
    read_all(store, shard, VIEW, &[0, 1, 2, 3])
}

const COLD: [Seen; 4] = [found(0), found(1), found(2), found(3)];

#[test]
fn a_base_segment_that_lost_its_header_gets_it_back_from_its_hint_file() {
    let disk = FaultDisk::new(1);
    drop(compacted(&disk));
    disk.kill();
    let base = file_with(&disk, ".base");
    disk.flip_bit(&base, 20, 3);
    let (store, _, recovered) = open(&disk);
    assert_eq!(recovered.damage.len(), 1, "it is told once");
    assert_eq!(
        (cold(&store, S), cold(&store, OTHER)),
        (COLD.to_vec(), COLD.to_vec())
    );
    drop(store);
    disk.crash();
    let (store, _, recovered) = open(&disk);
    assert!(recovered.damage.is_empty(), "{:?}", recovered.damage);
    assert_eq!(
        (cold(&store, S), cold(&store, OTHER)),
        (COLD.to_vec(), COLD.to_vec())
    );
}

#[test]
fn a_base_segment_without_header_and_hint_file_is_put_aside_and_the_next_start_is_clean() {
    let disk = FaultDisk::new(1);
    // The rows of one shard only lie in it.
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, OTHER, &[put(1, 10)]);
    drop((store, writer));
    disk.kill();
    let healthy = FaultDisk::new(2);
    let (source, _of_source) = hinted(&healthy);
    let (_, mut writer, _) = open(&disk);
    install(&mut writer, &chunks(&source, 1 << 20));
    writer.sync().unwrap();
    drop(writer);
    disk.kill();
    let base = file_with(&disk, ".base");
    disk.flip_bit(&base, 20, 3);
    disk.delete(&base.replace(".base", ".hint")).unwrap();
    disk.sync_dir("store").unwrap();

    let (store, writer, recovered) = open(&disk);
    assert!(recovered.shards[&S].needs_copy());
    assert!(
        !recovered.shards[&OTHER].needs_copy(),
        "nothing of it was there"
    );
    assert_eq!(count(&disk, ".rotten"), 1);
    drop((store, writer));
    disk.crash();
    let (_, mut writer, recovered) = open(&disk);
    assert!(recovered.damage.is_empty(), "{:?}", recovered.damage);
    assert_eq!(
        writer.store().condition(S),
        Condition::Quarantined,
        "its rows are still lost"
    );
    install(&mut writer, &chunks(&source, 1 << 20));
    writer.sync().unwrap();
    drop(writer);
    disk.crash();
    let (store, _, recovered) = open(&disk);
    assert!(recovered.damage.is_empty() && !recovered.shards[&S].needs_copy());
    assert_eq!(read(&store, S, 59), found(59));
    assert_eq!(count(&disk, ".rotten"), 1, "and the file may be looked at");
}

#[test]
fn a_crash_while_a_lost_segment_is_put_aside_forgets_nothing() {
    for step in 0..20 {
        let disk = FaultDisk::new(step);
        drop(compacted(&disk));
        disk.kill();
        let base = file_with(&disk, ".base");
        disk.flip_bit(&base, 20, 3);
        disk.delete(&base.replace(".base", ".hint")).unwrap();
        disk.sync_dir("store").unwrap();
        disk.fail_change(disk.changes() + step, store::disk::Fault::PowerLoss);
        drop(Store::open(Arc::new(disk.clone()), settings()));
        disk.crash();
        let (store, _, _) = open(&disk);
        for shard in [S, OTHER] {
            let seen = cold(&store, shard);
            assert!(
                seen == COLD || seen == [DAMAGED; 4],
                "step {step}: {seen:?}"
            );
        }
        assert!(
            [S, OTHER]
                .iter()
                .any(|shard| store.condition(*shard) == Condition::Quarantined),
            "step {step}: rows are lost, and the store knows"
        );
    }
}

#[test]
fn files_put_aside_are_few() {
    let disk = FaultDisk::new(1);
    drop(compacted(&disk));
    for _ in 0..7 {
        disk.kill();
        let (store, mut writer, _) = open(&disk);
        let healthy = FaultDisk::new(2);
        let (source, _of_source) = hinted(&healthy);
        install(&mut writer, &chunks(&source, 1 << 20));
        writer.sync().unwrap();
        drop((store, writer));
        disk.kill();
        let base = file_with(&disk, ".base");
        disk.flip_bit(&base, 20, 3);
        let _ = disk.delete(&base.replace(".base", ".hint"));
        disk.sync_dir("store").unwrap();
    }
    disk.kill();
    drop(open(&disk));
    assert!(
        (2..=4).contains(&count(&disk, ".rotten")),
        "{:?}",
        disk.files()
    );
}

/// Entries of two shards in one group of the log.
fn one_group(disk: &FaultDisk) {
    let (_, mut writer, _) = open(disk);
    write(&mut writer, S, &[put(1, 10)]);
    write(&mut writer, OTHER, &[put(1, 11)]);
    let both = [(S, put(2, 20)), (OTHER, put(2, 21))].map(|(shard, put)| {
        let position = writer.last(shard).position.next();
        entry(shard, 1, position, &[put])
    });
    let new = both.each_ref().map(|built| store::NewEntry {
        bytes: built.bytes.clone(),
        hashes: &built.hashes,
    });
    writer.append(&new).unwrap();
    writer.sync().unwrap();
    for shard in [S, OTHER] {
        let position = writer.last(shard).position;
        writer.commit(shard, position).unwrap();
        write(&mut writer, shard, &[put(3, 30)]);
    }
    flush(&mut writer);
}

#[test]
fn a_rotten_record_in_the_log_hurts_the_shard_whose_it_is_and_no_other() {
    let disk = FaultDisk::new(1);
    one_group(&disk);
    disk.kill();
    let log = file_with(&disk, ".log");
    let second = record(&put(2, 20), proto::id::Position(2));
    disk.flip_bit(&log, place_of(&disk, &log, &second) + 100, 0);
    let (store, _, recovered) = open(&disk);
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!(store.condition(S), Condition::Quarantined);
    assert!(!recovered.shards[&OTHER].needs_copy());
    let seen = read_all(&store, OTHER, VIEW, &[1, 2, 3, 4]);
    assert_eq!(seen, [found(11), found(21), found(30), MISSING]);
}

#[test]
fn a_rotten_entry_header_hurts_all_that_nothing_later_speaks_for() {
    let disk = FaultDisk::new(1);
    one_group(&disk);
    disk.kill();
    let log = file_with(&disk, ".log");
    let second = record(&put(2, 20), proto::id::Position(2));
    disk.flip_bit(&log, place_of(&disk, &log, &second) - 40, 0);
    let (store, writer, _) = open(&disk);
    for shard in [S, OTHER] {
        assert_eq!(store.condition(shard), Condition::Quarantined, "{shard}");
    }
    drop((store, writer));
}

#[test]
fn a_shard_that_wrote_nothing_meanwhile_is_not_hurt_where_a_later_segment_says_so() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, OTHER, &[put(1, 11)]);
    flush(&mut writer);
    let lost = write(&mut writer, S, &[put(1, 10)]);
    // So much that the next segment begins, with the states of all shards.
    for n in 2..30 {
        write(
            &mut writer,
            S,
            &[Put {
                padding: 2_500,
                ..put(n, n as i64)
            }],
        );
    }
    flush(&mut writer);
    drop((store, writer));
    disk.kill();
    assert!(count(&disk, ".log") > 1, "a later segment is there");
    let log = file_with(&disk, ".log");
    let first = record(&put(1, 10), lost);
    disk.flip_bit(&log, place_of(&disk, &log, &first) - 40, 0);
    let (store, _, recovered) = open(&disk);
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!(store.condition(S), Condition::Quarantined);
    assert!(!recovered.shards[&OTHER].needs_copy());
    assert_eq!(read(&store, OTHER, 1), found(11));
}

#[test]
fn a_log_segment_that_lost_its_header_alone_hurts_nobody() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    for n in 0..40 {
        let shard = if n % 2 == 0 { S } else { OTHER };
        write(
            &mut writer,
            shard,
            &[Put {
                padding: 2_500,
                ..put(n, n as i64)
            }],
        );
    }
    flush(&mut writer);
    drop((store, writer));
    disk.kill();
    let logs: Vec<String> = disk.files().into_iter().map(|(name, _)| name).collect();
    let last = logs.iter().rfind(|name| name.ends_with(".log")).unwrap();
    disk.flip_bit(last, 20, 3);
    let (store, _, recovered) = open(&disk);
    assert!(!recovered.damage.is_empty());
    for n in 0..40 {
        let shard = if n % 2 == 0 { S } else { OTHER };
        assert_eq!(read(&store, shard, n), found(n as i64), "{n}");
    }
}
