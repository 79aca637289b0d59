//! Random work against a model, with power lost, errors and short writes at every operation of the
//! disk in turn.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::{
    entry::EntryView,
    id::{Position, ShardId},
    time::EventTime,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    Condition, NewEntry, RowState, Settings, Store, Writer,
    disk::{Disk, Fault, FaultDisk},
};

const SHARDS: u16 = 3;
const KEYS: u64 = 12;
const STEPS: usize = 90;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// One shard as it must be: every entry that was ever appended under its (epoch, position).
#[derive(Debug, Clone, Default)]
struct ShardModel {
    /// What is appended and not cut, by position: its epoch, rows.
    log: Vec<(u32, Vec<Put>)>,
    epoch: u32,
    committed: usize,
    synced: usize,
    /// Cuts since the last sync: the tail may be back after a crash.
    tails_cut: Vec<Vec<(u32, Vec<Put>)>>,
}

impl ShardModel {
    /// The rows that are there: neither deleted nor below the floor.
    fn rows_at(log: &[(u32, Vec<Put>)], position: usize, floor: u64) -> BTreeMap<u64, i64> {
        let puts = log[..position].iter().flat_map(|(_, puts)| puts);
        let newest: BTreeMap<u64, &Put> = puts.map(|put| (put.key, put)).collect();
        let there = newest.into_values().filter(|put| put.event >= floor);
        there
            .filter_map(|put| Some((put.key, put.value?)))
            .collect()
    }
}

impl ShardModel {
    /// The log that a restart found: the model's, or one that a cut voided which was lost.
    fn log_with_tail(&self, commit: usize, tail: &[bytes::Bytes]) -> Vec<(u32, Vec<Put>)> {
        let epoch_of = |bytes: &bytes::Bytes| EntryView::parse(bytes).unwrap().header().epoch.0;
        let epochs: Vec<u32> = tail.iter().map(epoch_of).collect();
        let last = commit + tail.len();
        let has_tail = |log: &&Vec<(u32, Vec<Put>)>| {
            last <= log.len() && log[commit..last].iter().map(|(epoch, _)| epoch).eq(&epochs)
        };
        let mut logs = std::iter::once(&self.log).chain(&self.tails_cut);
        let found = logs.find(has_tail);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no log has {commit}..{last} in epochs {epochs:?}"))
    }
}

#[derive(Debug, Clone, Default)]
struct Model {
    floor: u64,
    synced_floor: u64,
    shards: BTreeMap<u16, ShardModel>,
}

fn small() -> Settings {
    Settings {
        held_bytes: 1 << 20,
        ..settings()
    }
}

fn try_open(disk: &FaultDisk) -> Option<(Arc<Store>, Writer, store::Recovered)> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = Store::open(disk, small()).ok()?;
    opened.0.set_max_late(VIEW, Some(Duration::ZERO));
    Some(opened)
}

/// Works until something fails. The same seed does the same work.
fn work(
    store: &Arc<Store>,
    writer: &mut Writer,
    random: &mut Random,
    model: &mut Model,
) -> Option<()> {
    for step in 0..STEPS {
        let shard = random.below(SHARDS.into()) as u16;
        let what = random.below(24);
        one_step(store, writer, random, model, (shard, what))?;
        if step % 5 == 4 {
            check_visible(store, model);
        }
    }
    Some(())
}

fn random_puts(random: &mut Random, event: u64) -> Vec<Put> {
    let mut random_put = || {
        let key = random.below(KEYS);
        let value = random.below(1 << 30) as i64;
        let dies = random.below(6) == 0;
        let padding = 2_000 + random.below(5_000) as usize;
        Put {
            view: VIEW,
            key,
            value: (!dies).then_some(value),
            event,
            padding,
        }
    };
    let first = random_put();
    let more = random_put().key % 3;
    std::iter::once(first)
        .chain((0..more).map(|_| random_put()))
        .collect()
}

