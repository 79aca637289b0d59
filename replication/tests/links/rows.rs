//! Entries of one row each. A row is its version: what a key holds is the largest that came.

use bytes::Bytes;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::{
        ClusterId, Epoch, FeatureId, PlacementId, Position, RegionId, SchemaVersion, ShardId,
        Stream, ViewId,
    },
    link::LinkEntry,
    record::{RecordKind, encode, seal},
    request::{RequestId, RequestPart},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    token::Reached,
    version::Version,
};
use replication::{
    Entry,
    streams::{Cut, encode_lineage},
};
use std::collections::BTreeMap;

pub const CLUSTER: ClusterId = ClusterId(7);
pub const SHARD: ShardId = ShardId(3);
pub const PLACEMENT: PlacementId = PlacementId(1);

/// What a region shows.
pub type Rows = BTreeMap<u8, Version>;
pub type Written = Option<(u8, Version)>;

pub fn merge(rows: &mut Rows, key: u8, version: Version) {
    let known = rows.entry(key).or_insert(version);
    *known = (*known).max(version);
}

pub fn holds(rows: &Rows, key: u8, version: Version) -> bool {
    rows.get(&key).is_some_and(|known| *known >= version)
}

pub const fn stream(origin: RegionId) -> Stream {
    Stream {
        origin,
        shard: SHARD,
        placement: PLACEMENT,
    }
}

pub fn version(event: u64, write_time: Hlc, origin: RegionId) -> Version {
    Version {
        event_time: EventTime::saturating(event),
        write_time,
        origin,
    }
}

fn record(key: u8, version: Version) -> Vec<u8> {
    let column = Column::of("bool".parse().expect("it is a type"));
    let schema = RowSchema::new(ViewId(1), SchemaVersion(1), vec![column]);
    let mut row = Row::default();
    let content = Content::Value(vec![1].into());
    row.set(FeatureId(0), Cell::Latest { version, content });
    let encoded = encode(&row, RecordKind::OwnDelta, &[key], &schema);
    let mut bytes = encoded.expect("it is small").bytes;
    seal(&mut bytes, Position(1));
    bytes
}

pub fn own(
    origin: RegionId,
    kind: EntryKind,
    reached: Reached,
    hlc: Hlc,
    lineage: &[Cut],
    row: Written,
) -> Entry {
    let header = EntryHeader {
        shard: SHARD,
        origin,
        kind,
        epoch: Epoch(1),
        previous_epoch: Epoch(1),
        position: Position(1),
        incarnation: reached.incarnation,
        placement: PLACEMENT,
        part: RequestPart(0),
        sequence: reached.sequence,
        hlc,
        request: RequestId::NONE,
        link_position: 0,
    };
    let mut builder = match kind {
        EntryKind::Start => EntryBuilder::with_extras(header, &encode_lineage(lineage)),
        _ => EntryBuilder::new(header),
    };
    if let Some((key, version)) = row {
        builder.push(&record(key, version));
    }
    Entry::received(builder.finish()).expect("it was built so")
}

pub fn reached(entry: &Entry) -> Reached {
    Reached {
        incarnation: entry.header().incarnation,
        sequence: entry.header().sequence,
    }
}

pub fn row_of(entry: &LinkEntry) -> Written {
    let row = entry.rows().next()?;
    Some((row.key()[0], row.version()))
}

pub fn shipped(entry: &Entry) -> Bytes {
    let view = proto::entry::EntryView::parse(entry.bytes()).expect("it was built so");
    proto::link::encode_entry(CLUSTER, &view).expect("own entries are shipped")
}
