//! Stored formats: what this program writes is, byte for byte, what it wrote before, and it reads it.
//!
//! A format that changes on purpose gets a new version, a new file here beside the old one, and a
//! reader for both. Built with `ATOLL_WRITE_GOLDEN=1` in the
//! environment the test writes files that are not there yet, and only those.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use std::sync::Arc;
use store::{
    Store,
    disk::{Disk, FaultDisk, File, RealDisk},
    segment::{LogSettings, LogWriter, Scanned},
};

fn golden_dir() -> RealDisk {
    RealDisk::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).unwrap()
}

fn content(file: &Arc<dyn File>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Compares `written` with the golden file and gives the golden bytes back.
fn check_golden(name: &str, written: &[u8]) -> Vec<u8> {
    let disk = golden_dir();
    if option_env!("ATOLL_WRITE_GOLDEN").is_some() && disk.open(name).is_err() {
        disk.create(name, 0).unwrap().write_at(0, written).unwrap();
    }
    let golden = content(&disk.open(name).expect("the golden file is there"));
    let differs = golden
        .iter()
        .zip(written)
        .position(|(golden, written)| golden != written);
    assert_eq!(
        (differs, golden.len()),
        (None, written.len()),
        "{name} is written otherwise than before"
    );
    golden
}

fn log_settings() -> LogSettings {
    LogSettings {
        segment_bytes: 1 << 10,
        payload_crc: true,
        ..LogSettings::new("log")
    }
}

#[test]
fn segment_headers_and_groups_are_as_they_were() {
    let disk = FaultDisk::new(1);
    let open = |disk: &FaultDisk, found: &mut Vec<(Vec<u8>, Vec<u8>)>| {
        LogWriter::open(
            Arc::new(disk.clone()),
            log_settings(),
            &|_| true,
            &mut |scanned| {
                if let Scanned::Group(_, group) = scanned {
                    found.push((group.preface().to_vec(), group.payload().to_vec()));
                }
            },
        )
        .unwrap()
    };
    let mut log = open(&disk, &mut Vec::new()).writer;
    log.append(b"preface", &[b"first ", b"payload"], 2).unwrap();
    log.write_and_sync().unwrap();
    log.append(b"", &[b"second"], 1).unwrap();
    log.write_and_sync().unwrap();
    let path = log.current().unwrap().0.path().to_owned();
    let golden = check_golden("segment-v1.bin", &content(&disk.open(&path).unwrap()));

    let other = FaultDisk::new(2);
    other
        .create(&path, 0)
        .unwrap()
        .write_at(0, &golden)
        .unwrap();
    let mut found = Vec::new();
    let opened = open(&other, &mut found);
    assert!(opened.damage.is_empty() && !opened.torn);
    let expected = [
        (b"preface".to_vec(), b"first payload".to_vec()),
        (Vec::new(), b"second".to_vec()),
    ];
    assert_eq!(found, expected);
}

/// A store with one settled segment: rows, a tombstone, a cut.
fn settled() -> (FaultDisk, Arc<Store>) {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(
        &mut writer,
        S,
        &[
            put(1, 10),
            Put {
                view: OTHER_VIEW,
                ..put(1, 11)
            },
            tombstone(2, 12),
        ],
    );
    append(&mut writer, S, &[put(1, 99)]);
    writer.cut(S, proto::id::Position(1)).unwrap();
    append_in(&mut writer, S, 2, &[put(3, 30)]);
    writer.sync().unwrap();
    writer.commit(S, proto::id::Position(2)).unwrap();
    for n in 0..2 {
        write(
            &mut writer,
            S,
            &[Put {
                padding: 33_000,
                ..put(4, 40 + n)
            }],
        );
    }
    flush(&mut writer);
    assert!(store.hint_step().unwrap());
    (disk, store)
}

const EXPECTED: [Seen; 5] = [found(10), DELETED, found(30), found(41), MISSING];

#[test]
fn hint_files_are_as_they_were() {
    let (disk, store) = settled();
    let path = disk
        .files()
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| name.ends_with(".hint"))
        .unwrap();
    let golden = check_golden("hint-v1.bin", &content(&disk.open(&path).unwrap()));
    drop(store);
    disk.kill();
    let file = disk.open(&path).unwrap();
    file.write_at(0, &golden).unwrap();
    drop(file);
    let (store, _, recovered) = open(&disk);
    assert!(recovered.damage.is_empty());
    assert_eq!(read_all(&store, S, VIEW, &[1, 2, 3, 4, 5]), EXPECTED);
    assert_eq!(read_all(&store, S, OTHER_VIEW, &[1]), [found(11)]);
}

/// Cuts a file of chunks where each says that it ends.
fn chunks_in(file: &[u8]) -> Vec<bytes::Bytes> {
    let mut chunks = Vec::new();
    let mut rest = file;
    while let Some(length) = rest.get(4..8) {
        let length = 16 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        chunks.push(bytes::Bytes::copy_from_slice(&rest[..length]));
        rest = &rest[length..];
    }
    chunks
}

fn check_installs(golden: &[u8]) {
    let (joiner, mut writer, _) = open(&FaultDisk::new(2));
    install(&mut writer, &chunks_in(golden));
    assert_eq!(read_all(&joiner, S, VIEW, &[1, 2, 3, 4, 5]), EXPECTED);
}

#[test]
fn snapshots_are_as_they_were() {
    let (_disk, store) = settled();
    let written = chunks(&store, 1 << 20).concat();
    check_installs(&check_golden("snapshot-v2.bin", &written));
}

#[test]
fn snapshots_of_the_first_version_are_still_read() {
    check_installs(&content(&golden_dir().open("snapshot-v1.bin").unwrap()));
}

#[test]
fn what_a_snapshot_carried_lies_beside_the_segments_as_it_did() {
    let (_disk, store) = settled();
    let other = FaultDisk::new(2);
    let (joiner, mut writer, _) = open(&other);
    install(&mut writer, &chunks(&store, 1 << 20));
    writer.sync().unwrap();
    let files = other.files();
    let (path, _) = files
        .iter()
        .find(|(name, _)| name.ends_with(".carried"))
        .unwrap();
    let golden = check_golden("carried-v1.bin", &content(&other.open(path).unwrap()));
    drop((joiner, writer));
    other.kill();
    other.open(path).unwrap().write_at(0, &golden).unwrap();
    let (_, _, recovered) = open(&other);
    assert_eq!(recovered.shards[&S].carried.as_deref(), Some(CARRIED));
}
