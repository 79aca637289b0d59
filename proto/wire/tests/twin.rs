//! The public schema and its twin are one and the same on the wire, in both directions.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use bytes::{BufMut, Bytes, BytesMut};
use proptest::{collection::vec, option, prelude::*};
use prost::{Message, encoding};
use prost_types::{FileDescriptorSet, field_descriptor_proto::Label};
use wire::{
    codec::{self, Twin},
    twin, v1,
};

/// Public bytes read as the twin give the same bytes again, and lead back to the public message.
fn check_same<T: Twin>(public: &T::Public) {
    let bytes = Bytes::from(public.encode_to_vec());
    let twin = T::decode(bytes.clone()).expect("the twin reads what the public type wrote");
    assert_eq!(twin.encode_to_vec(), bytes, "the twin wrote other bytes");
    let back =
        T::Public::decode(Bytes::from(twin.encode_to_vec())).expect("the public type reads them");
    assert_eq!(back.encode_to_vec(), bytes);
}

fn blobs() -> impl Strategy<Value = Vec<Bytes>> {
    vec(vec(any::<u8>(), 0..5).prop_map(Bytes::from), 0..4)
}

fn key_columns() -> impl Strategy<Value = Vec<v1::KeyColumn>> {
    let column = (
        ".{0,5}",
        vec(any::<i64>(), 0..4),
        vec(".{0,4}", 0..4),
        blobs(),
        vec(any::<u32>(), 0..4),
    );
    vec(
        column.prop_map(|(name, ints, strings, blobs, ends)| v1::KeyColumn {
            name,
            ints,
            strings,
            joined: blobs.concat().into(),
            blobs,
            ends,
        }),
        0..3,
    )
}

