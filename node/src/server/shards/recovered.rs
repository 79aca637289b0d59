//! What a store found when it opened, as replication wants it.

use proto::id::{Incarnation, Position, RegionId, ShardId};
use replication::{
    Base, Entry, Mark, Recovered,
    requests::{RequestTable, Written},
    streams::{Head, Heads},
};
use std::collections::BTreeMap;
use store::{LogRead, RecentRequest, RecoveredShard, ShardState, Store};

/// How much of the log one read takes.
const RUN_BYTES: usize = 4 << 20;

/// The state and the tail of each shard that the store has. A shard that lost what was durable here
/// must be copied from another replica, and this release has no way to do so: to begin it empty would
/// lose the rest of it too.
pub fn of_store(
    store: &Store,
    recovered: BTreeMap<ShardId, RecoveredShard>,
    region: RegionId,
) -> Result<BTreeMap<ShardId, Recovered>, String> {
    let of_one = |(shard, found): (ShardId, RecoveredShard)| {
        if found.needs_copy() {
            return Err(format!(
                "shard {shard} has lost on this disk what was durable, and there is no other copy to take it \
                 from; keep the directory, restore the disk's content, and start again"
            ));
        }
        Ok((shard, of_shard(store, shard, &found, region)?))
    };
    recovered.into_iter().map(of_one).collect()
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
    let base = Base {
        committed: Mark {
            epoch: state.commit.epoch,
            position: state.commit.position,
        },
        incarnation: incarnation(state, region),
        heads: heads(state, region),
        requests: requests(store, shard, found)?,
        hlc: state.largest_hlc,
        ..Base::default()
    };
    Ok(Recovered { base, tail })
}

/// The streams of this region; those of others are numbered by their origin.
fn heads(state: &ShardState, region: RegionId) -> Heads {
    let mut heads = Heads::default();
    for ((origin, placement), mark) in &state.streams {
        if *origin == region {
            let head = Head {
                incarnation: mark.incarnation,
                sequence: mark.sequence,
                lineage: Vec::new(),
            };
            heads.restore(*placement, head);
        }
    }
    heads
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

/// The first answers of the requests carried out lately. Their entries are read in runs: to look each
/// up by itself would read a segment's hints once for every entry in it.
fn requests(store: &Store, shard: ShardId, found: &RecoveredShard) -> Result<RequestTable, String> {
    let mut table = RequestTable::default();
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
    Ok(table)
}
