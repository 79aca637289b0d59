//! What the disks hold once a run has ended: the committed entries and the rows of every shard, for
//! the judge. It reads each disk as a node would that starts on it.

use crate::{
    history::{Committed, Event, Holds, Shipped},
    world::{Machine, node},
};
use proto::{
    entry::{EntryKind, EntryView},
    id::{NodeId, Position, RegionId, ShardId, Stream},
};
use std::{collections::BTreeMap, sync::Arc};
use store::{Condition, LogRead, SnapshotChunk, Store};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The one region.
pub const REGION: RegionId = RegionId(1);
/// Bytes of the log that one read takes.
const READ_BYTES: usize = 1 << 20;
/// Where a read finds nothing, because segments were compacted away, the next one begins this much
/// later.
const STEP: u64 = 16;

/// A disk cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Whose.
    pub host: String,
    /// Why.
    pub why: String,
}

/// What all disks hold.
pub fn read(machines: &[Machine]) -> Result<Vec<Event>, Unreadable> {
    let mut events = Vec::new();
    for (place, machine) in machines.iter().enumerate() {
        let host = node::name(place);
        let read = of_machine(&host, NodeId(place as u64 + 1), machine, &mut events);
        read.map_err(|why| Unreadable { host, why })?;
    }
    Ok(events)
}

fn of_machine(
    host: &str,
    id: NodeId,
    machine: &Machine,
    events: &mut Vec<Event>,
) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let disk = Arc::new(machine.take_disk());
    let (store, _writer, recovered) =
        Store::open(disk, node::store_settings()).map_err(|error| text(&error))?;
    for (shard, found) in recovered.shards {
        if found.state.condition != Condition::Whole {
            continue;
        }
        let committed = found.state.commit.position;
        entries(&store, (id, shard), committed, events).map_err(|error| text(&error))?;
        let (rows, digest) = rows(&store, shard).map_err(|error| text(&error))?;
        events.push(Event::Holds(Holds {
            replica: host.to_owned(),
            region: REGION,
            shard,
            position: committed,
            rows,
            digest,
        }));
    }
    Ok(())
}

/// The committed entries of a shard, as far back as its log goes.
fn entries(
    store: &Store,
    (node, shard): (NodeId, ShardId),
    committed: Position,
    events: &mut Vec<Event>,
) -> std::io::Result<()> {
    let mut from = Position(1);
    while from <= committed {
        let LogRead::Entries(read) = store.read_log(shard, from, READ_BYTES)? else {
            from.0 += STEP;
            continue;
        };
        from.0 += read.len() as u64;
        for bytes in read {
            let view = EntryView::parse(&bytes).expect("the store checked it");
            let header = view.header();
            if header.position > committed {
                return Ok(());
            }
            let digest = xxh3_64(&bytes);
            events.push(Event::Committed(Committed {
                region: REGION,
                shard,
                epoch: header.epoch,
                position: header.position,
                digest,
                node,
            }));
            if header.kind == EntryKind::Rows {
                events.push(Event::Shipped(Shipped {
                    stream: Stream {
                        origin: header.origin,
                        shard,
                        placement: header.placement,
                    },
                    incarnation: header.incarnation,
                    sequence: header.sequence,
                    digest,
                    hlc: Some(header.hlc),
                }));
            }
        }
    }
    Ok(())
}

/// How many rows a shard has, and their digest. Tombstones count as absent: when they go is each
/// store's own business.
fn rows(store: &Arc<Store>, shard: ShardId) -> Result<(u64, u64), store::SnapshotError> {
    let mut found = BTreeMap::new();
    let mut snapshot = store.snapshot(shard)?;
    while let Some(bytes) = snapshot.next_chunk(READ_BYTES)? {
        let chunk = SnapshotChunk::parse(&bytes).expect("the store just made it");
        let SnapshotChunk::Rows(rows) = chunk else {
            continue;
        };
        for row in rows.iter() {
            let (_, record) = row.expect("the store just made it");
            if !record.kind().is_tombstone() {
                let key = (record.view(), record.key().to_vec());
                found.insert(key, (record.crc(), record.position()));
            }
        }
    }
    let mut digest = 0;
    for ((view, key), (crc, position)) in &found {
        digest = xxh3_64_with_seed(key, digest ^ u64::from(view.0));
        digest = xxh3_64_with_seed(&position.0.to_le_bytes(), digest ^ u64::from(*crc));
    }
    Ok((found.len() as u64, digest))
}
