//! Records between regions: round trip, what stays at home, damage, later releases, golden files.

use super::*;
use crate::{
    entry::{EntryBuilder, EntryHeader, EntryKind, EntryView},
    hlc::Hlc,
    id::{
        BootId, Epoch, FeatureId, Incarnation, NodeId, Position, SchemaVersion, Sequence, ViewId,
    },
    record::{RecordKind, encode, seal},
    request::{RequestId, RequestPart},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    token::Reached,
    version::Version,
};
use proptest::prelude::*;

const CLUSTER: ClusterId = ClusterId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

fn header(kind: EntryKind) -> EntryHeader {
    EntryHeader {
        shard: ShardId(513),
        origin: RegionId(2),
        kind,
        epoch: Epoch(7),
        previous_epoch: Epoch(6),
        position: Position(1 << 40),
        incarnation: Incarnation(3),
        placement: PlacementId(4),
        part: RequestPart(1),
        sequence: Sequence(99),
        hlc: Hlc(0x0123_4567_89ab_cdef),
        request: RequestId::make(1_795_000_000_123, 5),
        link_position: 0,
    }
}

fn record(kind: RecordKind, key: &[u8]) -> Vec<u8> {
    let column = Column::of("int32".parse().unwrap());
    let schema = RowSchema::new(ViewId(1), SchemaVersion(1), vec![column]);
    let version = Version {
        event_time: EventTime::saturating(5),
        write_time: Hlc(6),
        origin: RegionId(2),
    };
    let mut row = Row::default();
    let content = Content::Value(vec![1, 0, 0, 0].into());
    row.set(FeatureId(0), Cell::Latest { version, content });
    let mut bytes = encode(&row, kind, key, &schema).unwrap().bytes;
    seal(&mut bytes, Position(1 << 40));
    bytes
}

/// A write that had to be merged, and one that stands as it was sent.
fn rows() -> Bytes {
    let mut builder = EntryBuilder::with_extras(header(EntryKind::Rows), b"what became of it");
    builder.push(&record(RecordKind::Delta, b"one"));
    builder.push(&record(RecordKind::Image, b"one"));
    builder.push(&record(RecordKind::OwnDelta, b"another key"));
    builder.finish()
}

fn start() -> Bytes {
    EntryBuilder::with_extras(header(EntryKind::Start), b"the lineage").finish()
}

fn shipped(entry: &Bytes) -> Bytes {
    encode_entry(CLUSTER, &EntryView::parse(entry).unwrap()).unwrap()
}

fn read(bytes: &Bytes) -> LinkEntry {
    match decode(bytes).unwrap() {
        Record::Entry(entry) => entry,
        Record::Heartbeat(heartbeat) => panic!("{heartbeat:?} is no entry"),
    }
}

fn heartbeat() -> Heartbeat {
    let reached = Reached {
        incarnation: Incarnation(3),
        sequence: Sequence(99),
    };
    let stream = Stream {
        origin: RegionId(1),
        shard: ShardId(6),
        placement: PlacementId(7),
    };
    Heartbeat {
        cluster: CLUSTER,
        origin: RegionId(2),
        node: NodeId(3),
        boot: BootId(4),
        clock: 5,
        echoes: vec![HeldEcho {
            node: NodeId(8),
            boot: BootId(9),
            instant: 10,
        }],
        closes: vec![HeldClose {
            shard: ShardId(11),
            placement: PlacementId(12),
            reached,
            hlc: Hlc(13),
            behind: Some(14),
        }],
        reports: vec![HeldReport {
            stream,
            reached,
            closed: Hlc(15),
        }],
    }
}

#[test]
fn an_entry_reads_back_without_what_stays_in_its_region() {
    let bytes = shipped(&rows());
    let entry = read(&bytes);
    assert_eq!(
        (entry.cluster(), entry.kind(), entry.hlc(), entry.lineage()),
        (
            CLUSTER,
            EntryKind::Rows,
            Hlc(0x0123_4567_89ab_cdef),
            &b""[..]
        )
    );
    assert_eq!(
        (entry.reached().sequence, entry.stream().shard),
        (Sequence(99), ShardId(513))
    );
    let kept: Vec<_> = entry
        .rows()
        .map(|row| (row.kind(), row.key().to_vec()))
        .collect();
    let delta = (RecordKind::Delta, b"one".to_vec());
    assert_eq!(
        kept,
        [delta, (RecordKind::OwnDelta, b"another key".to_vec())]
    );
    assert!(entry.rows().all(|row| row.verify().is_ok()));
    let text = bytes.windows(4).any(|piece| piece == b"what");
    assert!(
        !text,
        "the outcome of a request is its region's own business"
    );
}

