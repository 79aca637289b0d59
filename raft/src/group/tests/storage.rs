//! openraft's storage suite, and what the suite does not ask for: cutting, damage, formats.

use super::{SEGMENT_BYTES, entry, log_id, open};
use crate::{
    group::{
        GroupId, RaftRequest,
        applied::{AppliedState, MemoryState, SledState},
        log::{LogFileError, LogRecord, RaftLog, SnapshotFloor},
        machine::MachineStore,
        runtime::{Blocking, GroupRuntime, seed_thread},
        snapshot::{self, SnapshotFiles, SnapshotReadError, encode_parts},
        types::{Payload, StorageError, Types},
    },
    machine::StateMachine,
    placement::Placement,
};
use openraft::{
    AsyncRuntime, EntryPayload, RaftLogReader, RaftSnapshotBuilder, SnapshotMeta, Vote,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    testing::{StoreBuilder, Suite},
};
use rand::RngCore;
use std::sync::Arc;
use store::{
    disk::{Disk, FaultDisk},
    segment::LogSettings,
};
use tempfile::TempDir;

/// Builds stores for the suite, on a disk in memory or with sled in a directory.
struct Builder {
    with_sled: bool,
}

impl StoreBuilder<Types, RaftLog, MachineStore<Placement>, Option<TempDir>> for Builder {
    async fn build(
        &self,
    ) -> Result<(Option<TempDir>, RaftLog, MachineStore<Placement>), StorageError> {
        let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
        let directory = self.with_sled.then(|| TempDir::new().unwrap());
        let applied: Box<dyn AppliedState> = match &directory {
            Some(directory) => Box::new(SledState::open(directory.path().join("meta")).unwrap()),
            None => Box::new(MemoryState),
        };
        let (log, machine) = open(&disk, applied);
        Ok((directory, log, machine))
    }
}

#[test]
fn openrafts_suite_passes_in_memory() {
    Suite::test_all(Builder { with_sled: false }).unwrap();
}

#[test]
fn openrafts_suite_passes_with_sled() {
    Suite::test_all(Builder { with_sled: true }).unwrap();
}

#[tokio::test]
async fn the_log_is_cut_only_behind_a_durable_snapshot() {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
    let (mut log, mut machine) = open(&disk, Box::new(MemoryState));
    log.save_vote(&Vote::new(3, 1)).await.unwrap();
    for index in 0..400 {
        log.blocking_append([entry(1, index)]).await.unwrap();
        machine.apply([entry(1, index)]).await.unwrap();
    }
    let full = log.segment_count();
    assert!(full > 3, "{full} segments");
    log.purge(log_id(1, 300)).await.unwrap();
    assert_eq!(log.segment_count(), full, "no snapshot is durable yet");
    machine
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    log.purge(log_id(1, 390)).await.unwrap();
    assert!(
        log.segment_count() < full,
        "{} segments",
        log.segment_count()
    );
    let state = machine.watch().borrow().state.clone();
    drop((log, machine));

    let (mut log, machine) = open(&disk, Box::new(MemoryState));
    assert_eq!(
        log.read_vote().await.unwrap(),
        Some(Vote::new(3, 1)),
        "the vote stood in a segment that went"
    );
    assert_eq!(
        log.get_log_state().await.unwrap().last_purged_log_id,
        Some(log_id(1, 390))
    );
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 9);
    assert_eq!(*machine.watch().borrow().state, *state);
}

#[tokio::test]
async fn a_log_that_lost_a_durable_record_is_refused() {
    let disk = FaultDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut log, machine) = open(&shared, Box::new(MemoryState));
    for index in 0..50 {
        log.blocking_append([entry(1, index)]).await.unwrap();
    }
    drop((log, machine));
    let (path, _) = disk
        .files()
        .into_iter()
        .find(|(path, _)| path.ends_with(".log"))
        .unwrap();
    disk.flip_bit(&path, 2_000, 3);
    let settings = LogSettings {
        segment_bytes: SEGMENT_BYTES,
        spares: 1,
        ..LogSettings::new("raft/log")
    };
    let opened = RaftLog::open(shared, settings, SnapshotFloor::default(), Blocking::Inline);
    let error = opened.err().unwrap();
    assert!(matches!(error, LogFileError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("joins as a new one"), "{error}");
}

#[tokio::test]
async fn an_unknown_command_stops_the_machine_and_changes_nothing() {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
    let (_, mut machine) = open(&disk, Box::new(MemoryState));
    machine.apply([entry(1, 0)]).await.unwrap();
    let before = machine.watch().borrow().clone();
    let mut newer = entry(1, 1);
    newer.payload = EntryPayload::Normal(Payload("\u{9}{\"fly\":1}".into()));
    let error = machine.apply([newer]).await.unwrap_err().to_string();
    assert!(
        error.contains("version 9") && error.contains("the node stops"),
        "{error}"
    );
    let after = machine.watch().borrow().clone();
    assert_eq!(
        (after.last_applied, after.state),
        (before.last_applied, before.state)
    );
}

#[test]
fn a_damaged_snapshot_is_never_taken() {
    let disk = FaultDisk::new(1);
    let files = SnapshotFiles::open(Arc::new(disk.clone()), "s".into(), GroupId::Global).unwrap();
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(2, 7)),
        snapshot_id: "2-7".into(),
        ..SnapshotMeta::default()
    };
    let body = encode_parts(&Placement::default().parts());
    files.write(&meta, &body).unwrap();
    assert_eq!(files.newest().unwrap(), Some((meta, body)));
    let (path, length) = disk
        .files()
        .into_iter()
        .find(|(path, _)| path.ends_with(".snapshot"))
        .unwrap();
    for byte in 0..length {
        disk.flip_bit(&path, byte, 5);
        assert!(files.newest().is_err(), "byte {byte}");
        disk.flip_bit(&path, byte, 5);
    }
    let other = SnapshotFiles::open(
        Arc::new(disk.clone()),
        "s".into(),
        GroupId::Regional {
            region: proto::id::RegionId(1),
            number: 1,
        },
    );
    let error = other.unwrap().newest().unwrap_err();
    assert!(
        matches!(
            error,
            SnapshotReadError::Format {
                error: snapshot::SnapshotError::OtherGroup { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn records_and_messages_read_back_and_newer_ones_are_refused() {
    let record = LogRecord::Entry(entry(3, 9));
    let mut bytes = record.encode();
    assert_eq!(LogRecord::decode(&bytes).unwrap(), record);
    bytes[0] = 2;
    assert!(
        LogRecord::decode(&bytes)
            .unwrap_err()
            .to_string()
            .contains("newer version")
    );

    let piece = openraft::raft::InstallSnapshotRequest::<Types> {
        vote: Vote::new(1, 2),
        meta: SnapshotMeta::default(),
        offset: 5,
        data: vec![0, 255, 7],
        done: true,
    };
    let bytes = RaftRequest::Snapshot(piece).encode();
    let RaftRequest::Snapshot(piece) = RaftRequest::decode(&bytes).unwrap() else {
        panic!("another message")
    };
    assert_eq!((piece.offset, piece.data), (5, vec![0, 255, 7]));
    for end in 0..8 {
        assert!(RaftRequest::decode(&bytes[..end]).is_err());
    }
}

#[test]
fn the_same_seed_draws_the_same_numbers() {
    let draw = |seed| {
        seed_thread(seed);
        std::array::from_fn::<u64, 4, _>(|_| GroupRuntime::thread_rng().next_u64())
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}
