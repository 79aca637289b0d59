//! What an operator orders of a node: that it is emptied, taken back, or taken out. Whether it can be, and
//! which steps follow. Pure; the steps are those of the controller itself, rehearsed.

use proto::{
    id::{NodeId, ShardId},
    reason::{Reason, Refusal},
};
use raft::placement::{
    Member, Placement, PlacementCommand, ShardChange,
    command::PlacementRefusal,
    rehearsal::{Rehearsal, Step, rehearse},
};
use std::collections::{BTreeMap, BTreeSet};

/// Shards that are named; more are counted.
const NAMED: usize = 12;

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Emptied, while the others can hold its copies.
    Drain,
    /// Emptied, whatever the others can hold.
    DrainToFewerCopies,
    /// Not emptied any more.
    Return,
    /// Taken out.
    Remove,
}

/// The region as an order finds it.
pub struct Region<'a> {
    /// Members and shards.
    pub placement: &'a Placement,
    /// Who votes in the region's group.
    pub voters: BTreeSet<NodeId>,
    /// Who votes in the global group.
    pub global_voters: BTreeSet<NodeId>,
    /// Who gives signs of life.
    pub alive: BTreeSet<NodeId>,
}

/// What an order leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is proposed to the group.
    pub command: PlacementCommand,
    /// What follows, in words.
    pub steps: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Region<'_> {
    /// The node of an id or a name.
    pub fn find(&self, text: &str) -> Result<NodeId, Refusal> {
        let by_id = text.parse::<NodeId>().ok();
        if let Some(node) = by_id.filter(|node| self.placement.members.contains_key(node)) {
            return Ok(node);
        }
        let members = self.placement.members.values();
        let named: Vec<NodeId> = members
            .filter(|member| member.name == text)
            .map(|member| member.node)
            .collect();
        let unknown = |message| Refusal::of_field(Reason::UnknownNode, "node", message);
        match named.as_slice() {
            [node] => Ok(*node),
            [] => Err(unknown(format!(
                "no node {text:?} is a member of the region; `atoll node list` shows those that are"
            ))),
            several => {
                let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(unknown(format!(
                    "several nodes are called {text:?}; name one by its id: {}",
                    ids.join(", ")
                )))
            }
        }
    }

    /// What an order leads to, or why it cannot be carried out.
    pub fn plan(&self, node: NodeId, order: Order) -> Result<Planned, Refusal> {
        match order {
            Order::Drain | Order::DrainToFewerCopies => self.drain(node, order),
            Order::Return => Ok(self.take_back(node)),
            Order::Remove => self.remove(node),
        }
    }

    fn drain(&self, node: NodeId, order: Order) -> Result<Planned, Refusal> {
        let name = self.name(node);
        let fewer_copies = order == Order::DrainToFewerCopies;
        if !self.alive.contains(&node) {
            return Err(needed(format!(
                "{name} is not reachable, so nothing can be moved off it; its copies are replaced from others \
                 where there is room, and `atoll node remove` takes it out"
            )));
        }
        let command = PlacementCommand::Drain {
            node,
            draining: true,
            fewer_copies,
        };
        let rehearsal = self.rehearse(command.clone())?;
        let stay: Vec<ShardId> = rehearsal.end.shards_of(node).collect();
        if !stay.is_empty() {
            return Err(needed(self.why_they_stay(node, &stay, order)));
        }
        let mut steps = self.shard_steps(node, &rehearsal);
        steps.extend(self.voter_steps(&rehearsal));
        let mut notes = Vec::new();
        if rehearsal.voters.contains(&node) {
            notes.push(format!(
                "{name} goes on voting until it is removed: no other node can take its place"
            ));
        }
        notes.extend(self.fewer_copies(&rehearsal.end));
        steps.push(format!("{name} is drained: its process may be stopped"));
        Ok(Planned {
            command,
            steps,
            notes,
        })
    }

    fn take_back(&self, node: NodeId) -> Planned {
        let name = self.name(node);
        let is_draining = self.member(node).is_some_and(|member| member.draining);
        let steps = match is_draining {
            true => format!(
                "{name} takes copies again; they are evened out once every shard has all its copies"
            ),
            false => format!("nothing is done: {name} is not being emptied"),
        };
        Planned {
            command: PlacementCommand::Drain {
                node,
                draining: false,
                fewer_copies: false,
            },
            steps: vec![steps],
            notes: Vec::new(),
        }
    }

    fn remove(&self, node: NodeId) -> Result<Planned, Refusal> {
        let name = self.name(node);
        let is_alive = self.alive.contains(&node);
        if is_alive && !self.placement.is_drained(node) {
            return Err(needed(match self.placement.shards_of(node).count() {
                0 => format!(
                    "{name} serves; empty it first with `atoll node drain`, or stop its process"
                ),
                held => format!(
                    "{name} serves and holds {held} shards; empty it first with `atoll node drain`"
                ),
            }));
        }
        let command = PlacementCommand::Remove { node };
        let rehearsal = match self.rehearse(command.clone()) {
            Err(_) if self.placement.shards_of(node).next().is_some() => {
                return Err(needed(self.why_it_is_needed(node)));
            }
            rehearsal => rehearsal?,
        };
        let mut steps = self.voter_steps(&rehearsal);
        if self.global_voters.contains(&node) {
            steps.push(format!("{name} votes no more in the global group"));
        }
        if let Some(store) = self.member(node).and_then(|member| member.store) {
            steps.push(format!(
                "store {store} is retired: what it holds never counts as a copy again"
            ));
        }
        steps.push(if is_alive {
            format!("{name} is no member of the region any more; its process ends by itself")
        } else {
            format!("{name} is no member of the region any more")
        });
        let notes = self.fewer_copies(&rehearsal.end).into_iter().collect();
        Ok(Planned {
            command,
            steps,
            notes,
        })
    }

    fn rehearse(&self, command: PlacementCommand) -> Result<Rehearsal, Refusal> {
        rehearse(self.placement, &self.voters, &self.alive, command).map_err(|why| refused(&why))
    }

    fn why_they_stay(&self, node: NodeId, stay: &[ShardId], order: Order) -> String {
        let name = self.name(node);
        let shards = shards(stay);
        let (copies, minimum) = self.placement.policy.map_or((1, 1), |policy| {
            (policy.copies, usize::from(policy.min_in_sync))
        });
        let others = self.others(node).len();
        if order == Order::Drain && others >= minimum {
            return format!(
                "{name} cannot be emptied: {shards} would stay on it, since {copies} copies are wanted and \
                 {others} other nodes can take them; start more nodes, or accept fewer copies with --fewer-copies"
            );
        }
        format!(
            "{name} cannot be emptied: {shards} would stay on it, since {others} other nodes can take copies and at \
             least {minimum} must be in sync; start more nodes"
        )
    }

    /// Why a node that is away, or emptied, cannot be taken out.
    fn why_it_is_needed(&self, node: NodeId) -> String {
        let name = self.name(node);
        let configs = self.placement.shards.iter();
        let only: Vec<ShardId> = configs
            .filter(|(_, config)| config.in_sync.iter().all(|member| member.node == node))
            .map(|(shard, _)| *shard)
            .collect();
        if !only.is_empty() {
            return format!(
                "{name} holds the only copy of {}: what was acknowledged there would be lost; bring it back",
                shards(&only)
            );
        }
        let counted: Vec<ShardId> = self.placement.shards_of(node).collect();
        format!(
            "{name} still counts as a copy of {}; the others go on without it within seconds where enough are in \
             sync, else start another node, and try again then",
            shards(&counted)
        )
    }

    /// Nodes beside `node` that can hold copies now.
    fn others(&self, node: NodeId) -> Vec<NodeId> {
        let members = self.placement.members.values();
        let able = members.filter(|member| {
            member.node != node
                && member.store.is_some()
                && !member.draining
                && self.alive.contains(&member.node)
        });
        able.map(|member| member.node).collect()
    }

    fn fewer_copies(&self, end: &Placement) -> Option<String> {
        let copies = usize::from(end.policy?.copies);
        let able = end.members.values();
        let able = able.filter(|member| member.store.is_some() && !member.draining);
        let able = able.count();
        (able < copies).then(|| {
            format!("{copies} copies are wanted and {able} nodes are left to hold them: start more")
        })
    }

    /// What happens to each shard that rests on the node now.
    fn shard_steps(&self, node: NodeId, rehearsal: &Rehearsal) -> Vec<String> {
        let mut by_shard: BTreeMap<ShardId, Vec<String>> = BTreeMap::new();
        let concerned: BTreeSet<ShardId> = self.placement.shards_of(node).collect();
        for step in &rehearsal.steps {
            if let Step::Shard(shard, change) = step
                && concerned.contains(shard)
            {
                by_shard
                    .entry(*shard)
                    .or_default()
                    .extend(self.words(change));
            }
        }
        by_shard
            .into_iter()
            .map(|(shard, steps)| format!("shard {shard}: {}", steps.join("; ")))
            .collect()
    }

    fn words(&self, change: &ShardChange) -> Option<String> {
        Some(match change {
            ShardChange::Invite { joiner } => {
                format!("a copy is made on {}", self.name(joiner.node))
            }
            ShardChange::Grow { joiner } => format!("{} is in sync", self.name(joiner.node)),
            ShardChange::Promote { to, .. } => format!("{} leads", self.name(to.node)),
            ShardChange::Shrink { leaver } => {
                format!("the copy on {} goes", self.name(leaver.node))
            }
            ShardChange::Leave { leavers } => {
                let names: Vec<String> = leavers.iter().map(|own| self.name(own.node)).collect();
                format!("the copies on {} go", names.join(", "))
            }
            ShardChange::Dismiss { joiner } => {
                format!("no copy is made on {}", self.name(joiner.node))
            }
            ShardChange::Place { .. }
            | ShardChange::Restart { .. }
            | ShardChange::Renew { .. }
            | ShardChange::AcceptLoss { .. } => return None,
        })
    }

    fn voter_steps(&self, rehearsal: &Rehearsal) -> Vec<String> {
        let changes = rehearsal.steps.iter().filter_map(|step| match step {
            Step::Voters(voters) => Some(voters),
            Step::Shard(..) => None,
        });
        changes
            .map(|voters| {
                let mut names: Vec<String> = voters.iter().map(|node| self.name(*node)).collect();
                names.sort();
                format!("the region's voters are {}", names.join(", "))
            })
            .collect()
    }

    fn member(&self, node: NodeId) -> Option<&Member> {
        self.placement.members.get(&node).map(AsRef::as_ref)
    }

    fn name(&self, node: NodeId) -> String {
        self.member(node)
            .map_or_else(|| node.to_string(), |member| member.name.clone())
    }
}

/// What the group says when it refuses.
#[must_use]
pub fn refused(refusal: &PlacementRefusal) -> Refusal {
    let reason = match refusal {
        PlacementRefusal::NotAMember(_) => Reason::UnknownNode,
        _ => Reason::StillNeeded,
    };
    Refusal::new(reason, refusal.to_string())
}

fn needed(message: String) -> Refusal {
    Refusal::of_field(Reason::StillNeeded, "node", message)
}

/// Shards as people name them.
#[must_use]
pub fn shards(shards: &[ShardId]) -> String {
    let named: Vec<String> = shards.iter().take(NAMED).map(ToString::to_string).collect();
    let more = shards.len().saturating_sub(NAMED);
    match (shards.len(), more) {
        (1, _) => format!("shard {}", named[0]),
        (_, 0) => format!("shards {}", named.join(", ")),
        (_, more) => format!("shards {} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
