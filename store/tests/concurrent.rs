//! Readers, the writer, its syncing thread and background steps at the same time.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![expect(clippy::disallowed_methods, reason = "threads are what is tested here")]

mod common;

use common::*;
use proto::id::Position;
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};
use store::{Copy, Plan, ReadRequest, Staging, Store, disk::FaultDisk};

const KEYS: u64 = 40;

/// Reads two views of some keys in one batch: both rows of a key were written by one entry.
fn read_pairs(store: &Store, staging: &mut Staging) -> Position {
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let request = |n: u64, plan: u16| ReadRequest {
        shard: S,
        plan,
        hash: hash([VIEW, OTHER_VIEW][usize::from(plan)], n),
        key: keys[n as usize].as_bytes(),
    };
    let requests: Vec<_> = (0..KEYS)
        .flat_map(|n| [request(n, 0), request(n, 1)])
        .collect();
    let plans = [VIEW, OTHER_VIEW].map(|view| Plan {
        view,
        copy: Copy::Record,
    });
    store.read_batch(&requests, &plans, staging);
    let applied = staging.applied()[0].1;
    for (at, pair) in staging.rows().chunks(2).enumerate() {
        assert_eq!(pair[0].state, pair[1].state, "key {at}");
        assert_eq!(pair[0].position, pair[1].position, "key {at} is torn");
        assert!(pair[0].position <= applied);
    }
    applied
}

#[test]
fn no_reader_ever_sees_half_an_entry_or_goes_back() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = open(&disk);
    write(
        &mut writer,
        S,
        &[
            put(0, 0),
            Put {
                view: OTHER_VIEW,
                ..put(0, 0)
            },
        ],
    );
    let stop = AtomicBool::new(false);
    let (batches, to_sync) = mpsc::channel::<store::Batch>();
    let (done, synced) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for mut batch in to_sync {
                batch.write().unwrap();
                done.send(batch.sync().unwrap()).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let (mut staging, mut last) = (Staging::new(), Position(0));
                while !stop.load(Ordering::Relaxed) {
                    let applied = read_pairs(&store, &mut staging);
                    assert!(applied >= last);
                    last = applied;
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                while store.hint_step().unwrap() {}
                store.compact_step(20_000).unwrap();
                store.sweep_step(100).unwrap();
            }
        });
        let compacted = || disk.files().iter().any(|(name, _)| name.ends_with(".base"));
        // Until compaction has surely run beside the readers.
        for n in (1..30_000).take_while(|n| *n < 1_500 || !compacted()) {
            let row = Put {
                padding: 400,
                ..put(n % KEYS, n as i64)
            };
            let position = append(
                &mut writer,
                S,
                &[
                    row,
                    Put {
                        view: OTHER_VIEW,
                        ..row
                    },
                ],
            );
            batches.send(writer.take_batch()).unwrap();
            // The next entry is appended while this one is being synced.
            if n % 2 == 0 {
                append(&mut writer, S, &[put(KEYS + n, 1)]);
            }
            writer.note_synced(synced.recv().unwrap());
            writer.commit(S, position).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        drop(batches);
    });
    assert!(store.applied(S) >= Position(2_000));
    assert_eq!(store.repair_counts().found, 0);
}
