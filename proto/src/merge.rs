//! The merge rule: one total, pure function for primaries, links, snapshots, repair and tests.
//!
//! Of two cells the one with the larger version stands; where the versions are equal, the larger
//! canonical bytes. A deletion shadows every cell up to and with its own version. The result does
//! not depend on order, grouping or repetition (I2), so all replicas that saw the same writes hold
//! the same row (I1).

use crate::{
    row::{Cell, Content, Row, Slot},
    schema::{Column, RowSchema},
    value::canonical_order,
    version::Version,
};
use smallvec::SmallVec;
use std::cmp::Ordering;

/// Merges two rows of one key under one schema.
#[must_use]
pub fn merge(left: Row, right: Row, schema: &RowSchema) -> Row {
    let deletion = left.deletion.max(right.deletion);
    let (mut longer, shorter) = if left.cells.len() >= right.cells.len() {
        (left.cells, right.cells)
    } else {
        (right.cells, left.cells)
    };
    for (place, other) in shorter.into_iter().enumerate() {
        let column = &schema.columns()[place];
        longer[place] = merge_places(longer[place].take(), other, column);
    }
    let mut merged = Row {
        deletion,
        cells: longer,
    };
    merged.retain(|version| deletion.is_none_or(|deletion| *version > deletion));
    merged
}

fn merge_places(left: Option<Cell>, right: Option<Cell>, column: &Column) -> Option<Cell> {
    match (left, right) {
        (Some(left), Some(right)) => Some(merge_cells(left, right, column)),
        (left, right) => left.or(right),
    }
}

fn merge_cells(left: Cell, right: Cell, column: &Column) -> Cell {
    match (left, right) {
        (
            Cell::Latest {
                version: a,
                content: x,
            },
            Cell::Latest {
                version: b,
                content: y,
            },
        ) => {
            let (version, content) = larger((a, x), (b, y), column);
            Cell::Latest { version, content }
        }
        (Cell::Slots(a), Cell::Slots(b)) => Cell::Slots(merge_slots(a, b, column)),
        // One view's feature combines in all its schema versions or in none.
        (Cell::Latest { .. }, Cell::Slots(_)) | (Cell::Slots(_), Cell::Latest { .. }) => {
            unreachable!("a feature's combine never changes within a view version")
        }
    }
}

fn merge_slots(
    mut left: SmallVec<[Slot; 1]>,
    right: SmallVec<[Slot; 1]>,
    column: &Column,
) -> SmallVec<[Slot; 1]> {
    for slot in right {
        match left.binary_search_by_key(&slot.region, |own| own.region) {
            Err(place) => left.insert(place, slot),
            Ok(place) => {
                let own = left[place].clone();
                let (version, content) = larger(
                    (own.version, own.content),
                    (slot.version, slot.content),
                    column,
                );
                left[place] = Slot {
                    region: own.region,
                    version,
                    content,
                };
            }
        }
    }
    left
}

fn larger(
    left: (Version, Content),
    right: (Version, Content),
    column: &Column,
) -> (Version, Content) {
    let order = left
        .0
        .cmp(&right.0)
        .then_with(|| content_order(&left.1, &right.1, column));
    if order == Ordering::Less { right } else { left }
}