fn one_step(
    store: &Arc<Store>,
    writer: &mut Writer,
    random: &mut Random,
    model: &mut Model,
    (shard, what): (u16, u64),
) -> Option<()> {
    let own = model.shards.entry(shard).or_insert_with(|| ShardModel {
        epoch: 1,
        ..ShardModel::default()
    });
    match what {
        0..=8 => {
            let puts = random_puts(random, own.log.len() as u64 + 1);
            let position = Position(own.log.len() as u64 + 1);
            let built = entry(ShardId(shard), own.epoch, position, &puts);
            // Counted first: when the log takes it and then fails, it may be there after a crash.
            own.log.push((own.epoch, puts));
            let done = writer.append(&[NewEntry {
                bytes: built.bytes,
                hashes: &built.hashes,
            }]);
            if done.is_err() {
                own.log.pop();
                return None;
            }
        }
        9..=13 => {
            writer.sync().ok()?;
            model.synced_floor = model.floor;
            for own in model.shards.values_mut() {
                own.synced = own.log.len();
                own.tails_cut.clear();
            }
        }
        14..=16 => {
            for (shard, own) in &mut model.shards {
                let through = own.committed.max(own.synced.min(own.log.len()));
                let position = Position(through as u64);
                writer
                    .commit(ShardId(*shard), position)
                    .expect("what is synced can be committed");
                own.committed = through;
            }
        }
        17 => {
            let after =
                own.committed + random.below((own.log.len() - own.committed) as u64 + 1) as usize;
            if after < own.log.len() {
                let before = own.log.clone();
                writer.cut(ShardId(shard), Position(after as u64)).ok()?;
                own.tails_cut.push(before);
                own.log.truncate(after);
                own.synced = own.synced.min(after);
                own.epoch += 1;
            }
        }
        18 => {
            let floor = model.floor + random.below(3);
            writer.set_floor(VIEW, EventTime::saturating(floor)).ok()?;
            model.floor = floor;
        }
        19 => {
            let mark = stamp(Position(own.committed as u64));
            writer.set_collected_mark(ShardId(shard), mark).ok()?;
        }
        _ => {
            writer.log_commits().ok()?;
            while store.hint_step().ok()? {}
            store.compact_step(random.below(60_000)).ok()?;
            store.sweep_step(50).ok()?;
        }
    }
    Some(())
}

fn seen(store: &Store, shard: u16) -> BTreeMap<u64, i64> {
    let keys: Vec<u64> = (0..KEYS).collect();
    let rows = read_all(store, ShardId(shard), VIEW, &keys);
    let mut visible = BTreeMap::new();
    for (key, (state, value)) in keys.into_iter().zip(rows) {
        match state {
            // A tombstone may be collected at any time: both mean that there is no row.
            RowState::Missing | RowState::Deleted => {}
            RowState::Found => assert!(visible.insert(key, value.unwrap()).is_none()),
            other => panic!("a row of a sound disk is {other:?}"),
        }
    }
    visible
}

fn check_visible(store: &Store, model: &Model) {
    for (shard, own) in &model.shards {
        assert_eq!(
            seen(store, *shard),
            ShardModel::rows_at(&own.log, own.committed, model.floor),
            "shard {shard}"
        );
    }
}

