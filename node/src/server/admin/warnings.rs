//! What a person should know of the cluster, in words: what is away, and what could still be lost. Pure.

use proto::id::NodeId;
use raft::placement::{Placement, Replica, ShardConfig};
use std::collections::{BTreeMap, BTreeSet};

/// What the words are made from.
pub struct Seen<'a> {
    /// The region's name.
    pub region: &'a str,
    /// The members and the shard map.
    pub placement: &'a Placement,
    /// The metadata groups.
    pub groups: Vec<GroupSeen>,
    /// The nodes that give signs of life.
    pub alive: BTreeSet<NodeId>,
    /// Nodes of other regions as people call them.
    pub elsewhere: BTreeMap<NodeId, String>,
    /// Shards of the node that answers which it cannot read now.
    pub unreadable: usize,
    /// Its rows that are damaged on disk.
    pub damaged: usize,
}

/// One metadata group.
pub struct GroupSeen {
    /// Its name.
    pub name: String,
    /// Whether it has a leader.
    pub is_led: bool,
    /// Its voters.
    pub voters: Vec<NodeId>,
    /// What does not happen while it has no quorum.
    pub stalls: &'static str,
}

/// The warnings, the gravest first.
#[must_use]
pub fn warnings(seen: &Seen<'_>) -> Vec<String> {
    let mut said = Vec::new();
    seen.shards_that_nobody_answers(&mut said);
    for group in &seen.groups {
        said.extend(seen.quorum(group));
    }
    seen.members_away(&mut said);
    seen.shards_with_one_copy(&mut said);
    seen.this_node(&mut said);
    said
}

