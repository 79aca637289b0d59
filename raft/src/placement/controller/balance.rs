//! Evening out what nodes carry, once nothing is wrong: copies first, then primaries.
//!
//! A copy moves by growing the set on the node that carries least, and shrinking it by the one that
//! carries most. Each step lessens the difference between two nodes by two or more, so it comes to an
//! end; and it never lessens the number of zones that a shard lies in.

use super::{Controller, Effect, decide::Round};
use crate::placement::{
    command::ShardChange,
    state::{Replica, ShardConfig},
};
use proto::id::{NodeId, ShardId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Nodes that differ by less are even.
const UNEVEN: usize = 2;

impl Controller {
    /// Proposes what evens out, if every shard has been whole for a while.
    pub(super) fn balance(&mut self, round: &mut Round, effects: &mut Vec<Effect>) {
        let is_busy = !self.proposed.is_empty() || !self.is_whole(round);
        if is_busy {
            self.whole_since_millis = None;
            return;
        }
        let shards = self.placement.shards.clone();
        // A move that was begun is ended at once.
        let surplus = shards.iter().filter_map(|(shard, config)| {
            let change = self.give_up_surplus(round, config)?;
            Some((*shard, Arc::clone(config), change))
        });
        let mut changes: Vec<_> = surplus.collect();
        let since = *self.whole_since_millis.get_or_insert(round.now_millis);
        let is_settled = round.now_millis - since >= self.settings.balance_after_millis;
        if changes.is_empty() && is_settled {
            changes = self.move_copies(round, &shards);
        }
        if changes.is_empty() && is_settled {
            changes.extend(self.move_primary(round, &shards));
        }
        for (shard, config, change) in changes {
            let expect = Some((config.incarnation, config.epoch));
            self.propose(round.now_millis, shard, expect, change, effects);
        }
    }

    /// Whether every shard has its copies in sync on nodes that are fit, and nobody joins or is to be
    /// emptied.
    fn is_whole(&self, round: &Round) -> bool {
        let copies = usize::from(round.policy.copies).min(round.available.len());
        let is_well = |config: &Arc<ShardConfig>| {
            config.joining.is_empty()
                && config.in_sync.len() >= copies
                && config
                    .in_sync
                    .iter()
                    .all(|member| round.available.contains(member))
        };
        self.placement.shards.len() == usize::from(round.policy.shards)
            && self.placement.shards.values().all(is_well)
    }

    /// The next step for a shard with more members than it should have.
    fn give_up_surplus(&self, round: &Round, config: &ShardConfig) -> Option<ShardChange> {
        if config.in_sync.len() <= usize::from(round.policy.copies) {
            return None;
        }
        let zones_without =
            |leaver: &Replica| self.zones(config.in_sync.iter().filter(|member| *member != leaver));
        let leaver = config.in_sync.iter().max_by_key(|member| {
            let is_backup = **member != config.primary;
            (
                zones_without(member),
                round.load.copies(member.node),
                is_backup,
                member.node,
            )
        })?;
        if *leaver == config.primary {
            return self.lead_elsewhere(round, config);
        }
        Some(ShardChange::Shrink { leaver: *leaver })
    }

    /// The member that leads least takes over.
    fn lead_elsewhere(&self, round: &Round, config: &ShardConfig) -> Option<ShardChange> {
        let others = config
            .in_sync
            .iter()
            .filter(|member| **member != config.primary);
        let to = others.min_by_key(|member| (round.load.primaries(member.node), member.node))?;
        let boot = self.placement.members.get(&to.node)?.boot;
        let drop = BTreeSet::new();
        Some(ShardChange::Promote {
            to: *to,
            boot,
            drop,
        })
    }

    /// Invites the nodes that carry least to shards of those that carry most.
    fn move_copies(
        &self,
        round: &mut Round,
        shards: &BTreeMap<ShardId, Arc<ShardConfig>>,
    ) -> Vec<(ShardId, Arc<ShardConfig>, ShardChange)> {
        let mut changes: Vec<(ShardId, Arc<ShardConfig>, ShardChange)> = Vec::new();
        while changes.len() < self.settings.moves {
            let carried =
                |replica: &&Replica| (round.load.copies(replica.node), Reverse(replica.node));
            let most = round.available.iter().max_by_key(carried).copied();
            let roomy = round.available.iter();
            let roomy = roomy.filter(|replica| self.has_room(replica.node));
            let least = roomy.min_by_key(carried).copied();
            let (Some(most), Some(least)) = (most, least) else {
                break;
            };
            if round.load.copies(most.node) < round.load.copies(least.node) + UNEVEN {
                break;
            }
            let untouched = |shard: &ShardId| changes.iter().all(|(other, _, _)| other != shard);
            let movable = shards
                .iter()
                .filter(|(shard, config)| untouched(shard) && self.can_move(config, most, least));
            // A backup moves without a change of primary.
            let next = movable.min_by_key(|(shard, config)| (config.primary == most, **shard));
            let Some((shard, config)) = next else {
                break;
            };
            round.load.move_copy(most.node, least.node);
            let change = ShardChange::Invite { joiner: least };
            changes.push((*shard, Arc::clone(config), change));
        }
        changes
    }

    fn can_move(&self, config: &ShardConfig, from: Replica, to: Replica) -> bool {
        let after = config.in_sync.iter().filter(|member| **member != from);
        config.in_sync.contains(&from)
            && config.in_sync.iter().all(|member| member.node != to.node)
            && self.zones(after.chain([&to])) >= self.zones(config.in_sync.iter())
    }

    /// Lets a member lead that leads clearly less than the present primary's node.
    fn move_primary(
        &self,
        round: &Round,
        shards: &BTreeMap<ShardId, Arc<ShardConfig>>,
    ) -> Option<(ShardId, Arc<ShardConfig>, ShardChange)> {
        let leads = |node: NodeId| round.load.primaries(node);
        let gain = |config: &ShardConfig| {
            let least = config.in_sync.iter().map(|member| leads(member.node)).min();
            leads(config.primary.node).saturating_sub(least.unwrap_or(usize::MAX))
        };
        let uneven = shards.iter().filter(|(_, config)| gain(config) >= UNEVEN);
        let (shard, config) =
            uneven.max_by_key(|(shard, config)| (gain(config), Reverse(**shard)))?;
        let change = self.lead_elsewhere(round, config)?;
        Some((*shard, Arc::clone(config), change))
    }

    fn zones<'a>(&'a self, members: impl Iterator<Item = &'a Replica>) -> usize {
        let zones: BTreeSet<&str> = members.map(|member| self.zone(member.node)).collect();
        zones.len()
    }
}
