//! Nodes that go: an operator empties one, or its process is about to stop.
//!
//! A copy moves off a node by steps that each stand in the group's log, so whoever leads next goes on
//! where the last one was: its primaries are handed over, a joiner is invited and taken in by its primary,
//! and then the old copy leaves. Whoever crashes in between, the next step follows from what stands.

use super::{Controller, decide::Round};
use crate::placement::{
    command::ShardChange,
    state::{Replica, ShardConfig},
};
use proto::id::{NodeId, ShardId};
use std::collections::{BTreeMap, BTreeSet};

impl Controller {
    /// Copies that are on their way off each node that is emptied.
    pub(super) fn moves(&self) -> BTreeMap<NodeId, usize> {
        let mut moves = BTreeMap::new();
        for config in self.placement.shards.values() {
            if config.joining.is_empty() {
                continue;
            }
            if let Some(emptied) = self.emptied(config) {
                *moves.entry(emptied).or_default() += 1;
            }
        }
        moves
    }

    /// The first node that is to be emptied among a shard's members.
    fn emptied(&self, config: &ShardConfig) -> Option<NodeId> {
        let nodes = config.in_sync.iter().map(|member| member.node);
        nodes.into_iter().find(|node| self.is_draining(*node))
    }

    /// Whether a shard has all its copies and only wants one elsewhere: off which node.
    pub(super) fn is_mere_move(
        &self,
        round: &Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<NodeId> {
        let is_held = |member: &&Replica| {
            self.is_fit(round.now_millis, member.node) && !self.is_damaged(**member, shard)
        };
        let held = config.in_sync.iter().filter(is_held).count();
        let emptied = self.emptied(config)?;
        (held >= usize::from(round.policy.copies)).then_some(emptied)
    }

    /// A primary on a node that is to be emptied is handed over, some at a time: writes to a shard pause
    /// for as long as its new primary needs to begin.
    pub(super) fn hand_over(
        &self,
        round: &mut Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<ShardChange> {
        if !self.is_draining(config.primary.node) || round.hand_overs >= self.settings.hand_overs {
            return None;
        }
        let to = self.successor(round, shard, config, |node| !self.is_draining(node))?;
        round.hand_overs += 1;
        self.promotion(round, to, BTreeSet::new())
    }

    /// A backup whose process is about to stop leaves before it falls silent, so that no write waits for
    /// it; only where those that stay can be counted on.
    pub(super) fn let_leave(
        &self,
        round: &Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<ShardChange> {
        let is_leaving = |member: &&Replica| {
            let known = self.placement.members.get(&member.node);
            known.is_some_and(|known| self.is_leaving(member.node, known.boot))
        };
        let backups = config
            .in_sync
            .iter()
            .filter(|member| **member != config.primary);
        let leaver = *backups.into_iter().find(is_leaving)?;
        let mut others = config.in_sync.iter().filter(|member| **member != leaver);
        let stay = others.clone().count();
        let minimum = usize::from(round.policy.min_in_sync.max(1));
        let are_well = others.all(|member| {
            self.is_fit(round.now_millis, member.node) && !self.is_damaged(*member, shard)
        });
        (are_well && stay >= minimum).then_some(ShardChange::Shrink { leaver })
    }

    /// Lets a copy on a node that is to be emptied go, once enough others are in sync.
    pub(super) fn empty(
        &self,
        round: &Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<ShardChange> {
        let stays = |member: &&Replica| {
            !self.is_draining(member.node)
                && self.is_fit(round.now_millis, member.node)
                && !self.is_damaged(**member, shard)
        };
        let staying = config.in_sync.iter().filter(stays).count();
        let leaves = |member: &&Replica| {
            **member != config.primary
                && self.is_draining(member.node)
                && staying >= self.enough_without(round, member.node)
        };
        let leaver = config.in_sync.iter().find(leaves)?;
        Some(ShardChange::Shrink { leaver: *leaver })
    }

    /// Copies that must stay when one on `node` goes: all there should be, or as many as there are nodes
    /// for, where a person said so.
    fn enough_without(&self, round: &Round, node: NodeId) -> usize {
        let copies = usize::from(round.policy.copies);
        let member = self.placement.members.get(&node);
        if member.is_some_and(|member| member.fewer_copies) {
            return copies.min(round.available.len()).max(1);
        }
        copies
    }
}
