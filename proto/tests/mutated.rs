//! Bytes that a fault or an attacker changed: each decoder answers or refuses, and never panics.
//!
//! A fuzzer's work on stable Rust: kept bytes of every format, a seeded generator, a bounded run. A
//! failure names its seed; checksums are passed over on purpose, so that the parts behind them are met.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod mutations;

use proto::{
    codec::Reader,
    entry::EntryView,
    id::{ClusterId, FeatureId, SchemaVersion, ViewId},
    key::Key,
    link,
    record::RecordView,
    request::WriteOutcome,
    schema::{Column, Combine, RowSchema},
    token::Token,
    types::{Scalar, Type},
    value::Value,
};

const RUNS: u64 = 20_000;
const RECORD: &[u8] = include_bytes!("golden/record-v1.bin");
const ENTRY: &[u8] = include_bytes!("golden/entry-v1.bin");
const LINK_ENTRY: &[u8] = include_bytes!("golden/link-entry-v1.bin");
const LINK_HEARTBEAT: &[u8] = include_bytes!("golden/link-heartbeat-v1.bin");

#[track_caller]
fn check(kept: &[&[u8]], decode: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    mutations::check(RUNS, kept, decode);
}

/// The schema of the kept record.
fn schema() -> RowSchema {
    let types = [
        "int64",
        "bool",
        "string",
        "float32",
        "vector<int8, 3>",
        "list<string>",
        "bytes",
        "int64",
    ];
    let mut columns: Vec<Column> = types
        .iter()
        .map(|ty| Column::of(ty.parse().unwrap()))
        .collect();
    columns[7].combine = Combine::Sum;
    RowSchema::new(ViewId(9), SchemaVersion(2), columns)
}

fn look_at(record: &RecordView<'_>, schema: &RowSchema) {
    let _ = (
        record.verify(),
        record.key(),
        record.deletion(),
        record.version(),
    );
    let _ = record.to_row(schema);
    if let Ok(cells) = record.cells(schema) {
        for place in 0..schema.columns().len() {
            let feature = FeatureId(place as u16);
            let _ = (
                cells.state(feature),
                cells.version(feature),
                cells.bytes(feature),
                cells.slots(feature),
            );
        }
    }
}

#[test]
fn records() {
    let schema = schema();
    check(&[RECORD], |bytes| {
        if let Ok(record) = RecordView::parse(bytes) {
            look_at(&record, &schema);
        }
    });
}

#[test]
fn entries() {
    let schema = schema();
    check(&[ENTRY], |bytes| {
        let _ = proto::entry::length_of(bytes);
        if let Ok(entry) = EntryView::parse(bytes) {
            let _ = (entry.verify(), entry.verify_head(), entry.extras());
            for (_, record) in entry.records() {
                look_at(&record, &schema);
            }
        }
    });
}

/// Damage behind a checksum that fits: a bit flip alone never comes past it.
#[test]
fn records_between_regions() {
    let schema = schema();
    check(&[LINK_ENTRY, LINK_HEARTBEAT], |bytes| {
        let mut bytes = bytes.to_vec();
        if bytes.len() >= 8 {
            let length = bytes.len() as u32;
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            let crc = crc32c::crc32c(&bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
        }
        match link::decode(&bytes.into()) {
            Ok(link::Record::Entry(entry)) => {
                let _ = (entry.lineage(), entry.stream());
                entry.rows().for_each(|row| look_at(&row, &schema));
            }
            Ok(link::Record::Heartbeat(heartbeat)) => {
                let again = link::decode(&heartbeat.encode());
                assert_eq!(again, Ok(link::Record::Heartbeat(heartbeat)));
            }
            Err(_) => {}
        }
    });
}

#[test]
fn tokens_keys_and_outcomes() {
    let token = Token::default().encode(ClusterId(7));
    let mut longer = token.clone();
    longer[13] = 2;
    longer.extend([1; 36]);
    check(&[&token, &longer], |bytes| {
        drop(Token::decode(bytes, ClusterId(7)));
    });
    let mut key = Key::new();
    key.push_number(-1).unwrap();
    key.push_string("größe").unwrap();
    key.push_bytes(&[0, 255]).unwrap();
    let scalars = [Scalar::Int32, Scalar::String, Scalar::Bytes];
    check(&[key.as_bytes()], |bytes| {
        drop(Key::from_canonical(bytes).values(&scalars));
    });
    let mut outcome = vec![9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    outcome.extend([1, 0, 0, 0, 2, 0, 0, 0, 10, 0, 1, 0, b'f', 2, 0, b'n', b'o']);
    check(&[&outcome], |bytes| {
        drop(WriteOutcome::decode(&mut Reader::new(bytes, "outcome")));
    });
}

#[test]
fn values() {
    let types = [
        "bool",
        "int32",
        "float64",
        "string",
        "list<string>",
        "list<int64>",
        "vector<float16, 2>",
    ];
    for ty in types {
        let ty: Type = ty.parse().unwrap();
        let kept = [
            &[1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c'][..],
            &[1; 8],
            &[1],
            &[2, 0, 0, 0],
        ];
        check(&kept, |bytes| drop(Value::decode(ty, bytes)));
    }
}