/// What a restart shows must be one of the states that the crash could have left.
fn check_recovered(
    store: &Arc<Store>,
    writer: &mut Writer,
    recovered: &store::Recovered,
    model: &mut Model,
) {
    assert!(
        recovered.damage.is_empty(),
        "a crash is not rot: {:?}",
        recovered.damage
    );
    let floor = store.floor(VIEW).micros();
    assert!(
        (model.synced_floor..=model.floor).contains(&floor),
        "floor {floor} of {}",
        model.floor
    );
    (model.floor, model.synced_floor) = (floor, floor);
    for (shard, own) in &mut model.shards {
        let id = ShardId(*shard);
        let found = recovered.shards.get(&id).cloned().unwrap_or_default();
        assert_eq!(found.state.condition, Condition::Whole, "shard {shard}");
        let (commit, last) = (
            found.state.commit.position.0 as usize,
            found.state.last.position.0 as usize,
        );
        assert!(
            commit <= own.committed,
            "a commit that never was: {commit} of {}",
            own.committed
        );
        assert_eq!(last, commit + found.tail.len());
        let log = own.log_with_tail(commit, &found.tail);
        assert!(
            last >= own.synced,
            "shard {shard}: {last} of {} synced",
            own.synced
        );
        assert_eq!(
            seen(store, *shard),
            ShardModel::rows_at(&log, commit, model.floor),
            "shard {shard} at {commit}"
        );
        // Committing again what was committed shows the same rows as before the crash.
        let again = own.committed.min(last);
        writer
            .commit(id, Position(again as u64))
            .expect("the tail can be committed");
        assert_eq!(
            seen(store, *shard),
            ShardModel::rows_at(&log, again, model.floor),
            "shard {shard} at {again}"
        );
        *own = ShardModel {
            log: log[..last].to_vec(),
            epoch: own.epoch + 1,
            committed: again,
            synced: last,
            tails_cut: Vec::new(),
        };
    }
}

fn run_to_fault(seed: u64, prepare: impl FnOnce(&FaultDisk)) -> (FaultDisk, Model) {
    let disk = FaultDisk::new(seed);
    prepare(&disk);
    let (mut model, mut random) = (Model::default(), Random(seed));
    if let Some((store, mut writer, _)) = try_open(&disk) {
        work(&store, &mut writer, &mut random, &mut model);
    }
    (disk, model)
}

/// Recovers, checks, goes on working, and checks once more after a second crash.
fn check_after(disk: &FaultDisk, mut model: Model, seed: u64) {
    disk.crash();
    let (store, mut writer, recovered) = try_open(disk).expect("a store that crashed opens again");
    check_recovered(&store, &mut writer, &recovered, &mut model);
    let mut random = Random(seed ^ 0x5555);
    work(&store, &mut writer, &mut random, &mut model).expect("nothing fails now");
    drop((store, writer));
    disk.crash();
    let (store, mut writer, recovered) = try_open(disk).expect("it opens once more");
    check_recovered(&store, &mut writer, &recovered, &mut model);
}

fn changes_of(seed: u64) -> u64 {
    run_to_fault(seed, |_| {}).0.changes()
}

#[test]
fn the_work_itself_agrees_with_the_model_and_compacts() {
    let mut freed = false;
    for seed in 0..20 {
        let (disk, model) = run_to_fault(seed, |_| {});
        freed |= disk.files().iter().any(|(name, _)| name.ends_with(".base"));
        check_after(&disk, model, seed);
    }
    assert!(freed, "some run compacts");
}

#[test]
fn power_lost_at_any_operation_keeps_what_was_synced() {
    for seed in 100..102 {
        for at in 0..changes_of(seed) {
            let (disk, model) = run_to_fault(seed, |disk| disk.fail_change(at, Fault::PowerLoss));
            check_after(&disk, model, seed + at);
        }
    }
}

#[test]
fn an_error_at_any_operation_keeps_what_was_synced() {
    for (seed, fault) in (200..).zip([Fault::InputOutput, Fault::NoSpace, Fault::ShortWrite]) {
        for at in 0..changes_of(seed) {
            let (disk, model) = run_to_fault(seed, |disk| disk.fail_change(at, fault));
            check_after(&disk, model, seed + at);
        }
    }
}

#[test]
fn a_restart_that_is_itself_cut_short_loses_nothing() {
    let seed = 300;
    for at in (0..changes_of(seed)).step_by(5) {
        for later in 0..6 {
            let (disk, model) = run_to_fault(seed, |disk| disk.fail_change(at, Fault::PowerLoss));
            disk.crash();
            disk.fail_change(disk.changes() + later, Fault::PowerLoss);
            let _ = try_open(&disk);
            check_after(&disk, model, seed + at + later);
        }
    }
}
