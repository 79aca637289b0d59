//! What the writer promises to readers, and what a restart keeps of it.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::{Position, ShardId};
use store::{
    AppendError, CommitError, Copy, CutError, NewEntry, Plan, ReadRequest, RowState, Run, Staging,
    disk::FaultDisk,
};

#[test]
fn rows_are_visible_from_commit_on_and_not_before() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    let first = append(&mut writer, S, &[put(1, 10), put(2, 20)]);
    assert_eq!(read(&store, S, 1), MISSING);
    let error = writer.commit(S, first).unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::NotWritten {
                position: Position(1),
                ..
            }
        ),
        "{error}"
    );
    writer.sync().unwrap();
    assert_eq!(read(&store, S, 1), MISSING);
    writer.commit(S, first).unwrap();
    assert_eq!(
        read_all(&store, S, VIEW, &[1, 2, 3]),
        [found(10), found(20), MISSING]
    );
    assert_eq!(read_all(&store, S, OTHER_VIEW, &[1]), [MISSING]);
    assert_eq!(read(&store, ShardId(4), 1), MISSING);
    write(&mut writer, S, &[put(1, 11), tombstone(2, 30)]);
    assert_eq!(read_all(&store, S, VIEW, &[1, 2]), [found(11), DELETED]);
    assert_eq!((store.applied(S), store.rows(S)), (Position(2), 2));
}

#[test]
fn merges_see_the_newest_appended_image_and_a_cut_takes_it_along() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10)]);
    append(&mut writer, S, &[put(1, 11)]);
    append(&mut writer, S, &[put(1, 12), put(2, 20)]);
    let newest = |writer: &store::Writer, n| {
        let record = writer.newest_pending(S, VIEW, hash(VIEW, n), key(n).as_bytes())?;
        Some(
            proto::record::RecordView::parse(&record)
                .unwrap()
                .position()
                .0,
        )
    };
    assert_eq!(
        (newest(&writer, 1), newest(&writer, 2), newest(&writer, 3)),
        (Some(3), Some(3), None)
    );
    writer.cut(S, Position(2)).unwrap();
    assert_eq!((newest(&writer, 1), newest(&writer, 2)), (Some(2), None));
    writer.cut(S, Position(1)).unwrap();
    assert_eq!(newest(&writer, 1), None);
    let error = writer.cut(S, Position(0)).unwrap_err();
    assert!(matches!(error, CutError::BelowCommit { .. }), "{error}");
    append_in(&mut writer, S, 2, &[put(1, 50)]);
    writer.sync().unwrap();
    writer.commit(S, Position(2)).unwrap();
    assert_eq!(read(&store, S, 1), found(50));
}

#[test]
fn entries_must_follow_each_other_and_bring_their_hashes() {
    let disk = FaultDisk::new(1);
    let (_, mut writer, _) = open(&disk);
    let late = entry(S, 1, Position(2), &[put(1, 1)]);
    let error = writer
        .append(&[NewEntry {
            bytes: late.bytes,
            hashes: &late.hashes,
        }])
        .unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::OutOfOrder {
                last: Position(0),
                position: Position(2),
                ..
            }
        ),
        "{error}"
    );
    let first = entry(S, 1, Position(1), &[put(1, 1)]);
    let error = writer
        .append(&[NewEntry {
            bytes: first.bytes,
            hashes: &[],
        }])
        .unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::Hashes {
                rows: 1,
                hashes: 0,
                ..
            }
        ),
        "{error}"
    );
    let error = writer
        .append(&[NewEntry {
            bytes: bytes::Bytes::from_static(&[0; 90]),
            hashes: &[],
        }])
        .unwrap_err();
    assert!(matches!(error, AppendError::Malformed(_)), "{error}");
    assert_eq!(writer.last(S).position, Position(0));
}

#[test]
fn a_restart_shows_what_was_committed_and_keeps_the_tail_pending() {
    let disk = FaultDisk::new(1);
    let (_, mut writer, recovered) = open(&disk);
    assert!(recovered.shards.is_empty());
    for n in 1..=300 {
        write(
            &mut writer,
            S,
            &[
                put(n % 50, n as i64),
                Put {
                    view: OTHER_VIEW,
                    ..put(n % 50, -1)
                },
            ],
        );
        write(&mut writer, ShardId(9), &[put(n, 1)]);
    }
    append(&mut writer, S, &[put(1, 9_000)]);
    append(&mut writer, S, &[put(2, 9_001)]);
    writer.sync().unwrap();
    drop(writer);
    disk.crash();

    let (store, mut writer, recovered) = open(&disk);
    assert!(recovered.damage.is_empty() && !recovered.torn);
    let shard = &recovered.shards[&S];
    assert_eq!(
        (shard.state.commit.position, shard.state.last.position),
        (Position(300), Position(302))
    );
    assert_eq!((shard.tail.len(), shard.requests.len()), (2, 8));
    assert_eq!(
        shard
            .state
            .streams
            .values()
            .map(|mark| mark.sequence.0)
            .collect::<Vec<_>>(),
        [300]
    );
    assert_eq!(
        read_all(&store, S, VIEW, &[0, 1, 49]),
        [found(300), found(251), found(299)]
    );
    assert_eq!(read_all(&store, S, OTHER_VIEW, &[3]), [found(-1)]);
    assert_eq!((store.rows(S), store.rows(ShardId(9))), (100, 300));
    writer.commit(S, Position(302)).unwrap();
    assert_eq!(
        read_all(&store, S, VIEW, &[1, 2]),
        [found(9_000), found(9_001)]
    );
}

