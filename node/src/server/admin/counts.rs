//! How many shards stand as they should. Pure.

use proto::id::NodeId;
use raft::placement::{Placement, Replica};
use std::collections::BTreeSet;

/// Shards of the region.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    /// All there are, placed or not.
    pub shards: u32,
    /// Nobody takes their writes now.
    pub without_primary: u32,
    /// Fewer copies in sync can be reached than there should be.
    pub under_replicated: u32,
    /// Copies in sync that can be reached, of the shard that has the fewest.
    pub fewest_in_sync: u32,
}

impl Counts {
    /// As they stand with the nodes that give signs of life. A run that ended, a disk that was wiped and a node
    /// that is gone are named in the placement until they are replaced; none of them counts here.
    #[must_use]
    pub fn of(placement: &Placement, alive: &BTreeSet<NodeId>) -> Self {
        let (copies, shards) = placement.policy.map_or((1, 0), |policy| {
            (usize::from(policy.copies), u32::from(policy.shards))
        });
        let unplaced = shards.saturating_sub(placement.shards.len() as u32);
        let mut counts = Self {
            shards,
            without_primary: unplaced,
            under_replicated: unplaced,
            fewest_in_sync: 0,
        };
        let mut fewest = (unplaced > 0 || shards == 0).then_some(0);
        let stands = |own: &Replica| placement.is_present(*own) && alive.contains(&own.node);
        for config in placement.shards.values() {
            let standing = config.in_sync.iter().filter(|own| stands(own)).count();
            counts.under_replicated += u32::from(standing < copies);
            counts.without_primary += u32::from(!stands(&config.primary));
            fewest = Some(fewest.map_or(standing, |fewest: usize| fewest.min(standing)));
        }
        counts.fewest_in_sync = fewest.unwrap_or(0) as u32;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::examples::region;

    #[track_caller]
    fn check(
        placement: &Placement,
        alive: &[u64],
        [without_primary, under_replicated, fewest_in_sync]: [u32; 3],
    ) {
        let alive = alive.iter().copied().map(NodeId).collect();
        let expected = Counts {
            shards: placement.policy.map_or(0, |policy| policy.shards.into()),
            without_primary,
            under_replicated,
            fewest_in_sync,
        };
        assert_eq!(Counts::of(placement, &alive), expected);
    }

    #[test]
    fn a_node_that_is_gone_is_no_copy_and_no_primary() {
        let whole = region(3, &[&[1, 2], &[2, 3], &[3, 1]]);
        check(&whole, &[1, 2, 3], [0, 0, 2]);
        check(&whole, &[1, 2], [1, 2, 1]);
        check(&whole, &[], [3, 3, 0]);
    }

    #[test]
    fn a_shard_that_is_not_placed_has_neither() {
        let mut placement = region(2, &[&[1, 2]]);
        placement.policy.as_mut().unwrap().shards = 4;
        check(&placement, &[1, 2], [3, 3, 0]);
    }
}
