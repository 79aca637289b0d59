//! The index against a map, and what splitting must not disturb.

use super::*;
use crate::place::Order;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn entry(hash: u64, place: u64) -> IndexEntry {
    IndexEntry {
        hash,
        place: Place(place),
        order: Order(place * 3),
    }
}

/// Spreads small numbers over all hashes.
fn mix(n: u64) -> u64 {
    let mixed = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

fn walk_all(index: &Index) -> Vec<IndexEntry> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        let (entries, next) = index.walk(at);
        all.extend(entries);
        cursor = next;
    }
    all
}

#[derive(Debug, Clone)]
enum Op {
    Upsert(u64, u64),
    Remove(u64),
    Move(u64, u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..300_u64, any::<u32>()).prop_map(|(key, place)| Op::Upsert(key, place.into())),
        1 => (0..300_u64).prop_map(Op::Remove),
        1 => (0..300_u64, any::<u32>()).prop_map(|(key, place)| Op::Move(key, place.into())),
    ];
    prop::collection::vec(op, 0..600)
}

proptest! {
    #[test]
    fn the_index_is_a_map(ops in ops()) {
        let (mut index, mut model) = (Index::default(), BTreeMap::new());
        for op in ops {
            match op {
                Op::Upsert(key, place) => {
                    let old = index.upsert(entry(mix(key), place), |_| true);
                    prop_assert_eq!(old.map(|old| old.place.0), model.insert(key, place));
                }
                Op::Remove(key) => {
                    let place = model.remove(&key);
                    prop_assert_eq!(index.remove(mix(key), Place(place.unwrap_or(0))), place.is_some());
                }
                Op::Move(key, to) => {
                    let from = model.get(&key).copied();
                    prop_assert_eq!(index.move_row(mix(key), Place(from.unwrap_or(0)), Place(to)), from.is_some());
                    model.entry(key).and_modify(|place| *place = to);
                }
            }
        }
        prop_assert_eq!(index.len(), model.len());
        for key in 0..300 {
            let found: Vec<u64> = index.find(mix(key)).iter().map(|entry| entry.place.0).collect();
            prop_assert_eq!(found, model.get(&key).copied().into_iter().collect::<Vec<_>>());
        }
        prop_assert_eq!(walk_all(&index).len(), model.len());
    }
}

#[test]
fn tables_split_and_every_row_is_still_found_and_walked_once() {
    let mut index = Index::default();
    for n in 0..60_000 {
        index.insert(entry(mix(n), n));
    }
    assert!(index.tables.len() >= 9, "{} tables", index.tables.len());
    assert!(
        index
            .tables
            .iter()
            .all(|table| table.entries.len() <= TABLE_ENTRIES)
    );
    assert!((0..60_000).all(|n| index.find(mix(n)).as_slice() == [entry(mix(n), n)]));
    let walked = walk_all(&index);
    assert_eq!(walked.len(), 60_000);
    assert_eq!(
        walked
            .iter()
            .map(|entry| entry.hash)
            .collect::<BTreeSet<_>>()
            .len(),
        60_000
    );
    let per_row = index.bytes() / 60_000;
    assert!((25..60).contains(&per_row), "{per_row} bytes a row");
}

#[test]
fn a_walk_sees_all_old_rows_while_new_ones_split_the_tables_under_it() {
    let mut index = Index::default();
    for n in 0..20_000 {
        index.insert(entry(mix(n), n));
    }
    let (mut seen, mut cursor, mut next) = (Vec::new(), Some(Cursor::default()), 20_000);
    while let Some(at) = cursor {
        let (entries, following) = index.walk(at);
        seen.extend(
            entries
                .iter()
                .map(|entry| entry.place.0)
                .filter(|place| *place < 20_000),
        );
        cursor = following;
        for _ in 0..20_000 {
            index.insert(entry(mix(next), next));
            next += 1;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn equal_hashes_of_different_keys_are_different_rows() {
    let mut index = Index::default();
    index.insert(entry(7, 1));
    index.insert(entry(7, 2));
    assert_eq!(index.find(7).len(), 2);
    assert_eq!(
        index.upsert(entry(7, 3), |other| other.place == Place(2)),
        Some(entry(7, 2))
    );
    assert!(index.remove(7, Place(1)));
    assert_eq!(index.find(7).as_slice(), [entry(7, 3)]);
}
