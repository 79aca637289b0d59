//! Parts and answers read back as they were, and nothing else is read.

use super::*;
use crate::{
    mutations,
    server::{
        frames::{HEAD_BYTES, resealed, sealed},
        shards::PartAnswer,
    },
};
use bytes::Bytes;
use gateway::{
    edge::Deadline,
    write::writer::{Ack, Change, WriteBatch, WritePart, WriteRow},
};
use proptest::{collection::vec, option, prelude::*};
use proto::{
    hlc::Hlc,
    id::{
        Epoch, FeatureId, Incarnation, PlacementId, Position, ProjectId, RegionId, Revision,
        SchemaVersion, Sequence, ShardId, ViewId,
    },
    key::{Key, KeyHash},
    limits::{CELL_BYTES, ROWS_PER_ENTRY},
    reason::{Reason, Refusal},
    request::{Rejection, RequestId, RequestPart, WriteOutcome},
    row::Content,
    time::EventTime,
};
use replication::{Fence, requests::Written};
use std::time::Duration;

const FENCE: Fence = Fence {
    incarnation: Incarnation(2),
    epoch: Epoch(7),
};

fn batch(rows: Vec<WriteRow>) -> WriteBatch {
    WriteBatch {
        project: ProjectId(3),
        revision: Revision(40),
        id: RequestId::make(1_795_000_000_000, 99),
        ack: Ack::OneOther,
        token: Bytes::new(),
        slot: RegionId(2),
        deadline: Deadline(0),
        parts: vec![WritePart {
            shard: ShardId(17),
            placement: PlacementId(1),
            part: RequestPart(4),
            rows,
        }],
    }
}

fn row(number: u32, key: &str, change: Change) -> WriteRow {
    let mut canonical = Key::new();
    canonical.push_string(key).unwrap();
    WriteRow {
        write: 1,
        row: number,
        view: ViewId(5),
        schema: SchemaVersion(2),
        hash: KeyHash(u64::from(number) << 40),
        key: canonical,
        event_time: EventTime::saturating(1_795_000_000_000_000 + u64::from(number)),
        change,
    }
}

fn terms() -> (Fence, Hlc, Duration) {
    (FENCE, Hlc(1 << 60), Duration::from_micros(123_456))
}

fn encoded(rows: Vec<WriteRow>) -> Bytes {
    encode_part(&batch(rows), 0, terms()).unwrap()
}

fn sample() -> Vec<WriteRow> {
    let cells = vec![
        (
            FeatureId(0),
            Content::Value(Bytes::from_static(b"12345678")),
        ),
        (FeatureId(3), Content::Null),
        (FeatureId(9), Content::Value(Bytes::new())),
    ];
    vec![
        row(0, "a", Change::Set(cells)),
        row(1, "", Change::Delete),
        row(2, "b", Change::Set(Vec::new())),
    ]
}

#[test]
fn a_part_reads_back_with_everything_its_primary_needs() {
    let sent = decode_part(&encoded(sample())).unwrap();
    let batch = batch(sample());
    let (fence, follows, left) = terms();
    let expected = SentPart {
        left,
        fence,
        follows,
        project: batch.project,
        revision: batch.revision,
        request: batch.id,
        ack: batch.ack,
        slot: batch.slot,
        part: batch.parts[0].clone(),
    };
    assert_eq!(sent, expected);
}

#[test]
fn a_changed_or_missing_byte_is_noticed_wherever_it_is() {
    let part = encoded(sample());
    let answer = encode_answer(&PartAnswer::Refused {
        refusal: Refusal::of_field(Reason::NoPrimary, "x", "gone"),
        retry_after: Some(Duration::from_millis(50)),
    });
    for place in 0..part.len() {
        let mut bytes = part.to_vec();
        bytes[place] ^= 0x10;
        assert!(decode_part(&bytes.into()).is_err(), "byte {place}");
        assert!(decode_part(&part.slice(..place)).is_err(), "cut at {place}");
    }
    for place in 0..answer.len() {
        let mut bytes = answer.to_vec();
        bytes[place] ^= 0x10;
        assert!(decode_answer(&bytes).is_err(), "byte {place}");
        assert!(decode_answer(&answer[..place]).is_err(), "cut at {place}");
    }
}

