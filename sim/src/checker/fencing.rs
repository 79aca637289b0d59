//! I8 and I1, as nodes and their disks tell it: one boot per epoch, one content per committed position
//! and per sequence, and equal rows where the same position is committed.

use super::report::{Invariant, Report};
use crate::history::{Committed, Event, History, Holds, Primary, Shipped};
use proto::id::{
    BootId, Epoch, Incarnation, NodeId, Position, RegionId, Sequence, ShardId, Stream,
};
use std::collections::BTreeMap;

pub fn judge(history: &History, report: &mut Report) {
    let (mut boots, mut positions, mut sequences, mut rows) = Default::default();
    for entry in history.entries() {
        let (broken, (clash, what)) = match &entry.event {
            Event::Primary(said) => (Invariant::I8, primary(&mut boots, said)),
            Event::Committed(said) => (Invariant::I8, committed(&mut positions, said)),
            Event::Shipped(said) => (Invariant::I8, shipped(&mut sequences, said)),
            Event::Holds(said) => (Invariant::I1, holds(&mut rows, said)),
            Event::LossAccepted => {
                // The shard's log begins anew, and with it its positions.
                positions.clear();
                rows.clear();
                continue;
            }
            _ => continue,
        };
        report.judged.records += 1;
        if let Some((first, now)) = clash {
            let message = format!("{what} was {first}, now it is {now}");
            report.add(&[broken], entry.at.0, None, message);
        }
    }
}

/// What differs, if anything does: what was said first, and what now; and of what.
type Found = (Option<(String, String)>, String);

fn primary(
    boots: &mut BTreeMap<(RegionId, ShardId, Epoch), (NodeId, BootId)>,
    said: &Primary,
) -> Found {
    let key = (said.region, said.shard, said.epoch);
    let what = format!(
        "a primary of region {} shard {} epoch {}",
        said.region, said.shard, said.epoch
    );
    (clash(boots, key, (said.node, said.boot)), what)
}

/// A committed position has one content, whatever the epoch: who is promoted keeps what is committed.
fn committed(
    positions: &mut BTreeMap<(RegionId, ShardId, Position), (Epoch, u64)>,
    said: &Committed,
) -> Found {
    let key = (said.region, said.shard, said.position);
    let what = format!(
        "the entry of region {} shard {} at position {}",
        said.region, said.shard, said.position
    );
    (clash(positions, key, (said.epoch, said.digest)), what)
}

fn shipped(
    sequences: &mut BTreeMap<(Stream, Incarnation, Sequence), u64>,
    said: &Shipped,
) -> Found {
    let key = (said.stream, said.incarnation, said.sequence);
    let what = format!(
        "the entry of origin {} shard {} at incarnation {} sequence {}",
        said.stream.origin, said.stream.shard, said.incarnation, said.sequence
    );
    (clash(sequences, key, said.digest), what)
}

fn holds(rows: &mut BTreeMap<(RegionId, ShardId, Position), (u64, u64)>, said: &Holds) -> Found {
    let key = (said.region, said.shard, said.position);
    let what = format!(
        "what replicas hold of region {} shard {} at position {} (now {}), rows and digest,",
        said.region, said.shard, said.position, said.replica
    );
    (clash(rows, key, (said.rows, said.digest)), what)
}

/// The first thing that was said under this key, if it was another.
fn clash<K: Ord, V: PartialEq + Clone + std::fmt::Debug>(
    said: &mut BTreeMap<K, V>,
    key: K,
    value: V,
) -> Option<(String, String)> {
    let first = said.entry(key).or_insert_with(|| value.clone());
    (*first != value).then(|| (format!("{first:?}"), format!("{value:?}")))
}