/// The order of contents with equal versions: null below every value.
fn content_order(left: &Content, right: &Content, column: &Column) -> Ordering {
    match (left, right) {
        (Content::Value(left), Content::Value(right)) => canonical_order(column.ty, left, right),
        (Content::Null, Content::Null) => Ordering::Equal,
        (Content::Null, Content::Value(_)) => Ordering::Less,
        (Content::Value(_), Content::Null) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hlc::Hlc,
        id::{FeatureId, RegionId, SchemaVersion, ViewId},
        schema::Combine,
        time::EventTime,
    };
    use proptest::prelude::*;

    fn schema(first: &str) -> RowSchema {
        let columns = vec![
            Column::of(first.parse().unwrap()),
            Column::of("string".parse().unwrap()),
            Column {
                ty: "int64".parse().unwrap(),
                combine: Combine::Sum,
            },
        ];
        RowSchema::new(ViewId(1), SchemaVersion(1), columns)
    }

    fn version(event: u64, write: u64, origin: u16) -> Version {
        Version {
            event_time: EventTime::saturating(event),
            write_time: Hlc(write),
            origin: RegionId(origin),
        }
    }

    fn cell(event: u64, value: i64) -> Cell {
        let content = Content::Value(value.to_le_bytes().to_vec().into());
        Cell::Latest {
            version: version(event, 1, 1),
            content,
        }
    }

    fn row_of(feature: u16, cell: Cell) -> Row {
        let mut row = Row::default();
        row.set(FeatureId(feature), cell);
        row
    }

    #[test]
    fn an_older_event_after_a_newer_one_changes_nothing() {
        let newer = row_of(0, cell(20, 2));
        assert_eq!(
            merge(newer.clone(), row_of(0, cell(10, 1)), &schema("int64")),
            newer
        );
    }

    #[test]
    fn a_partial_update_keeps_the_other_features() {
        let text = Cell::Latest {
            version: version(5, 1, 1),
            content: Content::Value("a".into()),
        };
        let merged = merge(
            row_of(1, text.clone()),
            row_of(0, cell(10, 1)),
            &schema("int64"),
        );
        assert_eq!(
            (merged.cell(FeatureId(0)), merged.cell(FeatureId(1))),
            (Some(&cell(10, 1)), Some(&text))
        );
    }

    #[test]
    fn a_deletion_outlives_the_partial_update_after_it() {
        let deleted = Row::deleted(version(100, 1, 1));
        let rewritten = merge(deleted, row_of(0, cell(110, 1)), &schema("int64"));
        let late = merge(rewritten.clone(), row_of(0, cell(90, 2)), &schema("int64"));
        assert_eq!(late, rewritten);
        let equal = merge(
            Row::deleted(version(100, 1, 1)),
            row_of(0, cell(100, 3)),
            &schema("int64"),
        );
        assert_eq!(
            equal,
            Row::deleted(version(100, 1, 1)),
            "on a full tie the deletion stands"
        );
    }

    fn versions() -> impl Strategy<Value = Version> {
        (0..4_u64, 0..3_u64, 0..3_u16)
            .prop_map(|(event, write, origin)| version(event, write, origin))
    }

    fn contents(width: usize) -> impl Strategy<Value = Content> {
        prop_oneof![
            1 => Just(Content::Null),
            4 => prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], width)
                .prop_map(|bytes| Content::Value(bytes.into())),
        ]
    }

    fn latest(width: usize) -> impl Strategy<Value = Option<Cell>> {
        prop::option::of(
            (versions(), contents(width))
                .prop_map(|(version, content)| Cell::Latest { version, content }),
        )
    }

    fn slots() -> impl Strategy<Value = Option<Cell>> {
        prop::collection::btree_map(0..3_u16, (versions(), contents(8)), 0..3).prop_map(|map| {
            let slot = |(region, (version, content))| Slot {
                region: RegionId(region),
                version,
                content,
            };
            let slots: SmallVec<[Slot; 1]> = map.into_iter().map(slot).collect();
            (!slots.is_empty()).then_some(Cell::Slots(slots))
        })
    }

    /// Rows as they can exist: nothing at or below the row's own deletion.
    fn rows(width: usize) -> impl Strategy<Value = Row> {
        (
            prop::option::weighted(0.3, versions()),
            latest(width),
            latest(1),
            slots(),
        )
            .prop_map(|(deletion, first, second, third)| {
                let mut row = Row {
                    deletion,
                    cells: vec![first, second, third],
                };
                row.retain(|version| deletion.is_none_or(|deletion| *version > deletion));
                row
            })
    }

    fn merge_all(rows: &[Row], schema: &RowSchema) -> Row {
        rows.iter()
            .cloned()
            .fold(Row::default(), |merged, row| merge(merged, row, schema))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn merging_does_not_depend_on_order_grouping_or_repetition(
            rows in prop::collection::vec(rows(8), 1..6),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let schema = schema("int64");
            let expected = merge_all(&rows, &schema);
            let mut shuffled: Vec<Row> = picks.iter().map(|pick| pick.get(&rows).clone()).collect();
            shuffled.extend(rows.iter().rev().cloned());
            prop_assert_eq!(&merge_all(&shuffled, &schema), &expected);
            let (head, tail) = shuffled.split_at(cut.index(shuffled.len()));
            let grouped = merge(merge_all(tail, &schema), merge_all(head, &schema), &schema);
            prop_assert_eq!(&grouped, &expected);
            prop_assert_eq!(&merge(expected.clone(), expected.clone(), &schema), &expected);
        }

        #[test]
        fn no_version_ever_regresses(left in rows(8), right in rows(8)) {
            let merged = merge(left.clone(), right.clone(), &schema("int64"));
            prop_assert!(merged.deletion >= left.deletion.max(right.deletion));
            for feature in (0..2).map(FeatureId) {
                let before = left.cell(feature).map(Cell::version).max(right.cell(feature).map(Cell::version));
                let after = merged.cell(feature).map(Cell::version).max(merged.deletion);
                prop_assert!(after >= before);
            }
        }

        #[test]
        fn widening_before_or_after_a_merge_gives_the_same_row(left in rows(4), right in rows(4)) {
            let (narrow, wide) = (schema("int32"), RowSchema::new(ViewId(1), SchemaVersion(2), schema("int64").columns().to_vec()));
            let after = merge(left.clone(), right.clone(), &narrow).widened(&narrow, &wide);
            let before = merge(left.widened(&narrow, &wide), right.widened(&narrow, &wide), &wide);
            prop_assert_eq!(after, before);
        }

        #[test]
        fn dropping_below_the_floor_before_or_after_a_merge_gives_the_same_row(
            left in rows(8), right in rows(8), floor in 0..4_u64,
        ) {
            let floor = EventTime::saturating(floor);
            let mut after = merge(left.clone(), right.clone(), &schema("int64"));
            after.drop_below(floor);
            let (mut left, mut right) = (left, right);
            left.drop_below(floor);
            right.drop_below(floor);
            prop_assert_eq!(merge(left, right, &schema("int64")), after);
        }
    }
}
