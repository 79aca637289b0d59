//! Power is lost at every operation on the disk: what was acknowledged is there afterwards, and
//! nothing that was taken back returns.

use super::{entry, log_id, open};
use crate::{
    group::{applied::MemoryState, types::LogId},
    placement::Placement,
};
use openraft::{
    RaftLogReader, RaftSnapshotBuilder, Vote,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};
use std::{collections::BTreeMap, sync::Arc};
use store::disk::{Disk, Fault, FaultDisk};

/// What openraft was told is durable.
#[derive(Default, Clone)]
struct Promised {
    vote: Option<Vote<u64>>,
    entries: BTreeMap<u64, LogId>,
    purged: Option<LogId>,
    snapshot: Option<LogId>,
    committed: Option<LogId>,
    state: Placement,
    /// What was asked for last and not acknowledged: it may be there or not.
    asked: Option<Asked>,
}

#[derive(Clone, Copy)]
enum Asked {
    Vote(Vote<u64>),
    Append(LogId),
    Truncate(u64),
    Purge(LogId),
    Other,
}

/// Votes, appends, takes back, snapshots and cuts until the disk fails.
async fn work(
    disk: &Arc<dyn Disk>,
    promised: &mut Promised,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut log, mut machine) = open(disk, Box::new(MemoryState));
    let (mut index, mut term) = (0, 1);
    for round in 0..6 {
        let vote = Vote::new(term, 1);
        promised.asked = Some(Asked::Vote(vote));
        log.save_vote(&vote).await?;
        promised.vote = Some(vote);
        for _ in 0..25 {
            promised.asked = Some(Asked::Append(log_id(term, index)));
            log.blocking_append([entry(term, index)]).await?;
            promised.entries.insert(index, log_id(term, index));
            index += 1;
        }
        let back = index - 3;
        promised.asked = Some(Asked::Truncate(back));
        log.truncate(log_id(term, back)).await?;
        promised.entries.split_off(&back);
        (index, term) = (back, term + 1);

        promised.asked = Some(Asked::Other);
        let committed = promised.entries[&(index - 1)];
        log.save_committed(Some(committed)).await?;
        promised.committed = Some(committed);
        let first = machine.last_applied().map_or(0, |last| last.index + 1);
        machine
            .apply(log.try_get_log_entries(first..index).await?)
            .await?;
        promised.state = Placement::clone(&machine.watch().borrow().state);
        if round % 2 == 1 {
            let snapshot = machine
                .get_snapshot_builder()
                .await
                .build_snapshot()
                .await?;
            promised.snapshot = snapshot.meta.last_log_id;
            let purged = promised.entries[&(index - 5)];
            promised.asked = Some(Asked::Purge(purged));
            log.purge(purged).await?;
            promised.purged = Some(purged);
            promised.entries = promised.entries.split_off(&(purged.index + 1));
        }
    }
    promised.asked = None;
    Ok(())
}

async fn check(disk: &Arc<dyn Disk>, promised: &Promised, at: u64) {
    let (mut log, mut machine) = open(disk, Box::new(MemoryState));
    let vote = log.read_vote().await.unwrap();
    let may_vote = matches!(promised.asked, Some(Asked::Vote(asked)) if vote == Some(asked));
    assert!(
        vote == promised.vote || may_vote,
        "operation {at}: vote {vote:?}, promised {:?}",
        promised.vote
    );

    let entries = log.try_get_log_entries(..).await.unwrap();
    let found: BTreeMap<u64, LogId> = entries
        .iter()
        .map(|entry| (entry.log_id.index, entry.log_id))
        .collect();
    let mut expected = promised.entries.clone();
    match promised.asked {
        Some(Asked::Append(id)) if found.contains_key(&id.index) => {
            expected.insert(id.index, id);
        }
        Some(Asked::Truncate(index)) if !found.contains_key(&index) => {
            expected.split_off(&index);
        }
        Some(Asked::Purge(id)) if !found.contains_key(&id.index) => {
            expected = expected.split_off(&(id.index + 1));
        }
        _ => {}
    }
    assert_eq!(found, expected, "operation {at}");

    // The state comes from the snapshot file and the log up to what is committed.
    let committed = log.read_committed().await.unwrap();
    assert!(
        committed >= promised.committed,
        "operation {at}: {committed:?}"
    );
    assert!(
        machine.last_applied() >= promised.snapshot,
        "operation {at}"
    );
    let first = machine.last_applied().map_or(0, |last| last.index + 1);
    let last = committed.map_or(0, |last| last.index + 1);
    if first < last {
        machine
            .apply(log.try_get_log_entries(first..last).await.unwrap())
            .await
            .unwrap();
    }
    if committed == promised.committed && committed.is_some() {
        assert_eq!(
            Placement::clone(&machine.watch().borrow().state).policy,
            promised.state.policy,
            "operation {at}"
        );
    }
    // And it goes on from there.
    let next = log.last().map_or(0, |last| last.index + 1);
    log.blocking_append([entry(99, next)]).await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_loss_at_every_operation() {
    let whole = FaultDisk::new(0);
    let mut promised = Promised::default();
    work(&(Arc::new(whole.clone()) as Arc<dyn Disk>), &mut promised)
        .await
        .unwrap();
    let operations = whole.changes();
    assert!(operations > 300, "{operations}");
    for at in 0..operations {
        let disk = FaultDisk::new(at);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        disk.fail_change(at, Fault::PowerLoss);
        let mut promised = Promised {
            asked: Some(Asked::Other),
            ..Promised::default()
        };
        // At the very first operations even opening fails, which is no promise broken.
        let ended = catch(work(&shared, &mut promised)).await;
        assert!(
            !matches!(ended, Some(Ok(()))),
            "operation {at} did not fail"
        );
        disk.crash();
        check(&shared, &promised, at).await;
    }
}

/// The outcome of a future, none if it panicked.
async fn catch<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            future.as_mut().poll(context)
        }));
        match polled {
            Ok(polled) => polled.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        }
    })
    .await
}
