//! The applied state's directory is damaged anywhere, and the node comes back with the right state.
#![expect(
    clippy::disallowed_methods,
    reason = "damages sled's files, which lie on the real disk"
)]

use super::{entry, log_id, open};
use crate::{
    group::applied::{AppliedState, SledState, vouch_for},
    placement::Placement,
};
use openraft::{
    RaftLogReader, RaftSnapshotBuilder,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::disk::{Disk, FaultDisk};
use tempfile::TempDir;

const ENTRIES: u64 = 60;

/// A node with a log, a snapshot in the middle of it, and a closed applied state.
struct Stopped {
    disk: Arc<dyn Disk>,
    directory: TempDir,
    state: Placement,
}

impl Stopped {
    async fn new() -> Self {
        let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
        let directory = TempDir::new().unwrap();
        let (mut log, mut machine) = open(&disk, sled_at(directory.path()));
        for index in 0..ENTRIES {
            log.blocking_append([entry(1, index)]).await.unwrap();
            machine.apply([entry(1, index)]).await.unwrap();
            if index == ENTRIES / 2 {
                machine
                    .get_snapshot_builder()
                    .await
                    .build_snapshot()
                    .await
                    .unwrap();
                log.purge(log_id(1, index)).await.unwrap();
            }
        }
        log.save_committed(Some(log_id(1, ENTRIES - 1)))
            .await
            .unwrap();
        let state = Placement::clone(&machine.watch().borrow().state);
        Self {
            disk,
            directory,
            state,
        }
    }

    fn meta(&self) -> PathBuf {
        self.directory.path().join("meta")
    }

    /// Starts, catches up from the log as openraft does, and compares. Gives the last entry that
    /// the state held before catching up.
    async fn check(&self, what: &str) -> u64 {
        let (mut log, mut machine) = open(&self.disk, sled_at(self.directory.path()));
        let kept = machine.last_applied().map_or(0, |last| last.index);
        assert!(
            kept >= ENTRIES / 2,
            "{what}: the snapshot file is the least"
        );
        let missing = log.try_get_log_entries(kept + 1..ENTRIES).await.unwrap();
        machine.apply(missing).await.unwrap();
        assert_eq!(
            Placement::clone(&machine.watch().borrow().state),
            self.state,
            "{what}"
        );
        kept
    }
}

fn sled_at(directory: &Path) -> Box<dyn AppliedState> {
    Box::new(SledState::open(directory.join("meta")).unwrap())
}

fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_clean_stop_saves_the_replay() {
    let stopped = Stopped::new().await;
    for round in 0..3 {
        assert_eq!(stopped.check("clean").await, ENTRIES - 1, "round {round}");
    }
}

#[tokio::test]
async fn damage_anywhere_in_the_directory_is_noticed_and_mended() {
    let stopped = Stopped::new().await;
    let mut random = 7_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    for round in 0..60 {
        let mut files = files_under(stopped.directory.path());
        files.retain(|path| fs::metadata(path).unwrap().len() > 0);
        let path = files[draw(files.len())].clone();
        let mut bytes = fs::read(&path).unwrap();
        let at = draw(bytes.len());
        let kind = draw(5);
        match kind {
            0 => fs::remove_file(&path).unwrap(),
            1 => fs::write(&path, &bytes[..at]).unwrap(),
            2 => {
                bytes.insert(at, 0);
                fs::write(&path, &bytes).unwrap();
            }
            _ => {
                bytes[at] ^= 1 << draw(8);
                fs::write(&path, &bytes).unwrap();
            }
        }
        let kept = stopped
            .check(&format!(
                "round {round}: {kind} at {at} of {}",
                path.display()
            ))
            .await;
        assert!(
            kept < ENTRIES - 1,
            "round {round}: damaged files were opened: {kind} at {at} of {}",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_crash_leaves_nothing_that_would_be_opened() {
    let stopped = Stopped::new().await;
    fs::remove_file(stopped.meta().with_extension("closed")).unwrap();
    assert!(stopped.check("crashed").await < ENTRIES - 1);
    fs::remove_dir_all(stopped.meta()).unwrap();
    assert!(stopped.check("the directory is gone").await < ENTRIES - 1);
}

#[tokio::test]
async fn a_part_that_changed_by_itself_is_noticed_by_the_sum() {
    let stopped = Stopped::new().await;
    let db = sled::open(stopped.meta()).unwrap();
    let mut head = db.get("head").unwrap().unwrap().to_vec();
    let place = head.iter().position(u8::is_ascii_digit).unwrap();
    head[place] ^= 1;
    db.insert("head", head).unwrap();
    db.flush().unwrap();
    drop(db);
    vouch_for(&stopped.meta()).unwrap();
    assert!(stopped.check("a changed part").await < ENTRIES - 1);

    let db = sled::open(stopped.meta()).unwrap();
    db.remove("head").unwrap();
    db.flush().unwrap();
    drop(db);
    vouch_for(&stopped.meta()).unwrap();
    assert!(stopped.check("a lost part").await < ENTRIES - 1);
}

#[tokio::test]
async fn an_applied_state_of_another_log_is_not_taken() {
    let stopped = Stopped::new().await;
    // The node's log was lost and it joins anew; its old applied state still lies there.
    let fresh: Arc<dyn Disk> = Arc::new(FaultDisk::new(2));
    let (_, machine) = open(&fresh, sled_at(stopped.directory.path()));
    assert_eq!(machine.last_applied(), None);
    assert_eq!(
        Placement::clone(&machine.watch().borrow().state),
        Placement::default()
    );
}
