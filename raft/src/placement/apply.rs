//! The shard map's only way to change. Each rule here closes a hole of PROTOCOL.md 2, 3, 4 or 9.

use super::{
    command::{PlacementCommand, PlacementOutcome, PlacementRefusal, ShardChange},
    state::{Member, Placement, Policy, Replica, ShardConfig},
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, Revision, ShardId};
use std::{collections::BTreeSet, sync::Arc};

type Applied = Result<(), PlacementRefusal>;

impl Placement {
    /// Carries a command out, or says why not.
    pub fn apply(&mut self, command: PlacementCommand) -> PlacementOutcome {
        let shard = match &command {
            PlacementCommand::Change { shard, .. } => Some(*shard),
            PlacementCommand::Follow(_)
            | PlacementCommand::Register(_)
            | PlacementCommand::Drain { .. }
            | PlacementCommand::Remove { .. } => None,
        };
        let mut next = self.clone();
        let result = next.carry_out(command);
        if result.is_ok() && next != *self {
            next.revision = Revision(self.revision.0 + 1);
            *self = next;
        }
        let config = shard
            .and_then(|shard| self.shards.get(&shard))
            .map(|config| ShardConfig::clone(config));
        match result {
            Ok(()) => PlacementOutcome::Done {
                revision: self.revision,
                config,
            },
            Err(refusal) => PlacementOutcome::Refused {
                revision: self.revision,
                refusal,
                config,
            },
        }
    }

    fn carry_out(&mut self, command: PlacementCommand) -> Applied {
        match command {
            PlacementCommand::Follow(policy) => self.follow(policy),
            PlacementCommand::Register(member) => self.register(member),
            PlacementCommand::Drain {
                node,
                draining,
                fewer_copies,
            } => {
                let member = Arc::make_mut(self.known_member(node)?);
                (member.draining, member.fewer_copies) = (draining, draining && fewer_copies);
                Ok(())
            }
            PlacementCommand::Remove { node } => self.remove(node),
            PlacementCommand::Change {
                shard,
                expect,
                change,
            } => self.change(shard, expect, change),
        }
    }

    fn follow(&mut self, policy: Policy) -> Applied {
        let possible = (1..=policy.copies).contains(&policy.min_in_sync);
        let same_group = self.policy.is_none_or(|old| {
            (old.region, old.group, old.shards, old.named_by_boot)
                == (
                    policy.region,
                    policy.group,
                    policy.shards,
                    policy.named_by_boot,
                )
        });
        if !possible || !same_group {
            return Err(PlacementRefusal::WrongPolicy);
        }
        self.policy = Some(policy);
        Ok(())
    }

    fn register(&mut self, mut member: Member) -> Applied {
        if let Some(store) = member.store.filter(|store| self.retired.contains(store)) {
            return Err(PlacementRefusal::StoreRetired(store));
        }
        if let Some(present) = self.members.get(&member.node) {
            (member.draining, member.fewer_copies) = (present.draining, present.fewer_copies);
            // The old store is gone with what it acknowledged: it must not come back unnoticed.
            self.retired
                .extend(present.store.filter(|store| member.store != Some(*store)));
        }
        self.members.insert(member.node, Arc::new(member));
        Ok(())
    }

    fn known_member(&mut self, node: NodeId) -> Result<&mut Arc<Member>, PlacementRefusal> {
        self.members
            .get_mut(&node)
            .ok_or(PlacementRefusal::NotAMember(node))
    }

    fn remove(&mut self, node: NodeId) -> Applied {
        let store = self.known_member(node)?.store;
        if let Some(shard) = self.shards_of(node).next() {
            return Err(PlacementRefusal::StillNeeded { node, shard });
        }
        self.members.remove(&node);
        self.retired.extend(store);
        Ok(())
    }

    fn change(
        &mut self,
        shard: ShardId,
        expect: Option<(Incarnation, Epoch)>,
        change: ShardChange,
    ) -> Applied {
        let policy = self.policy.ok_or(PlacementRefusal::NotFounded)?;
        if shard.0 >= policy.shards {
            return Err(PlacementRefusal::NoSuchShard(shard));
        }
        let present = self.shards.get(&shard).cloned();
        if present
            .as_ref()
            .map(|config| (config.incarnation, config.epoch))
            != expect
        {
            return Err(PlacementRefusal::Moved);
        }
        let config = match (present, change) {
            (
                None,
                ShardChange::Place {
                    primary,
                    boot,
                    members,
                },
            ) => self.place(primary, boot, members, policy)?,
            (None, _) | (Some(_), ShardChange::Place { .. }) => {
                return Err(PlacementRefusal::Moved);
            }
            (Some(present), change) => {
                self.changed(ShardConfig::clone(&present), change, policy)?
            }
        };
        self.shards.insert(shard, Arc::new(config));
        Ok(())
    }

    fn place(
        &self,
        primary: Replica,
        boot: BootId,
        members: BTreeSet<Replica>,
        policy: Policy,
    ) -> Result<ShardConfig, PlacementRefusal> {
        members
            .iter()
            .try_for_each(|replica| self.must_be_present(*replica))?;
        self.must_run(primary, boot)?;
        if !members.contains(&primary) {
            return Err(PlacementRefusal::NotInSync(primary));
        }
        enough(&members, policy)?;
        Ok(ShardConfig {
            // A rebuilt group starts above every incarnation that an earlier group may have used.
            incarnation: Incarnation(1 + ((policy.group.saturating_sub(1)) << 16)),
            epoch: Epoch(1),
            primary,
            boot,
            in_sync: members,
            joining: BTreeSet::new(),
        })
    }

