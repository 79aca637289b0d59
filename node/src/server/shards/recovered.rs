//! What a store found when it opened, as replication wants it.

use proto::{
    codec::Malformed,
    id::{Incarnation, Position, RegionId, ShardId},
};
use replication::{
    Base, Entry, Mark, Recovered,
    codec::decode_base,
    requests::{RequestTable, Written},
    streams::{Head, Heads, decode_lineage},
};
use std::collections::BTreeMap;
use store::{LogEnd, LogRead, RecentRequest, RecoveredShard, ShardState, Store, StreamMark};

/// How much of the log one read takes.
const RUN_BYTES: usize = 4 << 20;

/// The shards of a store that was opened.
#[derive(Debug, Default)]
pub struct Found {
    /// What each of them goes on from.
    pub shards: BTreeMap<ShardId, Recovered>,
    /// Those that have lost something which was durable here. What is left of them is not used: they
    /// begin empty, out of the in-sync set, and are brought up from another replica.
    pub damaged: Vec<ShardId>,
}

/// The state and the tail of each shard that the store has.
pub fn of_store(
    store: &Store,
    recovered: BTreeMap<ShardId, RecoveredShard>,
    region: RegionId,
) -> Result<Found, String> {
    let mut found = Found::default();
    for (shard, recovered) in recovered {
        if is_dropped(&recovered) {
            continue;
        }
        let of_shard = if recovered.needs_copy() {
            found.damaged.push(shard);
            damaged(&recovered)
        } else {
            of_shard(store, shard, &recovered, region)?
        };
        found.shards.insert(shard, of_shard);
    }
    Ok(found)
}

/// A shard that left this node: its state says that it is empty, and there is nothing else.
fn is_dropped(found: &RecoveredShard) -> bool {
    !found.needs_copy() && found.tail.is_empty() && found.state.commit == LogEnd::default()
}

/// Nothing but its clock: promises outlive what was promised about.
fn damaged(found: &RecoveredShard) -> Recovered {
    let base = Base {
        hlc: found.state.largest_hlc,
        ..Base::default()
    };
    Recovered {
        base,
        tail: Vec::new(),
    }
}

fn of_shard(
    store: &Store,
    shard: ShardId,
    found: &RecoveredShard,
    region: RegionId,
) -> Result<Recovered, String> {
    let state = &found.state;
    let tail = found
        .tail
        .iter()
        .map(|bytes| Entry::received(bytes.clone()));
    let tail = tail
        .collect::<Result<_, _>>()
        .map_err(|error| format!("shard {shard}: {error}"))?;
    let carried = carried(found).map_err(|error| format!("shard {shard}: {error}"))?;
    let base = Base {
        committed: Mark {
            epoch: state.commit.epoch,
            position: state.commit.position,
        },
        incarnation: incarnation(state, region).max(carried.incarnation),
        heads: heads(state, region),
        requests: requests(store, shard, found, carried.requests)?,
        hlc: state.largest_hlc.max(carried.hlc),
        serves_from: carried.serves_from,
    };
    Ok(Recovered { base, tail })
}

/// What the snapshot said that the shard began from; all of it still counts, or was overtaken by what
/// the log has since.
fn carried(found: &RecoveredShard) -> Result<Base, Malformed> {
    found
        .carried
        .as_ref()
        .map_or(Ok(Base::default()), |carried| decode_base(carried))
}

/// The streams of this region; those of others are numbered by their origin.
fn heads(state: &ShardState, region: RegionId) -> Heads {
    let mut heads = Heads::default();
    for ((origin, placement), mark) in &state.streams {
        if *origin == region {
            let start = state.starts.get(&(*origin, *placement));
            heads.restore(*placement, head(mark, start.map(AsRef::as_ref)));
        }
    }
    heads
}

/// The head of a stream, of which the store keeps the mark and the extras of its last *start*.
#[must_use]
pub fn head(mark: &StreamMark, start: Option<&[u8]>) -> Head {
    Head {
        incarnation: mark.incarnation,
        sequence: mark.sequence,
        lineage: start
            .and_then(|extras| decode_lineage(extras).ok())
            .unwrap_or_default(),
    }
}

/// A shard that has entries has opened an incarnation, the first if no stream names a later one.
fn incarnation(state: &ShardState, region: RegionId) -> Incarnation {
    let own = state
        .streams
        .iter()
        .filter(|((origin, _), _)| *origin == region);
    let named = own
        .map(|(_, mark)| mark.incarnation)
        .max()
        .unwrap_or_default();
    named.max(Incarnation(u32::from(state.commit.position.0 > 0)))
}

/// The first answers of the requests carried out lately: those that came with a snapshot, and those
/// whose entries are in this log. Entries are read in runs: to look each up by itself would read a
/// segment's hints once for every entry in it.
fn requests(
    store: &Store,
    shard: ShardId,
    found: &RecoveredShard,
    mut table: RequestTable,
) -> Result<RequestTable, String> {
    let committed = found
        .requests
        .iter()
        .filter(|recent| recent.position <= found.state.commit.position);
    let mut wanted: BTreeMap<Position, Vec<&RecentRequest>> = BTreeMap::new();
    for recent in committed {
        wanted.entry(recent.position).or_default().push(recent);
    }
    while let Some((first, _)) = wanted.first_key_value() {
        let first = *first;
        let read = store
            .read_log(shard, first, RUN_BYTES)
            .map_err(|error| error.to_string())?;
        let entries = match read {
            LogRead::Entries(entries) => entries,
            LogRead::End | LogRead::Gone => Vec::new(),
        };
        for (bytes, position) in entries.into_iter().zip(first.0..) {
            let Some(recent) = wanted.remove(&Position(position)) else {
                continue;
            };
            let entry =
                Entry::received(bytes).map_err(|error| format!("shard {shard}: {error}"))?;
            for recent in recent {
                if let Some(written) = Written::of(&entry) {
                    table.restore((recent.request, recent.part), written);
                }
            }
        }
        // Of an entry that is gone the first answer is not known any more.
        wanted.remove(&first);
    }
    table.prune(found.state.largest_hlc);
    Ok(table)
}