#[test]
fn a_start_brings_its_lineage() {
    let entry = read(&shipped(&start()));
    assert_eq!(
        (entry.kind(), entry.lineage(), entry.row_count()),
        (EntryKind::Start, &b"the lineage"[..], 0)
    );
}

#[test]
fn entries_of_other_regions_and_of_one_store_never_leave() {
    let stay = [
        EntryKind::Remote,
        EntryKind::Merged,
        EntryKind::Cut,
        EntryKind::Epoch,
        EntryKind::LinkPosition,
        EntryKind::State,
    ];
    for kind in stay {
        let entry = EntryBuilder::new(header(kind)).finish();
        assert_eq!(
            encode_entry(CLUSTER, &EntryView::parse(&entry).unwrap()),
            None,
            "{kind:?}"
        );
    }
}

#[test]
fn a_record_is_never_larger_than_its_entry() {
    for entry in [rows(), start()] {
        assert!(shipped(&entry).len() <= entry.len());
    }
}

#[test]
fn a_heartbeat_reads_back() {
    assert_eq!(
        decode(&heartbeat().encode()),
        Ok(Record::Heartbeat(heartbeat()))
    );
}

#[test]
fn a_close_without_a_date_stays_without_one() {
    let mut undated = heartbeat();
    undated.closes[0].behind = None;
    assert_eq!(decode(&undated.encode()), Ok(Record::Heartbeat(undated)));
}

#[test]
fn a_list_longer_than_its_limit_is_refused() {
    let mut bytes = heartbeat().encode().to_vec();
    bytes[56..60].copy_from_slice(&(LINK_ECHOES_TOO_MANY).to_le_bytes());
    assert!(matches!(
        decode(&resealed(bytes)),
        Err(RecordError::Malformed(_))
    ));
}
const LINK_ECHOES_TOO_MANY: u32 = crate::limits::LINK_ECHOES as u32 + 1;

/// As a later release would have sealed it.
fn resealed(bytes: Vec<u8>) -> Bytes {
    finish(bytes)
}

#[test]
fn a_record_of_a_later_release_names_the_stream_that_must_wait() {
    let unknown = |at: usize, what| {
        let mut bytes = shipped(&rows()).to_vec();
        bytes[at] = 77;
        let error = decode(&resealed(bytes)).unwrap_err();
        let RecordError::Unknown {
            head,
            number: 77,
            what: found,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((found, head.stream.shard), (what, ShardId(513)));
    };
    unknown(8, Unknown::Version);
    unknown(9, Unknown::Kind);
    unknown(36, Unknown::EntryKind);
}

#[test]
fn a_merged_row_is_refused_where_it_arrives() {
    let mut bytes = shipped(&rows()).to_vec();
    let at = bytes.len() - record(RecordKind::OwnDelta, b"another key").len();
    let image = record(RecordKind::Image, b"another key");
    bytes[at..].copy_from_slice(&image);
    assert!(matches!(
        decode(&resealed(bytes)),
        Err(RecordError::Malformed(_))
    ));
}

#[test]
fn the_bytes_between_regions_do_not_change() {
    let kept = [
        (
            shipped(&rows()),
            &include_bytes!("../../tests/golden/link-entry-v1.bin")[..],
        ),
        (
            heartbeat().encode(),
            &include_bytes!("../../tests/golden/link-heartbeat-v1.bin")[..],
        ),
    ];
    for (written, golden) in kept {
        assert_eq!(written, golden);
        decode(&Bytes::from_static(golden)).unwrap();
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_always_noticed(at in any::<prop::sample::Index>(), bit in 0..8) {
        for whole in [shipped(&rows()), heartbeat().encode()] {
            let mut bytes = whole.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let decoded = decode(&Bytes::from(bytes));
            prop_assert!(matches!(decoded, Err(RecordError::Malformed(_))), "bit {bit} at {at}");
        }
    }
}
