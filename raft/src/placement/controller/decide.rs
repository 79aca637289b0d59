//! What to propose now, shard by shard: place, promote, hand over, refill, empty.

use super::{Controller, Effect, choose::Load};
use crate::placement::{
    command::{PlacementCommand, ShardChange},
    state::{Policy, Replica, ShardConfig},
};
use proto::id::{Epoch, Incarnation, NodeId, ShardId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What one round of decisions looks at.
pub(super) struct Round {
    pub(super) now_millis: u64,
    pub(super) since_millis: u64,
    silence_counts_from_millis: u64,
    pub(super) policy: Policy,
    pub(super) available: Vec<Replica>,
    pub(super) load: Load,
    /// Copies that are on their way off each node that is emptied.
    pub(super) moves: BTreeMap<NodeId, usize>,
    /// Primaries handed over in this round.
    pub(super) hand_overs: usize,
}

impl Controller {
    pub(super) fn decide(&mut self, now_millis: u64, since_millis: u64, effects: &mut Vec<Effect>) {
        let patience = self.settings.answer_within_millis;
        self.proposed
            .retain(|_, at| now_millis.saturating_sub(*at) < patience);
        self.decide_voters(now_millis, since_millis, effects);
        let Some(policy) = self.placement.policy else {
            return;
        };
        let available = self.available(now_millis);
        let load = Load::of(&self.placement);
        let mut round = Round {
            now_millis,
            since_millis,
            silence_counts_from_millis: self.silence_counts_from(since_millis),
            policy,
            available,
            load,
            moves: self.moves(),
            hand_overs: 0,
        };
        self.note_short(&round);
        for shard in (0..policy.shards).map(ShardId) {
            if self.proposed.len() >= self.settings.proposals {
                break;
            }
            if self.proposed.contains_key(&shard) {
                continue;
            }
            let config = self.placement.shards.get(&shard).cloned();
            let expect = config
                .as_ref()
                .map(|config| (config.incarnation, config.epoch));
            let change = match config {
                None => self.place(&mut round),
                Some(config) => self.mend(&mut round, shard, &config),
            };
            if let Some(change) = change {
                self.propose(now_millis, shard, expect, change, effects);
            }
        }
        self.balance(&mut round, effects);
    }

    pub(super) fn propose(
        &mut self,
        now_millis: u64,
        shard: ShardId,
        expect: Option<(Incarnation, Epoch)>,
        change: ShardChange,
        effects: &mut Vec<Effect>,
    ) {
        self.proposed.insert(shard, now_millis);
        effects.push(Effect::Propose(PlacementCommand::Change {
            shard,
            expect,
            change,
        }));
    }

    /// Notes since when shards name too few replicas.
    fn note_short(&mut self, round: &Round) {
        let copies = usize::from(round.policy.copies);
        let placement = &self.placement;
        let is_short = |config: &ShardConfig| self.named(config).len() < copies;
        let short = placement
            .shards
            .iter()
            .filter(|(_, config)| is_short(config));
        let now_short: Vec<ShardId> = short.map(|(shard, _)| *shard).collect();
        self.short_since_millis
            .retain(|shard, _| now_short.binary_search(shard).is_ok());
        for shard in now_short {
            self.short_since_millis
                .entry(shard)
                .or_insert(round.now_millis);
        }
    }

    /// The replicas that a configuration names and that can count, silent ones included.
    fn named(&self, config: &ShardConfig) -> Vec<Replica> {
        let all = config.in_sync.iter().chain(&config.joining);
        all.filter(|replica| {
            self.placement.is_present(**replica) && !self.is_draining(replica.node)
        })
        .copied()
        .collect()
    }

    fn place(&self, round: &mut Round) -> Option<ShardChange> {
        let (copies, minimum) = (
            usize::from(round.policy.copies),
            usize::from(round.policy.min_in_sync),
        );
        // Also with enough nodes for the copies others are waited for: shards are spread over all.
        let settled = copies == 1
            || round.now_millis.saturating_sub(round.since_millis) >= self.settings.settle_millis;
        if !settled || round.available.len() < minimum {
            return None;
        }
        let chosen = self.choose_first(copies, &round.available, &round.load);
        let primary = *chosen.first()?;
        let boot = self.placement.members.get(&primary.node)?.boot;
        round.load.add_primary(primary.node);
        chosen
            .iter()
            .for_each(|replica| round.load.add_copy(replica.node));
        Some(ShardChange::Place {
            primary,
            boot,
            members: chosen.into_iter().collect(),
        })
    }

    fn mend(&self, round: &mut Round, shard: ShardId, config: &ShardConfig) -> Option<ShardChange> {
        self.replace_lost_primary(round, shard, config)
            .or_else(|| self.hand_over(round, shard, config))
            .or_else(|| self.let_leave(round, shard, config))
            .or_else(|| self.dismiss(round, config))
            .or_else(|| self.empty(round, shard, config))
            .or_else(|| self.refill(round, shard, config))
    }

    fn replace_lost_primary(
        &self,
        round: &mut Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<ShardChange> {
        let silent = self.silent_millis(
            round.now_millis,
            round.silence_counts_from_millis,
            config.primary.node,
            config.boot,
        );
        // A disk that lost something, or a run that another one followed, does not come back, and one that is
        // about to stop wants to go; silence may end.
        let may_return = self.placement.is_present(config.primary)
            && !self.is_damaged(config.primary, shard)
            && !self.is_leaving(config.primary.node, config.boot);
        if silent < self.settings.lost_after_millis && may_return {
            return None;
        }
        let to = self.successor(round, shard, config, |_| true)?;
        let is_lost = |member: &&Replica| {
            **member != to
                && (!self.is_fit(round.now_millis, member.node)
                    || !self.placement.is_present(**member)
                    || self.is_damaged(**member, shard))
        };
        let mut lost: Vec<_> = config.in_sync.iter().filter(is_lost).collect();
        // Where not all may go, the ones that were heard of last have the best hope of returning;
        // what a disk has lost does not return.
        lost.sort_by_key(|member| {
            let heard = self.heard.get(&member.node);
            let at_millis = heard.map_or(0, |heard| heard.at_millis);
            (Reverse(self.is_damaged(**member, shard)), at_millis)
        });
        let may_go = config
            .in_sync
            .len()
            .saturating_sub(usize::from(round.policy.min_in_sync));
        let drop = lost.into_iter().take(may_go).copied().collect();
        self.promotion(round, to, drop)
    }

    pub(super) fn promotion(
        &self,
        round: &mut Round,
        to: Replica,
        drop: BTreeSet<Replica>,
    ) -> Option<ShardChange> {
        let boot = self.placement.members.get(&to.node)?.boot;
        round.load.add_primary(to.node);
        Some(ShardChange::Promote { to, boot, drop })
    }

    /// The in-sync member with the longest log among those that can lead now.
    pub(super) fn successor(
        &self,
        round: &Round,
        shard: ShardId,
        config: &ShardConfig,
        may_lead: impl Fn(NodeId) -> bool,
    ) -> Option<Replica> {
        let able = config.in_sync.iter().filter(|member| {
            let boot = self
                .placement
                .members
                .get(&member.node)
                .map(|member| member.boot);
            let leads_already = **member == config.primary && boot == Some(config.boot);
            self.placement.is_present(**member)
                && self.is_fit(round.now_millis, member.node)
                && !self.is_damaged(**member, shard)
                && !leads_already
                && may_lead(member.node)
        });
        able.max_by_key(|member| {
            (
                self.log_end(**member, shard),
                Reverse((round.load.primaries(member.node), member.node)),
            )
        })
        .copied()
    }

    fn dismiss(&self, round: &Round, config: &ShardConfig) -> Option<ShardChange> {
        let given_up = |joiner: &&Replica| {
            self.silence(round, joiner.node) >= self.settings.dismiss_after_millis
                || !self.placement.is_present(**joiner)
                || self.is_draining(joiner.node)
        };
        config
            .joining
            .iter()
            .find(given_up)
            .map(|joiner| ShardChange::Dismiss { joiner: *joiner })
    }

    fn refill(
        &self,
        round: &mut Round,
        shard: ShardId,
        config: &ShardConfig,
    ) -> Option<ShardChange> {
        let stands = |replica: &&Replica| {
            self.silence(round, replica.node) < self.settings.refill_after_millis
                && self.placement.is_present(**replica)
                && !self.is_draining(replica.node)
        };
        // A joiner that lost something is being brought up; a member is not, and is on its way out.
        let whole = config
            .in_sync
            .iter()
            .filter(|member| !self.is_damaged(**member, shard));
        let standing: Vec<_> = whole
            .chain(&config.joining)
            .filter(stands)
            .copied()
            .collect();
        if standing.len() >= usize::from(round.policy.copies) {
            return None;
        }
        let joiner = self.choose_joiner(shard, config, &standing, &round.available, &round.load)?;
        if let Some(emptied) = self.is_mere_move(round, shard, config) {
            // All copies are there: nothing is hurried, and nothing worth waiting for comes back.
            let under_way = round.moves.entry(emptied).or_default();
            if *under_way >= self.settings.moves {
                return None;
            }
            *under_way += 1;
            round.load.add_copy(joiner.node);
            return Some(ShardChange::Invite { joiner });
        }
        // A node that was let go and comes back has most of the shard, so its place is kept for a
        // while before all of it is copied to another.
        let short_for = self.short_since_millis.get(&shard);
        let short_for = short_for.map_or(u64::MAX, |since| round.now_millis - since);
        let has_some = self.log_end(joiner, shard).incarnation == config.incarnation;
        if short_for < self.settings.refill_after_millis && !has_some {
            return None;
        }
        round.load.add_copy(joiner.node);
        Some(ShardChange::Invite { joiner })
    }

    pub(super) fn is_draining(&self, node: NodeId) -> bool {
        self.placement
            .members
            .get(&node)
            .is_some_and(|member| member.draining)
    }

    /// How long a node was silent under the boot it registered last; one that is none, for ever.
    pub(super) fn silence(&self, round: &Round, node: NodeId) -> u64 {
        let boot = self.placement.members.get(&node).map(|member| member.boot);
        boot.map_or(u64::MAX, |boot| {
            self.silent_millis(
                round.now_millis,
                round.silence_counts_from_millis,
                node,
                boot,
            )
        })
    }
}
