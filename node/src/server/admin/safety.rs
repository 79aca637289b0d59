//! What can still be lost, in one sentence. Pure.
//!
//! The budget of a shard is its in-sync members less one (I3); a node that cannot be reached now may be
//! lost already, so it does not count.

use super::orders::shards;
use proto::id::{NodeId, ShardId};
use raft::placement::{Placement, ShardConfig};
use std::collections::{BTreeMap, BTreeSet};

/// The sentence for the region as it stands, with the nodes that give signs of life.
#[must_use]
pub fn safety(placement: &Placement, alive: &BTreeSet<NodeId>) -> String {
    let mut by_copies: BTreeMap<usize, Vec<ShardId>> = BTreeMap::new();
    for (shard, config) in &placement.shards {
        let copies = holders(placement, config, alive).len();
        by_copies.entry(copies).or_default().push(*shard);
    }
    let Some((copies, weakest)) = by_copies.first_key_value() else {
        return "nothing is placed yet".into();
    };
    let named = shards(weakest);
    match copies {
        0 => format!(
            "nobody who holds {named} can be reached: while its disks are there, nothing is lost"
        ),
        1 => {
            let holders = alone(placement, weakest, alive);
            format!("1 more node lost may lose {named} ({holders})")
        }
        2 => format!("any 1 node lost loses nothing that was acknowledged; 2 may lose {named}"),
        more => format!(
            "any {} nodes lost lose nothing that was acknowledged; {more} may lose {named}",
            more - 1
        ),
    }
}

/// The living nodes that hold all that was acknowledged of a shard.
fn holders(
    placement: &Placement,
    config: &ShardConfig,
    alive: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let counts = config
        .in_sync
        .iter()
        .filter(|own| placement.is_present(**own) && alive.contains(&own.node));
    counts.map(|own| own.node).collect()
}

/// Who holds each of these by itself.
fn alone(placement: &Placement, weakest: &[ShardId], alive: &BTreeSet<NodeId>) -> String {
    let mut by_holder: BTreeMap<String, Vec<ShardId>> = BTreeMap::new();
    for shard in weakest {
        for node in holders(placement, &placement.shards[shard], alive) {
            let name = super::name_of(node, placement);
            by_holder.entry(name).or_default().push(*shard);
        }
    }
    let words = by_holder.iter().map(|(name, held)| match by_holder.len() {
        1 => format!("{name} holds the only copy"),
        _ => format!("{name} holds the only copy of {}", shards(held)),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::examples::region;

    fn check(held: &[&[u64]], alive: &[u64], expected: &str) {
        let placement = region(3, held);
        let alive = alive.iter().copied().map(NodeId).collect();
        assert_eq!(safety(&placement, &alive), expected);
    }

    #[test]
    fn the_weakest_shards_are_named() {
        let whole: &[&[u64]] = &[&[1, 2], &[2, 3], &[1, 2, 3]];
        check(
            whole,
            &[1, 2, 3],
            "any 1 node lost loses nothing that was acknowledged; 2 may lose shards 0, 1",
        );
        check(
            whole,
            &[2, 3],
            "1 more node lost may lose shard 0 (eu-2 holds the only copy)",
        );
        check(
            &[&[1], &[2], &[1, 2]],
            &[1, 2, 3],
            "1 more node lost may lose shards 0, 1 (eu-1 holds the only copy of shard 0; eu-2 holds the only copy of shard 1)",
        );
        check(
            &[&[1, 2, 3]],
            &[1, 2, 3],
            "any 2 nodes lost lose nothing that was acknowledged; 3 may lose shard 0",
        );
        check(
            whole,
            &[3],
            "nobody who holds shard 0 can be reached: while its disks are there, nothing is lost",
        );
        check(&[], &[1], "nothing is placed yet");
    }
}
