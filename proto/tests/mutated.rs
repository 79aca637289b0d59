//! Bytes that a fault or an attacker changed: each decoder answers or refuses, and never panics.
//!
//! A fuzzer's work on stable Rust: kept bytes of every format, a seeded generator, a bounded run. A
//! failure names its seed; checksums are passed over on purpose, so that the parts behind them are met.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use proto::{
    codec::Reader,
    entry::EntryView,
    id::{ClusterId, FeatureId, SchemaVersion, ViewId},
    key::Key,
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

/// Numbers that a seed tells.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A few changes: flipped bits, extreme bytes and words, cuts, repeats.
fn mutated(kept: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = kept.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(6) {
            _ if bytes.is_empty() => bytes.push(numbers.next() as u8),
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
            2 => {
                let end = bytes.len().min(at + 4);
                bytes[at..end].fill(0xff);
            }
            3 => bytes.truncate(at),
            4 => bytes.insert(at, numbers.next() as u8),
            _ => {
                let end = bytes.len().min(at + numbers.below(32));
                let copied = bytes[at..end].to_vec();
                bytes.extend(copied);
            }
        }
    }
    bytes
}

#[track_caller]
fn check(kept: &[&[u8]], decode: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    for seed in 0..RUNS {
        let mut numbers = Numbers(seed);
        let bytes = mutated(kept[numbers.below(kept.len())], &mut numbers);
        let decoded = std::panic::catch_unwind(|| decode(&bytes));
        assert!(decoded.is_ok(), "seed {seed} makes it panic: {bytes:02x?}");
    }
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