impl Seen<'_> {
    fn name(&self, node: NodeId) -> String {
        let member = self.placement.members.get(&node);
        let own = member.map(|member| member.name.clone());
        let elsewhere = || self.elsewhere.get(&node).cloned();
        own.or_else(elsewhere)
            .unwrap_or_else(|| format!("node {node}"))
    }

    fn names(&self, nodes: impl IntoIterator<Item = NodeId>) -> String {
        let mut names: Vec<String> = nodes.into_iter().map(|node| self.name(node)).collect();
        names.sort();
        names.join(", ")
    }

    fn is_alive(&self, node: NodeId) -> bool {
        self.alive.contains(&node)
    }

    /// Nodes of other regions are not heard here.
    fn is_away(&self, node: NodeId) -> bool {
        self.placement.members.contains_key(&node) && !self.is_alive(node)
    }

    fn shards(&self) -> impl Iterator<Item = &ShardConfig> {
        self.placement.shards.values().map(AsRef::as_ref)
    }

    fn shards_that_nobody_answers(&self, said: &mut Vec<String>) {
        let wanted = self
            .placement
            .policy
            .map_or(0, |policy| usize::from(policy.shards));
        let unplaced = wanted.saturating_sub(self.placement.shards.len());
        if unplaced > 0 {
            said.push(format!(
                "{} not placed yet: writes to them wait",
                are(unplaced, "shard")
            ));
        }
        let mut lost: BTreeMap<BTreeSet<NodeId>, usize> = BTreeMap::new();
        let mut headless: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut forgotten = 0;
        for config in self.shards() {
            let holders: BTreeSet<NodeId> = config.in_sync.iter().map(|own| own.node).collect();
            if self.is_forgotten(config) {
                forgotten += 1;
            } else if !holders.iter().any(|node| self.is_alive(*node)) {
                *lost.entry(holders).or_default() += 1;
            } else if !self.is_alive(config.primary.node) {
                *headless.entry(config.primary.node).or_default() += 1;
            }
        }
        if forgotten > 0 {
            said.push(format!(
                "{} held by no run that counts: durability is \"replicated\", and every node that held them in sync started anew. Writes and lookups of them are refused; what was acknowledged within store.sync_within of the end may be lost. `atoll recover --region {} --accept-loss` goes on with the longest log there is",
                are(forgotten, "shard"),
                self.region
            ));
        }
        for (holders, count) in lost {
            said.push(format!(
                "{} held in sync by nobody who can be reached: bring back {}, what was acknowledged is there",
                are(count, "shard"),
                self.names(holders)
            ));
        }
        for (node, count) in headless {
            said.push(format!(
                "{} led by {}, which is not reachable: writes to them wait until another is primary",
                are(count, "shard"),
                self.name(node)
            ));
        }
    }

    /// Whether what counts as a copy was memory, and all of it is gone.
    fn is_forgotten(&self, config: &ShardConfig) -> bool {
        let ended = |own: &Replica| own.boot.is_some() && !self.placement.is_present(*own);
        config.in_sync.iter().all(ended)
    }

    fn quorum(&self, group: &GroupSeen) -> Option<String> {
        let GroupSeen {
            name,
            voters,
            stalls,
            ..
        } = group;
        let away = voters.iter().copied();
        let away: Vec<NodeId> = away.filter(|node| self.is_away(*node)).collect();
        let spare = voters.len().saturating_sub(1) / 2;
        if !group.is_led {
            // Who has heard of no leader may not know who votes either.
            let of = if voters.is_empty() {
                "its voters".to_owned()
            } else {
                self.names(voters.iter().copied())
            };
            return Some(format!(
                "{name}: no leader is known; while no majority of {of} answers, {stalls}"
            ));
        }
        if !away.is_empty() && away.len() >= spare {
            let names = self.names(away);
            return Some(format!(
                "{name}: {names} of its {} voters cannot be reached; without one more, {stalls}",
                voters.len()
            ));
        }
        match voters.len() {
            0 | 1 => Some(format!(
                "{name}: one voter only; while it is away, {stalls}. Three survive the loss of one: add two nodes with role voter"
            )),
            2 => Some(format!(
                "{name}: two voters; while either is away, {stalls}. Three survive the loss of one: add a node with role voter"
            )),
            _ => None,
        }
    }

    fn members_away(&self, said: &mut Vec<String>) {
        let away = self.placement.members.keys().copied();
        let away: Vec<NodeId> = away.filter(|node| !self.is_alive(*node)).collect();
        if !away.is_empty() {
            let verb = if away.len() == 1 { "is" } else { "are" };
            said.push(format!("{} {verb} not reachable", self.names(away)));
        }
    }

    fn shards_with_one_copy(&self, said: &mut Vec<String>) {
        let mut alone: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
        for config in self.shards().filter(|config| config.in_sync.len() == 1) {
            let holder = config.in_sync.first().expect("there is one").node;
            let (count, growing) = alone.entry(holder).or_default();
            *count += 1;
            *growing += usize::from(!config.joining.is_empty());
        }
        for (node, (count, growing)) in &alone {
            let growing = match growing {
                0 => String::new(),
                some => format!(" (another copy of {some} is being made)"),
            };
            said.push(format!(
                "{} in sync on {} alone{growing}: what its disk loses is lost",
                are(*count, "shard"),
                self.name(*node)
            ));
        }
        let Some(policy) = self.placement.policy else {
            return;
        };
        let able = self.placement.members.values();
        let able = able.filter(|member| member.store.is_some() && !member.draining);
        let able = able.count();
        let wanted = usize::from(policy.copies);
        if able < wanted {
            said.push(format!(
                "{wanted} copies are wanted, and {} rows: start more nodes with role node",
                hold(able)
            ));
        }
    }

    fn this_node(&self, said: &mut Vec<String>) {
        if self.unreadable > 0 {
            said.push(format!(
                "{} not readable on the node that answers: lookups go to others",
                are(self.unreadable, "shard")
            ));
        }
        if self.damaged > 0 {
            said.push(format!(
                "{} damaged on the disk of the node that answers and waiting for repair from a replica",
                are(self.damaged, "row")
            ));
        }
    }
}

fn are(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what} is"),
        _ => format!("{count} {what}s are"),
    }
}

