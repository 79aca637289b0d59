//! Rows, entries and small worlds for the store's tests.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![allow(dead_code, reason = "each test file uses some of it")]

use bytes::Bytes;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::{
        EntityId, Epoch, Incarnation, PlacementId, Position, ProjectId, RegionId, SchemaVersion,
        Sequence, ShardId, ViewId,
    },
    key::Key,
    record::{self, RecordKind},
    request::{RequestId, RequestPart},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    types::{Scalar, Type},
    version::Version,
};
use std::sync::Arc;
use store::{
    Copy, NewEntry, Plan, ReadRequest, RowState, Settings, Staging, Store, Writer, disk::FaultDisk,
};

pub const VIEW: ViewId = ViewId(7);
pub const OTHER_VIEW: ViewId = ViewId(8);

pub fn settings() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        spares: 1,
        tail_bytes: 8 << 10,
        ..Settings::default()
    }
}

pub fn open(disk: &FaultDisk) -> (Arc<Store>, Writer, store::Recovered) {
    Store::open(Arc::new(disk.clone()), settings()).expect("the store opens")
}

pub fn schema(view: ViewId) -> RowSchema {
    RowSchema::new(
        view,
        SchemaVersion(1),
        vec![
            Column::of(Type::Scalar(Scalar::Int64)),
            Column::of(Type::Scalar(Scalar::Bytes)),
        ],
    )
}

pub fn key(n: u64) -> Key {
    let mut key = Key::new();
    key.push_number(n as i64).unwrap();
    key
}

pub fn hash(view: ViewId, n: u64) -> u64 {
    key(n).hash(ProjectId(1), EntityId(1)).with_view(view)
}

/// Positions are two minutes apart: requests are forgotten after five entries, and segments can go.
pub fn stamp(position: Position) -> Hlc {
    Hlc::from_millis(1_000 + position.0 * 120_000)
}

fn version(event: u64, position: Position) -> Version {
    Version {
        event_time: EventTime::saturating(event),
        write_time: stamp(position),
        origin: RegionId(1),
    }
}

/// What a test writes of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    pub view: ViewId,
    pub key: u64,
    /// `None`: a tombstone.
    pub value: Option<i64>,
    pub event: u64,
    pub padding: usize,
}

pub fn put(key: u64, value: i64) -> Put {
    Put {
        view: VIEW,
        key,
        value: Some(value),
        event: value as u64,
        padding: 40,
    }
}

pub fn tombstone(key: u64, event: u64) -> Put {
    Put {
        view: VIEW,
        key,
        value: None,
        event,
        padding: 0,
    }
}

pub fn record(put: &Put, position: Position) -> Vec<u8> {
    let version = version(put.event, position);
    let row = match put.value {
        None => Row {
            deletion: Some(version),
            cells: Vec::new(),
        },
        Some(value) => {
            let cell = |bytes: Vec<u8>| {
                Some(Cell::Latest {
                    version,
                    content: Content::Value(bytes.into()),
                })
            };
            let padding = vec![value as u8; put.padding];
            Row {
                deletion: None,
                cells: vec![cell(value.to_le_bytes().to_vec()), cell(padding)],
            }
        }
    };
    let mut encoded = record::encode(
        &row,
        RecordKind::OwnDelta,
        key(put.key).as_bytes(),
        &schema(put.view),
    )
    .unwrap();
    record::seal(&mut encoded.bytes, position);
    encoded.bytes
}

pub fn header(shard: ShardId, epoch: u32, position: Position) -> EntryHeader {
    EntryHeader {
        shard,
        origin: RegionId(1),
        kind: EntryKind::Rows,
        epoch: Epoch(epoch),
        previous_epoch: Epoch(epoch),
        position,
        incarnation: Incarnation(1),
        placement: PlacementId(1),
        part: RequestPart(0),
        sequence: Sequence(position.0),
        hlc: stamp(position),
        request: RequestId::make(1_000 + position.0, u128::from(position.0)),
        link_position: 0,
    }
}

pub struct Built {
    pub bytes: Bytes,
    pub hashes: Vec<u64>,
}

pub fn entry(shard: ShardId, epoch: u32, position: Position, puts: &[Put]) -> Built {
    let mut builder = EntryBuilder::new(header(shard, epoch, position));
    puts.iter()
        .for_each(|put| builder.push(&record(put, position)));
    Built {
        bytes: builder.finish(),
        hashes: puts.iter().map(|put| hash(put.view, put.key)).collect(),
    }
}

/// Appends one entry behind the shard's last one.
pub fn append(writer: &mut Writer, shard: ShardId, puts: &[Put]) -> Position {
    append_in(writer, shard, 1, puts)
}

