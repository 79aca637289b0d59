//! Records: round trips of any row, corruption of any byte, and the golden file.

use super::{RecordKind, RecordView, UNSTAMPED, encode, seal, stamp};
use crate::{
    hlc::Hlc,
    id::{FeatureId, Position, RegionId, SchemaVersion, ViewId},
    row::{Cell, Content, Row, Slot},
    schema::{Column, Combine, RowSchema},
    time::EventTime,
    types::Type,
    version::Version,
};
use proptest::prelude::*;
use smallvec::smallvec;

const TYPES: [&str; 8] = [
    "int64",
    "bool",
    "string",
    "float32",
    "vector<int8, 3>",
    "list<string>",
    "bytes",
    "int64",
];

/// Column 7 combines.
fn schema() -> RowSchema {
    let mut columns: Vec<_> = TYPES
        .iter()
        .map(|ty| Column::of(ty.parse().unwrap()))
        .collect();
    columns[7].combine = Combine::Sum;
    RowSchema::new(ViewId(9), SchemaVersion(2), columns)
}

fn version(event: u64, write: u64, origin: u16) -> Version {
    Version {
        event_time: EventTime::saturating(event),
        write_time: Hlc(write),
        origin: RegionId(origin),
    }
}

fn value(bytes: &[u8]) -> Content {
    Content::Value(bytes.to_vec().into())
}

fn latest(version: Version, content: Content) -> Cell {
    Cell::Latest { version, content }
}

fn sealed(row: &Row, kind: RecordKind) -> Vec<u8> {
    let mut bytes = encode(row, kind, b"key", &schema()).unwrap().bytes;
    seal(&mut bytes, Position(0x1234_5678_9abc));
    bytes
}

fn check_round_trip(row: &Row) {
    let bytes = sealed(row, RecordKind::Image);
    let view = RecordView::parse(&bytes).unwrap();
    view.verify().unwrap();
    assert_eq!(view.to_row(&schema()).unwrap(), *row);
    assert_eq!(
        (view.key(), view.view(), view.position()),
        (&b"key"[..], ViewId(9), Position(0x1234_5678_9abc))
    );
    assert_eq!(Some(view.version()), row.version());
    assert_eq!(view.deletion(), row.deletion);
}

/// A row with every kind of cell, two versions and a deletion.
fn rich_row() -> Row {
    let (new, old) = (version(200, 20, 1), version(150, 30, 2));
    let mut row = Row {
        deletion: Some(version(100, 10, 1)),
        cells: Vec::new(),
    };
    row.set(FeatureId(0), latest(new, value(&7_i64.to_le_bytes())));
    row.set(FeatureId(1), latest(old, Content::Null));
    row.set(FeatureId(2), latest(new, value("grüße".as_bytes())));
    row.set(FeatureId(4), latest(old, value(&[1, 2, 255])));
    row.set(FeatureId(6), latest(new, value(b"")));
    let slot = |region, version, content| Slot {
        region: RegionId(region),
        version,
        content,
    };
    let slots = smallvec![
        slot(1, new, value(&5_i64.to_le_bytes())),
        slot(2, old, Content::Null)
    ];
    row.set(FeatureId(7), Cell::Slots(slots));
    row
}

#[test]
fn a_rich_row_reads_back() {
    check_round_trip(&rich_row());
    check_round_trip(&Row::deleted(version(5, 6, 7)));
}

#[test]
fn the_stored_bytes_of_a_record_do_not_change() {
    let golden = include_bytes!("../../tests/golden/record-v1.bin");
    assert_eq!(sealed(&rich_row(), RecordKind::Image), golden);
    let view = RecordView::parse(golden).unwrap();
    assert_eq!(view.to_row(&schema()).unwrap(), rich_row());
}

#[test]
fn a_row_with_every_feature_under_one_version_is_full() {
    let full_schema = RowSchema::new(
        ViewId(1),
        SchemaVersion(1),
        vec![Column::of("bool".parse().unwrap()); 2],
    );
    let mut row = Row::default();
    row.set(FeatureId(0), latest(version(1, 1, 1), value(&[1])));
    let is_full = |row: &Row| {
        let bytes = encode(row, RecordKind::OwnDelta, b"", &full_schema)
            .unwrap()
            .bytes;
        RecordView::parse(&bytes).unwrap().is_full()
    };
    assert!(!is_full(&row), "a feature is missing");
    row.set(FeatureId(1), latest(version(1, 1, 1), Content::Null));
    assert!(is_full(&row), "a null is set");
    row.deletion = Some(version(0, 0, 0));
    assert!(!is_full(&row), "a deletion is remembered");
    row.deletion = None;
    row.set(FeatureId(1), latest(version(2, 1, 1), value(&[1])));
    assert!(!is_full(&row), "it has two versions");
}