fn hold(nodes: usize) -> String {
    match nodes {
        1 => "1 node holds".into(),
        _ => format!("{nodes} nodes hold"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::examples::{region, replica};
    use proto::id::{BootId, ShardId};
    use std::sync::Arc;

    /// Each shard's holders, its primary first, and who is joining all of them.
    fn placement(members: u64, shards: &[&[u64]], joining: &[u64]) -> Placement {
        let mut placement = region(members, shards);
        for config in placement.shards.values_mut() {
            Arc::make_mut(config).joining = joining.iter().map(|node| replica(*node)).collect();
        }
        placement.policy.as_mut().unwrap().shards = 2;
        placement
    }

    fn group(voters: &[u64], is_led: bool) -> Vec<GroupSeen> {
        let voters = voters.iter().copied().map(NodeId).collect();
        vec![GroupSeen {
            name: "region eu".into(),
            is_led,
            voters,
            stalls: "no primary is replaced",
        }]
    }

    #[track_caller]
    fn check(placement: &Placement, groups: Vec<GroupSeen>, alive: &[u64], expected: &[&str]) {
        let seen = Seen {
            region: "eu",
            placement,
            groups,
            alive: alive.iter().copied().map(NodeId).collect(),
            elsewhere: BTreeMap::from([(NodeId(70), "us/us-1".into())]),
            unreadable: 0,
            damaged: 0,
        };
        assert_eq!(warnings(&seen), expected);
    }

    #[test]
    fn a_whole_region_has_nothing_to_warn_of() {
        let whole = placement(3, &[&[1, 2], &[3, 1]], &[]);
        check(&whole, group(&[1, 2, 3], true), &[1, 2, 3], &[]);
    }

    #[test]
    fn what_was_in_memory_of_runs_that_ended_is_said_to_be_gone() {
        let mut placement = placement(2, &[&[1, 2], &[2, 1]], &[]);
        if let Some(policy) = &mut placement.policy {
            policy.named_by_boot = true;
        }
        for (shard, boots) in [(0, [1, 77]), (1, [77, 78])] {
            let config = placement.shards.get_mut(&ShardId(shard)).unwrap();
            let named = |node: u64| Replica {
                boot: Some(BootId(boots[usize::from(node == 2)])),
                ..replica(node)
            };
            let config = Arc::make_mut(config);
            config.in_sync = [named(1), named(2)].into();
            config.primary = named(1);
        }
        check(
            &placement,
            group(&[1, 2, 3], true),
            &[1, 2],
            &[
                "1 shard is held by no run that counts: durability is \"replicated\", and every node that held them in sync started anew. Writes and lookups of them are refused; what was acknowledged within store.sync_within of the end may be lost. `atoll recover --region eu --accept-loss` goes on with the longest log there is",
            ],
        );
    }

    #[test]
    fn a_node_by_itself_is_told_what_it_lacks() {
        let alone = placement(1, &[&[1], &[1]], &[]);
        check(
            &alone,
            group(&[1], true),
            &[1],
            &[
                "region eu: one voter only; while it is away, no primary is replaced. Three survive the loss of one: add two nodes with role voter",
                "2 shards are in sync on eu-1 alone: what its disk loses is lost",
                "2 copies are wanted, and 1 node holds rows: start more nodes with role node",
            ],
        );
    }

    #[test]
    fn what_a_lost_node_takes_along_is_named() {
        let lost = placement(3, &[&[2, 1], &[3]], &[1]);
        check(
            &lost,
            group(&[1, 2, 3], true),
            &[1],
            &[
                "1 shard is held in sync by nobody who can be reached: bring back eu-3, what was acknowledged is there",
                "1 shard is led by eu-2, which is not reachable: writes to them wait until another is primary",
                "region eu: eu-2, eu-3 of its 3 voters cannot be reached; without one more, no primary is replaced",
                "eu-2, eu-3 are not reachable",
                "1 shard is in sync on eu-3 alone (another copy of 1 is being made): what its disk loses is lost",
            ],
        );
        let leaderless = placement(2, &[&[1, 2]], &[]);
        check(
            &leaderless,
            group(&[1, 2], false),
            &[1, 2],
            &[
                "1 shard is not placed yet: writes to them wait",
                "region eu: no leader is known; while no majority of eu-1, eu-2 answers, no primary is replaced",
            ],
        );
        let whole = placement(2, &[&[1, 2], &[2, 1]], &[]);
        check(
            &whole,
            group(&[], false),
            &[1, 2],
            &[
                "region eu: no leader is known; while no majority of its voters answers, no primary is replaced",
            ],
        );
    }
}