#[test]
fn a_restart_knows_that_a_tail_was_cut() {
    let disk = FaultDisk::new(1);
    let (_, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10)]);
    append(&mut writer, S, &[put(1, 11)]);
    append(&mut writer, S, &[put(1, 12)]);
    writer.sync().unwrap();
    writer.cut(S, Position(1)).unwrap();
    append_in(&mut writer, S, 2, &[put(1, 77)]);
    writer.sync().unwrap();
    drop(writer);
    disk.kill();
    let (store, mut writer, recovered) = open(&disk);
    assert_eq!(recovered.shards[&S].tail.len(), 1);
    assert_eq!(recovered.shards[&S].state.last.epoch.0, 2);
    assert_eq!(read(&store, S, 1), found(10));
    writer.commit(S, Position(2)).unwrap();
    assert_eq!(read(&store, S, 1), found(77));
}

#[test]
fn plain_rows_are_copied_in_runs_and_others_come_whole() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10), put(2, 20), tombstone(3, 30)]);
    let plan = |version| Plan {
        view: VIEW,
        copy: Copy::Runs {
            schema: proto::id::SchemaVersion(version),
            runs: vec![Run {
                source: 0,
                target: 4,
                length: 8,
            }],
            stride: 12,
        },
    };
    let keys = [key(1), key(2), key(3), key(2)];
    let request = |at: usize, n, plan| ReadRequest {
        shard: S,
        plan,
        hash: hash(VIEW, n),
        key: keys[at].as_bytes(),
    };
    let requests = [
        request(0, 1, 0),
        request(1, 2, 0),
        request(2, 3, 0),
        request(3, 2, 1),
    ];
    let mut staging = Staging::new();
    store.read_batch(&requests, &[plan(1), plan(2)], &mut staging);
    let states: Vec<_> = staging.rows().iter().map(|row| row.state).collect();
    assert_eq!(
        states,
        [
            RowState::Found,
            RowState::Found,
            RowState::Deleted,
            RowState::Slow
        ]
    );
    assert_eq!(staging.cells(1)[4..], 20_i64.to_le_bytes());
    assert_eq!(staging.all_cells().len(), 48);
    assert!(staging.record(0).is_none() && staging.record(3).is_some());
    assert_eq!(staging.applied(), [(S, Position(1))]);
}

#[test]
fn rows_that_are_not_in_memory_are_left_for_the_threads_that_may_wait() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(&mut writer, S, &[put(1, 10), put(2, 20)]);
    disk.set_cached(false);
    let (one, two) = (key(1), key(2));
    let request = |n, key| ReadRequest {
        shard: S,
        plan: 0,
        hash: hash(VIEW, n),
        key,
    };
    let requests = [
        request(1, one.as_bytes()),
        request(5, two.as_bytes()),
        request(2, two.as_bytes()),
    ];
    let plans = [Plan {
        view: VIEW,
        copy: Copy::Record,
    }];
    let mut staging = Staging::new();
    store.read_cached(&requests, &plans, &mut staging);
    let states = |staging: &Staging| {
        staging
            .rows()
            .iter()
            .map(|row| row.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states(&staging),
        [RowState::Cold, RowState::Missing, RowState::Cold]
    );
    // The row is overwritten meanwhile: the batch still shows its own position.
    write(&mut writer, S, &[put(1, 11)]);
    store.read_cold(&requests, &plans, &mut staging);
    assert_eq!(
        states(&staging),
        [RowState::Found, RowState::Missing, RowState::Found]
    );
    assert_eq!(staging.rows()[0].position, Position(1));
}

#[test]
fn two_keys_of_one_hash_are_two_rows_once_a_read_has_met_them() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    let shared = hash(VIEW, 1);
    let read_as = |store: &store::Store, n| {
        let own = key(n);
        let request = ReadRequest {
            shard: S,
            plan: 0,
            hash: shared,
            key: own.as_bytes(),
        };
        let mut staging = Staging::new();
        store.read_batch(
            &[request],
            &[Plan {
                view: VIEW,
                copy: Copy::Record,
            }],
            &mut staging,
        );
        (
            staging.rows()[0].state,
            staging.record(0).map(|record| record.position().0),
        )
    };
    let put_as = |writer: &mut store::Writer, n, value| {
        let position = writer.last(S).position.next();
        let built = entry(S, 1, position, &[put(n, value)]);
        writer
            .append(&[NewEntry {
                bytes: built.bytes,
                hashes: &[shared],
            }])
            .unwrap();
        writer.sync().unwrap();
        writer.commit(S, position).unwrap();
    };
    put_as(&mut writer, 1, 10);
    assert_eq!(
        read_as(&store, 2),
        (RowState::Missing, None),
        "a merge looks before it writes"
    );
    put_as(&mut writer, 2, 20);
    put_as(&mut writer, 1, 11);
    assert_eq!(
        (read_as(&store, 1).1, read_as(&store, 2).1),
        (Some(3), Some(2))
    );
    drop((store, writer));
    disk.kill();
    let (store, mut writer, _) = open(&disk);
    put_as(&mut writer, 2, 21);
    assert_eq!(
        (read_as(&store, 1).1, read_as(&store, 2).1),
        (Some(3), Some(4))
    );
}