    fn changed(
        &mut self,
        mut config: ShardConfig,
        change: ShardChange,
        policy: Policy,
    ) -> Result<ShardConfig, PlacementRefusal> {
        match change {
            ShardChange::Place { .. } => return Err(PlacementRefusal::Moved),
            ShardChange::Promote { to, boot, drop } => {
                self.promote(&mut config, to, boot, &drop, policy)?;
            }
            ShardChange::Restart { boot } => self.restart(&mut config, boot)?,
            ShardChange::Renew { boot } => {
                self.must_be_present(config.primary)?;
                self.must_run(config.primary, boot)?;
                if config.boot != boot {
                    // Another run of the process: it asks for a restart, which says so.
                    return Err(PlacementRefusal::NotPresent(config.primary));
                }
                config.epoch = next(config.epoch);
            }
            ShardChange::Grow { joiner } => {
                self.must_be_present(joiner)?;
                if !config.joining.remove(&joiner) {
                    return Err(PlacementRefusal::NotInvited(joiner));
                }
                config.in_sync.insert(joiner);
                config.epoch = next(config.epoch);
            }
            ShardChange::Shrink { leaver } => {
                self.shrink(&mut config, &BTreeSet::from([leaver]), policy)?;
            }
            ShardChange::Leave { leavers } => self.shrink(&mut config, &leavers, policy)?,
            ShardChange::Invite { joiner } => {
                self.must_be_present(joiner)?;
                if config.in_sync.contains(&joiner) {
                    return Err(PlacementRefusal::AlreadyMember(joiner));
                }
                config.joining.insert(joiner);
            }
            ShardChange::Dismiss { joiner } => {
                config.joining.remove(&joiner);
            }
            ShardChange::AcceptLoss { survivor, boot } => {
                self.accept_loss(&mut config, survivor, boot, policy)?;
            }
        }
        Ok(config)
    }

    fn shrink(
        &self,
        config: &mut ShardConfig,
        leavers: &BTreeSet<Replica>,
        policy: Policy,
    ) -> Applied {
        if leavers.contains(&config.primary) {
            return Err(PlacementRefusal::IsPrimary);
        }
        if let Some(stranger) = leavers.difference(&config.in_sync).next() {
            return Err(PlacementRefusal::NotInSync(*stranger));
        }
        // Asked for before its disk was lost: a leaver may be the last that has it all.
        self.must_be_present(config.primary)?;
        config.in_sync.retain(|member| !leavers.contains(member));
        enough(&config.in_sync, policy)?;
        config.epoch = next(config.epoch);
        Ok(())
    }

    fn promote(
        &self,
        config: &mut ShardConfig,
        to: Replica,
        boot: BootId,
        drop: &BTreeSet<Replica>,
        policy: Policy,
    ) -> Applied {
        // Only a member is sure to hold every acknowledged entry.
        if !config.in_sync.contains(&to) || drop.contains(&to) {
            return Err(PlacementRefusal::NotInSync(to));
        }
        self.must_be_present(to)?;
        self.must_run(to, boot)?;
        if (config.primary, config.boot) == (to, boot) {
            return Err(PlacementRefusal::SameBoot);
        }
        config.in_sync.retain(|member| !drop.contains(member));
        enough(&config.in_sync, policy)?;
        (config.primary, config.boot, config.epoch) = (to, boot, next(config.epoch));
        Ok(())
    }

    fn restart(&self, config: &mut ShardConfig, boot: BootId) -> Applied {
        if config.boot == boot {
            return Err(PlacementRefusal::SameBoot);
        }
        // Under another store, or where memory counted, the node is no longer the copy it was.
        self.must_be_present(config.primary)?;
        self.must_run(config.primary, boot)?;
        (config.boot, config.epoch) = (boot, next(config.epoch));
        Ok(())
    }

    fn accept_loss(
        &mut self,
        config: &mut ShardConfig,
        survivor: Replica,
        boot: BootId,
        policy: Policy,
    ) -> Applied {
        self.must_be_present(survivor)?;
        self.must_run(survivor, boot)?;
        // Whoever held more than the survivor must never be taken for a copy of this shard again. A
        // run that ended is not, whatever its disk has kept for other shards.
        let lost = config
            .in_sync
            .iter()
            .filter(|member| member.store != survivor.store && !policy.named_by_boot);
        self.retired.extend(lost.map(|member| member.store));
        config.incarnation = Incarnation(config.incarnation.0 + 1);
        config.epoch = next(config.epoch);
        (config.primary, config.boot) = (survivor, boot);
        config.in_sync = BTreeSet::from([survivor]);
        config.joining.clear();
        Ok(())
    }

    fn must_be_present(&self, replica: Replica) -> Applied {
        if self.retired.contains(&replica.store) {
            return Err(PlacementRefusal::StoreRetired(replica.store));
        }
        if self.is_present(replica) {
            Ok(())
        } else {
            Err(PlacementRefusal::NotPresent(replica))
        }
    }

    /// An epoch is given only to the run of the process that registered last (I8).
    fn must_run(&self, replica: Replica, boot: BootId) -> Applied {
        let member = self
            .members
            .get(&replica.node)
            .ok_or(PlacementRefusal::NotAMember(replica.node))?;
        if member.boot == boot {
            Ok(())
        } else {
            Err(PlacementRefusal::NotPresent(replica))
        }
    }
}

fn next(epoch: Epoch) -> Epoch {
    Epoch(epoch.0 + 1)
}

fn enough(in_sync: &BTreeSet<Replica>, policy: Policy) -> Applied {
    let (left, min_in_sync) = (in_sync.len(), policy.min_in_sync);
    if left < usize::from(min_in_sync) {
        return Err(PlacementRefusal::TooFewInSync { left, min_in_sync });
    }
    Ok(())
}
