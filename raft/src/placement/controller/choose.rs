//! Which nodes: spread over zones first, then over what they carry already.

use super::Controller;
use crate::placement::state::{Placement, Replica, ShardConfig};
use proto::id::{NodeId, ShardId};
use std::collections::{BTreeMap, BTreeSet};

/// How many copies and primaries each node carries, what was just proposed included.
#[derive(Debug, Default)]
pub(super) struct Load {
    copies: BTreeMap<NodeId, usize>,
    primaries: BTreeMap<NodeId, usize>,
}

impl Load {
    pub(super) fn of(placement: &Placement) -> Self {
        let mut load = Self::default();
        for config in placement.shards.values() {
            load.add_primary(config.primary.node);
            config
                .in_sync
                .iter()
                .chain(&config.joining)
                .for_each(|replica| load.add_copy(replica.node));
        }
        load
    }

    pub(super) fn add_copy(&mut self, node: NodeId) {
        *self.copies.entry(node).or_default() += 1;
    }

    pub(super) fn add_primary(&mut self, node: NodeId) {
        *self.primaries.entry(node).or_default() += 1;
    }

    pub(super) fn move_copy(&mut self, from: NodeId, to: NodeId) {
        self.add_copy(to);
        if let Some(copies) = self.copies.get_mut(&from) {
            *copies -= 1;
        }
    }

    pub(super) fn copies(&self, node: NodeId) -> usize {
        self.copies.get(&node).copied().unwrap_or(0)
    }

    pub(super) fn primaries(&self, node: NodeId) -> usize {
        self.primaries.get(&node).copied().unwrap_or(0)
    }
}

impl Controller {
    /// The replicas that fit nodes with a store would be, those to be emptied left out.
    pub(super) fn available(&self, now_millis: u64) -> Vec<Replica> {
        let members = self.placement.members.values();
        let ready =
            members.filter(|member| !member.draining && self.is_fit(now_millis, member.node));
        ready
            .filter_map(|member| self.placement.replica_of(member.node))
            .filter(|replica| self.placement.is_present(*replica))
            .collect()
    }

    /// The next node for a shard besides those that have it: another zone, then one that still has
    /// some of it, then the least loaded. One whose disk is nearly full is asked for nothing new.
    pub(super) fn choose_joiner(
        &self,
        shard: ShardId,
        config: &ShardConfig,
        standing: &[Replica],
        available: &[Replica],
        load: &Load,
    ) -> Option<Replica> {
        let zones: BTreeSet<_> = standing
            .iter()
            .map(|replica| self.zone(replica.node))
            .collect();
        let taken = |replica: &Replica| {
            config
                .joining
                .iter()
                .any(|joiner| joiner.node == replica.node)
                || config.in_sync.contains(replica)
        };
        let has_some =
            |replica: &Replica| self.log_end(*replica, shard).incarnation == config.incarnation;
        let free = available.iter().filter(|replica| !taken(replica));
        let free = free.filter(|replica| self.has_room(replica.node) || has_some(replica));
        free.min_by_key(|replica| {
            (
                zones.contains(self.zone(replica.node)),
                !has_some(replica),
                load.copies(replica.node),
                replica.node,
            )
        })
        .copied()
    }

    /// The first members of a shard, its primary first.
    pub(super) fn choose_first(
        &self,
        copies: usize,
        available: &[Replica],
        load: &Load,
    ) -> Vec<Replica> {
        let by_load = |replica: &&Replica| {
            (
                !self.has_room(replica.node),
                load.primaries(replica.node),
                load.copies(replica.node),
                replica.node,
            )
        };
        let mut chosen: Vec<Replica> = available
            .iter()
            .min_by_key(by_load)
            .copied()
            .into_iter()
            .collect();
        while chosen.len() < copies {
            let zones: BTreeSet<_> = chosen
                .iter()
                .map(|replica| self.zone(replica.node))
                .collect();
            let free = available.iter().filter(|replica| !chosen.contains(replica));
            let next = free.min_by_key(|replica| {
                (
                    !self.has_room(replica.node),
                    zones.contains(self.zone(replica.node)),
                    load.copies(replica.node),
                    replica.node,
                )
            });
            match next {
                Some(next) => chosen.push(*next),
                None => break,
            }
        }
        chosen
    }

    pub(super) fn zone(&self, node: NodeId) -> &str {
        self.placement
            .members
            .get(&node)
            .map_or("", |member| member.zone.as_str())
    }
}