fn columns() -> impl Strategy<Value = Vec<v1::Column>> {
    let numbers = (
        vec(any::<u64>().prop_map(f64::from_bits), 0..4),
        vec(any::<u32>().prop_map(f32::from_bits), 0..4),
        vec(any::<i64>(), 0..4),
        vec(any::<i32>(), 0..4),
        vec(any::<bool>(), 0..4),
    );
    let rest = (
        vec(".{0,4}", 0..4),
        blobs(),
        vec(any::<u32>(), 0..4),
        any::<bool>(),
        0..12_i32,
        any::<u32>(),
    );
    vec(
        (".{0,5}", numbers, rest).prop_map(|(feature, (f64, f32, i64, i32, bools), rest)| {
            let (strings, blobs, ends, flag, r#type, number) = rest;
            let raw = Bytes::from(blobs.concat());
            v1::Column {
                feature,
                shared: flag,
                r#type,
                list: !flag,
                dimension: number,
                statuses: number / 2,
                times: number / 3,
                f64,
                f32,
                i64,
                i32,
                bools,
                cells: raw.slice(..raw.len() / 2),
                raw,
                strings,
                blobs,
                ends,
            }
        }),
        0..3,
    )
}

proptest! {
    #[test]
    fn lookups_are_equal_on_the_wire(
        shared in key_columns(), rows in key_columns(), names in vec(".{0,5}", 0..3), which: bool,
        staleness in option::of(any::<u64>()), columns in columns(), statuses in blobs(), times in vec(any::<i64>(), 0..4),
    ) {
        use v1::lookup_request::Select;
        let select = if which { Select::Service("s".into()) } else { Select::Features(v1::Features { names }) };
        check_same::<twin::LookupRequest>(&v1::LookupRequest {
            project: "p".into(), select: Some(select), shared, rows, token: Bytes::from_static(b"t"),
            max_staleness_us: staleness, on_stale: 1, event_times: which, no_defaults: !which, omit_names: which,
        });
        check_same::<twin::LookupResponse>(&v1::LookupResponse {
            columns, statuses, times: vec![v1::Times { micros: times }], row_count: 3, region: "eu".into(),
            revision: 7, stale: which, token: Bytes::new(),
            staleness: vec![v1::OriginStaleness { origin: "us".into(), micros: staleness }],
        });
    }

    #[test]
    fn writes_are_equal_on_the_wire(
        keys in key_columns(), features in columns(), times in vec(any::<i64>(), 0..4), time in option::of(any::<i64>()),
    ) {
        use v1::delete_request::What;
        check_same::<twin::DeleteRequest>(&v1::DeleteRequest {
            project: "p".into(), what: Some(What::Entity("e".into())), keys: keys.clone(),
            event_time_us: time, request_id: Bytes::new(), ack: 2,
        });
        let rows = v1::ViewRows { view: "v".into(), keys, features, event_times_us: times };
        check_same::<twin::WriteRequest>(&v1::WriteRequest {
            project: "p".into(), request_id: Bytes::from_static(&[1; 16]), writes: vec![rows.clone(), rows],
            ack: 1, token: Bytes::new(), slot: "eu".into(),
        });
    }

    #[test]
    fn what_the_twin_writes_the_public_type_reads_as_numbers(f64 in vec(any::<u64>(), 0..6), i32 in vec(any::<i32>(), 0..6), bools in vec(any::<bool>(), 0..6)) {
        let packed = |bytes: Vec<u8>| if bytes.is_empty() { vec![] } else { vec![Bytes::from(bytes)] };
        let column = twin::Column {
            f64: packed(f64.iter().flat_map(|bits| bits.to_le_bytes()).collect()),
            i32: packed(i32.iter().flat_map(|number| number.to_le_bytes()).collect()),
            bools: packed(bools.iter().map(|flag| u8::from(*flag)).collect()),
            ..Default::default()
        };
        let public = v1::Column::decode(Bytes::from(column.encode_to_vec())).unwrap();
        prop_assert_eq!(public.f64.iter().map(|float| float.to_bits()).collect::<Vec<_>>(), f64);
        prop_assert_eq!(public.i32, i32);
        prop_assert_eq!(public.bools, bools);
        let back: twin::Column = codec::decode(Bytes::from(column.encode_to_vec())).unwrap();
        prop_assert_eq!(back, column);
    }
}

const INTS: u32 = 2;

#[test]
fn a_packed_field_in_pieces_is_one_field() {
    let mut bytes = BytesMut::new();
    for piece in [[1_i64, 2], [3, 4]] {
        encoding::sfixed64::encode_packed(INTS, &piece, &mut bytes);
    }
    let public = v1::KeyColumn::decode(bytes.clone()).unwrap();
    let twin: twin::KeyColumn = codec::decode(bytes.freeze()).unwrap();
    assert_eq!(public.ints, [1, 2, 3, 4]);
    assert_eq!(twin.ints.len(), 2, "the twin keeps the pieces");
    let expected: Vec<u8> = public
        .ints
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    assert_eq!(codec::joined(&twin.ints), expected);
}

#[test]
fn a_field_that_is_not_packed_falls_to_the_public_type() {
    let mut bytes = BytesMut::new();
    encoding::sfixed64::encode_packed(INTS, &[1], &mut bytes);
    for number in [2_i64, 3] {
        encoding::sfixed64::encode(INTS, &number, &mut bytes);
    }
    assert!(
        twin::KeyColumn::decode(bytes.clone().freeze()).is_err(),
        "the twin alone cannot read it"
    );
    let twin: twin::KeyColumn = codec::decode(bytes.freeze()).unwrap();
    let expected: Vec<u8> = [1_i64, 2, 3]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    assert_eq!(twin.ints, [Bytes::from(expected)]);
}

#[test]
fn what_neither_type_can_read_is_an_error() {
    let mut bytes = BytesMut::new();
    bytes.put_slice(&[0x12, 0xff]);
    assert!(codec::decode::<twin::KeyColumn>(bytes.freeze()).is_err());
}

#[test]
fn the_descriptors_differ_only_where_they_are_meant_to() {
    let public = FileDescriptorSet::decode(wire::DESCRIPTORS).unwrap();
    let twin = FileDescriptorSet::decode(wire::TWIN_DESCRIPTORS).unwrap();
    let twin = &twin.file[0];
    let public = public
        .file
        .iter()
        .find(|file| file.name() == twin.name())
        .unwrap();
    assert_eq!(
        (public.package(), &public.service),
        (twin.package(), &twin.service)
    );
    let mut changed = Vec::new();
    for (ours, theirs) in twin.message_type.iter().zip(&public.message_type) {
        for (field, original) in ours.field.iter().zip(&theirs.field) {
            assert_eq!(
                (field.name(), field.number(), field.label()),
                (original.name(), original.number(), original.label())
            );
            if field.r#type() != original.r#type() {
                assert_eq!(field.label(), Label::Repeated);
                changed.push(format!("{}.{}", ours.name(), field.name()));
            }
        }
    }
    let marked = "KeyColumn.ints KeyColumn.strings Column.f64 Column.f32 Column.i64 Column.i32 \
                  Column.bools Column.strings Times.micros ViewRows.event_times_us \
                  ScanPage.event_times_us";
    assert_eq!(
        changed,
        marked.split_whitespace().collect::<Vec<_>>(),
        "these are marked W in the schema"
    );
}