#[test]
fn a_stamp_reaches_every_version_that_waits_for_it() {
    let waiting = Version {
        write_time: UNSTAMPED,
        ..version(200, 0, 1)
    };
    let mut row = rich_row();
    row.set(FeatureId(0), latest(waiting, value(&1_i64.to_le_bytes())));
    let slots = smallvec![Slot {
        region: RegionId(1),
        version: waiting,
        content: value(&5_i64.to_le_bytes())
    }];
    row.set(FeatureId(7), Cell::Slots(slots));
    let mut encoded = encode(&row, RecordKind::Image, b"key", &schema()).unwrap();
    stamp(&mut encoded, Hlc(77), Some(EventTime::saturating(300)));
    let read = RecordView::parse(&encoded.bytes)
        .unwrap()
        .to_row(&schema())
        .unwrap();
    let stamped = version(300, 77, 1);
    assert_eq!(read.cell(FeatureId(0)).unwrap().version(), stamped);
    assert_eq!(read.cell(FeatureId(7)).unwrap().version(), stamped);
    assert_eq!(
        read.cell(FeatureId(4)).unwrap().version(),
        version(150, 30, 2),
        "others keep theirs"
    );
}

#[test]
fn more_than_255_versions_fit() {
    let columns = vec![Column::of("bool".parse().unwrap()); 600];
    let schema = RowSchema::new(ViewId(1), SchemaVersion(1), columns);
    let mut row = Row::default();
    for feature in 0..600 {
        row.set(
            FeatureId(feature),
            latest(version(u64::from(feature), 1, 1), value(&[1])),
        );
    }
    let encoded = encode(&row, RecordKind::Image, b"", &schema).unwrap();
    let view = RecordView::parse(&encoded.bytes).unwrap();
    assert_eq!(view.extra_versions(), 599);
    assert_eq!(view.to_row(&schema).unwrap(), row);
}

#[test]
fn rows_over_the_limit_and_empty_rows_are_refused() {
    let mut row = Row::default();
    assert!(encode(&row, RecordKind::Image, b"", &schema()).is_err());
    row.set(
        FeatureId(6),
        latest(version(1, 1, 1), value(&vec![0; 900 << 10])),
    );
    assert!(
        encode(&row, RecordKind::Image, b"", &schema())
            .unwrap_err()
            .to_string()
            .contains("may take 921600 bytes")
    );
}

fn versions() -> impl Strategy<Value = Version> {
    (10..14_u64, 0..3_u64, 0..3_u16)
        .prop_map(|(event, write, origin)| version(event, write, origin))
}

fn contents(ty: Type) -> impl Strategy<Value = Content> {
    let lengths = ty.width().map_or(0..300, |width| width..width + 1);
    prop_oneof![
        1 => Just(Content::Null),
        5 => prop::collection::vec(any::<u8>(), lengths).prop_map(|bytes| Content::Value(bytes.into())),
    ]
}

fn rows() -> impl Strategy<Value = Row> {
    let cells: Vec<_> = TYPES[..7]
        .iter()
        .map(|ty| {
            prop::option::of(
                (versions(), contents(ty.parse().unwrap())).prop_map(|(v, c)| latest(v, c)),
            )
        })
        .collect();
    let deletion = prop::option::of((0..9_u64).prop_map(|event| version(event, 1, 1)));
    (deletion, cells).prop_map(|(deletion, cells)| {
        let mut row = Row { deletion, cells };
        row.retain(|_| true);
        row
    })
}

proptest! {
    #[test]
    fn any_row_reads_back(row in rows().prop_filter("nothing to store", |row| !row.is_empty())) {
        check_round_trip(&row);
    }

    #[test]
    fn a_flipped_bit_is_always_noticed(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = sealed(&rich_row(), RecordKind::Image);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let noticed = RecordView::parse(&bytes).and_then(|view| view.verify()).is_err();
        prop_assert!(noticed, "a flip of bit {bit} at {at} passed");
    }

    #[test]
    fn bytes_that_pass_no_checksum_never_panic(mut bytes: Vec<u8>, length in 0..512_u32) {
        if bytes.len() > 8 {
            bytes[4..8].copy_from_slice(&(length & !15).to_le_bytes());
        }
        if let Ok(view) = RecordView::parse(&bytes) {
            let _ = view.to_row(&schema());
        }
    }

    #[test]
    fn a_corrupted_record_never_panics(row in rows(), at in any::<prop::sample::Index>(), byte: u8) {
        prop_assume!(!row.is_empty());
        let mut bytes = sealed(&row, RecordKind::Image);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(view) = RecordView::parse(&bytes) {
            let _ = (view.to_row(&schema()), view.version(), view.deletion(), view.key());
        }
    }
}
