//! Entries: round trip, corruption of any byte, and the golden file.

use super::*;
use crate::{
    id::{FeatureId, SchemaVersion, ViewId},
    record::{RecordKind, encode, seal},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    version::Version,
};
use proptest::prelude::*;

fn header() -> EntryHeader {
    EntryHeader {
        shard: ShardId(513),
        origin: RegionId(2),
        kind: EntryKind::Rows,
        epoch: Epoch(7),
        previous_epoch: Epoch(6),
        position: Position(1 << 40),
        incarnation: Incarnation(3),
        placement: PlacementId(4),
        part: RequestPart(1),
        sequence: Sequence(99),
        hlc: Hlc(0x0123_4567_89ab_cdef),
        request: RequestId::make(1_795_000_000_123, 5),
        link_position: 11,
    }
}

fn record(key: &[u8]) -> Vec<u8> {
    let schema = RowSchema::new(
        ViewId(1),
        SchemaVersion(1),
        vec![Column::of("int32".parse().unwrap())],
    );
    let version = Version {
        event_time: EventTime::saturating(5),
        write_time: Hlc(6),
        origin: RegionId(2),
    };
    let mut row = Row::default();
    row.set(
        FeatureId(0),
        Cell::Latest {
            version,
            content: Content::Value(vec![1, 0, 0, 0].into()),
        },
    );
    let mut bytes = encode(&row, RecordKind::OwnDelta, key, &schema)
        .unwrap()
        .bytes;
    seal(&mut bytes, Position(1 << 40));
    bytes
}

fn entry() -> Bytes {
    let mut builder = EntryBuilder::with_extras(header(), b"what became of it");
    builder.push(&record(b"one"));
    builder.push(&record(b"another key"));
    builder.finish()
}

#[test]
fn an_entry_reads_back() {
    let bytes = entry();
    let view = EntryView::parse(&bytes).unwrap();
    view.verify().unwrap();
    assert_eq!(
        (view.header(), view.extras()),
        (&header(), &b"what became of it"[..])
    );
    let keys: Vec<_> = view.records().map(|(_, record)| record.key()).collect();
    assert_eq!(keys, [&b"one"[..], b"another key"]);
}

#[test]
fn an_entry_without_extras_and_records_reads_back() {
    let bytes = EntryBuilder::new(EntryHeader {
        kind: EntryKind::Epoch,
        ..header()
    })
    .finish();
    let view = EntryView::parse(&bytes).unwrap();
    view.verify().unwrap();
    assert_eq!(
        (bytes.len(), view.extras(), view.record_count()),
        (80, &b""[..], 0)
    );
}

#[test]
fn the_stored_bytes_of_an_entry_do_not_change() {
    let golden = include_bytes!("../../tests/golden/entry-v1.bin");
    assert_eq!(entry(), golden[..]);
    assert_eq!(EntryView::parse(golden).unwrap().header(), &header());
}

#[test]
fn records_of_another_entry_are_noticed() {
    let (mut bytes, good) = (entry().to_vec(), entry());
    let offset = EntryView::parse(&good).unwrap().records().next().unwrap().0;
    let other = record(b"two");
    bytes[offset..offset + other.len()].copy_from_slice(&other);
    let view = EntryView::parse(&bytes).unwrap();
    assert!(
        view.records().all(|(_, record)| record.verify().is_ok()),
        "each record is whole"
    );
    assert!(view.verify().is_err(), "but they are not this entry's");
}

#[test]
fn an_entry_takes_no_more_than_its_limits() {
    let builder = EntryBuilder::new(header());
    assert!(builder.has_room_for(ENTRY_BYTES - HEADER_BYTES));
    assert!(!builder.has_room_for(ENTRY_BYTES - HEADER_BYTES + 1));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_always_noticed(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = entry().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let noticed = EntryView::parse(&bytes).and_then(|view| view.verify()).is_err();
        prop_assert!(noticed, "a flip of bit {bit} at {at} passed");
    }

    #[test]
    fn any_bytes_never_panic(mut bytes: Vec<u8>, kind in 0..14_u8) {
        if bytes.len() >= HEADER_BYTES {
            let length = (bytes.len() & !15) as u32;
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            bytes[12] = kind;
        }
        if let Ok(view) = EntryView::parse(&bytes) {
            let _ = (view.verify(), view.extras());
        }
    }
}