/// `bytes` with a checksum that fits: what is wrong with them is for the reader to find.
#[test]
fn what_is_beyond_a_limit_or_out_of_order_is_not_read() {
    let fault = |rows| decode_part(&encoded(rows)).unwrap_err().fault;
    let null = |feature| (FeatureId(feature), Content::Null);
    let cells = |cells| vec![row(0, "a", Change::Set(cells))];
    assert_eq!(
        fault(cells(vec![null(4), null(4)])),
        "a row's cells are not in their order"
    );
    let large = Content::Value(vec![0; CELL_BYTES + 1].into());
    assert_eq!(
        fault(cells(vec![(FeatureId(0), large)])),
        "a cell is beyond its limit"
    );
    assert_eq!(fault(Vec::new()), "an entry cannot hold so many rows");
    let many = (0..=ROWS_PER_ENTRY as u32).map(|number| row(number, "", Change::Delete));
    assert_eq!(fault(many.collect()), "an entry cannot hold so many rows");
    let mut newer = encoded(sample()).to_vec();
    newer[0] = 2;
    let refused = decode_part(&newer.into()).unwrap_err();
    assert!(refused.fault.contains("one release"), "{refused}");
    let mut longer = encoded(sample()).to_vec();
    longer.push(0);
    assert_eq!(
        decode_part(&sealed(longer)).unwrap_err().fault,
        "it has bytes past its end"
    );
}

#[test]
fn rows_that_no_entry_holds_are_not_sent() {
    let cell = || Content::Value(vec![0; CELL_BYTES].into());
    let cells = (0..8).map(|feature| (FeatureId(feature), cell())).collect();
    let rows = vec![row(0, "a", Change::Set(cells))];
    let refusal = encode_part(&batch(rows), 0, terms()).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge);
}

#[test]
fn every_answer_reads_back() {
    let rejection = Rejection {
        write: 0,
        row: 4,
        refusal: Refusal::of_field(Reason::EventTimeTooOld, "event_time", "too old"),
    };
    let written = Written {
        position: Position(9),
        placement: PlacementId(1),
        incarnation: Incarnation(2),
        sequence: Sequence(8),
        hlc: Hlc(77),
        outcome: WriteOutcome {
            accepted: 3,
            superseded: 1,
            rejected: vec![rejection],
        },
        sent: None,
    };
    let refused = |retry_after| PartAnswer::Refused {
        refusal: Refusal::new(Reason::NotReady, "later"),
        retry_after,
    };
    for answer in [
        PartAnswer::Unknown,
        PartAnswer::Written { written, copies: 3 },
        refused(None),
        refused(Some(Duration::from_millis(50))),
    ] {
        assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
    }
}

fn any_row() -> impl Strategy<Value = WriteRow> {
    let content = option::of(vec(any::<u8>(), 0..40))
        .prop_map(|value| value.map_or(Content::Null, |bytes| Content::Value(bytes.into())));
    let cells = prop::collection::btree_map(0..2_048_u16, content, 0..6);
    let change = option::of(cells).prop_map(|cells| {
        cells.map_or(Change::Delete, |cells| {
            Change::Set(cells.into_iter().map(|(f, c)| (FeatureId(f), c)).collect())
        })
    });
    (any::<u32>(), "[a-z]{0,30}", change)
        .prop_map(|(number, key, change)| row(number, &key, change))
}

proptest! {
    #[test]
    fn parts_read_back(rows in vec(any_row(), 1..20)) {
        let sent = decode_part(&encoded(rows.clone())).unwrap();
        prop_assert_eq!(sent.part.rows, rows);
    }

    #[test]
    fn any_bytes_never_panic(mut bytes in vec(any::<u8>(), 6..400)) {
        bytes[..2].copy_from_slice(&VERSION.to_le_bytes());
        let bytes = sealed(bytes);
        let _ = decode_part(&bytes);
        let _ = decode_answer(&bytes);
    }
}

#[test]
fn damaged_parts_and_answers_with_a_fitting_checksum_are_read_or_refused() {
    let part = encoded(sample());
    mutations::check(20_000, &[&part[HEAD_BYTES..]], |damaged| {
        drop(decode_part(&resealed(&part, damaged)));
    });
    let outcome = PartAnswer::Refused {
        refusal: Refusal::of_field(Reason::NoPrimary, "x", "gone"),
        retry_after: Some(Duration::from_millis(50)),
    };
    let answer = encode_answer(&outcome);
    mutations::check(20_000, &[&answer[HEAD_BYTES..]], |damaged| {
        drop(decode_answer(&resealed(&answer, damaged)));
    });
}