pub fn append_in(writer: &mut Writer, shard: ShardId, epoch: u32, puts: &[Put]) -> Position {
    let position = writer.last(shard).position.next();
    let built = entry(shard, epoch, position, puts);
    writer
        .append(&[NewEntry {
            bytes: built.bytes,
            hashes: &built.hashes,
        }])
        .expect("it is appended");
    position
}

/// Appends, syncs and commits one entry.
pub fn write(writer: &mut Writer, shard: ShardId, puts: &[Put]) -> Position {
    let position = append(writer, shard, puts);
    writer.sync().expect("it is synced");
    writer.commit(shard, position).expect("it is committed");
    position
}

/// Makes the commits durable too, as a driver does when nothing else is to be appended.
pub fn flush(writer: &mut Writer) {
    writer.log_commits().expect("commits are logged");
    writer.sync().expect("they are synced");
}

/// What a read shows: the state, and the value of a row that was found.
pub type Seen = (RowState, Option<i64>);

pub fn read_all(store: &Store, shard: ShardId, view: ViewId, keys: &[u64]) -> Vec<Seen> {
    let canonical: Vec<Key> = keys.iter().map(|n| key(*n)).collect();
    let requests: Vec<ReadRequest<'_>> = keys
        .iter()
        .zip(&canonical)
        .map(|(n, key)| ReadRequest {
            shard,
            plan: 0,
            hash: hash(view, *n),
            key: key.as_bytes(),
        })
        .collect();
    let mut staging = Staging::new();
    store.read_batch(
        &requests,
        &[Plan {
            view,
            copy: Copy::Record,
        }],
        &mut staging,
    );
    (0..keys.len())
        .map(|at| (staging.rows()[at].state, value_of(&staging, at, view)))
        .collect()
}

pub fn read(store: &Store, shard: ShardId, key: u64) -> Seen {
    read_all(store, shard, VIEW, &[key])[0]
}

fn value_of(staging: &Staging, at: usize, view: ViewId) -> Option<i64> {
    let record = staging
        .record(at)
        .filter(|record| !record.kind().is_tombstone())?;
    let row = record.to_row(&schema(view)).unwrap();
    match &row.cells[0] {
        Some(Cell::Latest {
            content: Content::Value(bytes),
            ..
        }) => Some(i64::from_le_bytes(bytes.as_ref().try_into().unwrap())),
        _ => None,
    }
}

pub const fn found(value: i64) -> Seen {
    (RowState::Found, Some(value))
}

pub const MISSING: Seen = (RowState::Missing, None);
pub const DELETED: Seen = (RowState::Deleted, None);
pub const DAMAGED: Seen = (RowState::Damaged, None);

pub const S: ShardId = ShardId(3);

pub fn hinted(disk: &FaultDisk) -> (Arc<Store>, Writer) {
    let (store, mut writer, _) = open(disk);
    for n in 0..60 {
        write(
            &mut writer,
            S,
            &[Put {
                padding: 2_500,
                ..put(n, n as i64)
            }],
        );
    }
    writer.log_commits().unwrap();
    writer.sync().unwrap();
    while store.hint_step().unwrap() {}
    (store, writer)
}

/// Writes four rows of each shard once and another one often, until the four lie in base segments.
pub fn churn(store: &Store, writer: &mut Writer, shards: &[ShardId]) {
    let padding = 2_500;
    for n in 0..4 {
        for shard in shards {
            write(
                writer,
                *shard,
                &[Put {
                    padding,
                    ..put(n, n as i64)
                }],
            );
        }
    }
    for n in 0..80 {
        for shard in shards {
            write(
                writer,
                *shard,
                &[Put {
                    padding,
                    ..put(99, n)
                }],
            );
        }
        flush(writer);
        while store.hint_step().expect("hints are written") {}
        store.compact_step(1 << 20).expect("it is compacted");
    }
}

pub fn chunks(store: &Arc<Store>, bytes: usize) -> Vec<Bytes> {
    let mut reader = store.snapshot(S).unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk(bytes).unwrap() {
        chunks.push(chunk);
    }
    chunks
}

/// What replication has a snapshot carry, as far as the store knows.
pub const CARRIED: &[u8] = b"what replication knows";

pub fn install(writer: &mut Writer, chunks: &[Bytes]) -> store::Installed {
    let mut install = writer.begin_install(S).unwrap();
    writer.sync().unwrap();
    chunks.iter().for_each(|chunk| install.take(chunk).unwrap());
    install.seal(CARRIED).unwrap();
    writer.finish_install(install).unwrap()
}
