//! How far reads in the region can be behind each region, and how the streams between regions stand, put
//! together from what the nodes say. Pure.
//!
//! What nobody says is unknown: an age counts only where every shard can be read somewhere and every node
//! that lives and holds shards has answered; a shard's streams are told by its primary alone.

mod codec;
mod told;

pub(super) use codec::{decode, encode};
pub(in crate::server) use told::{Backlog, Link, Told};

use proto::id::{NodeId, PlacementId, RegionId, ShardId};
use raft::{
    placement::{Member, Placement},
    registry::Registry,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use wire::v1;

/// Obstacles named for one origin at most; of others only the count is told.
const OBSTACLES_MOST: usize = 16;

/// What there is to go by.
pub(super) struct Seen<'a> {
    /// The regions and what they hold.
    pub(super) registry: &'a Registry,
    /// The region.
    pub(super) own: RegionId,
    /// Its shard map.
    pub(super) placement: &'a Placement,
    /// Nodes that give signs of life.
    pub(super) alive: &'a BTreeSet<NodeId>,
    /// What nodes said.
    pub(super) told: &'a BTreeMap<NodeId, Told>,
    /// The longest since they said it.
    pub(super) waited: Duration,
}

impl Seen<'_> {
    /// The answer.
    pub(super) fn lag(&self) -> v1::LagResponse {
        let regions = self.registry.regions.values();
        let left_out = regions.filter(|region| region.id != self.own && !region.state.may_write());
        let members = self.placement.members.values();
        let holders = members.filter(|member| member.store.is_some());
        let mut nodes: Vec<v1::NodeLag> = holders.map(|member| self.node(member)).collect();
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
        v1::LagResponse {
            region: self.name(self.own),
            origins: self.origins().map(|origin| self.origin(origin)).collect(),
            nodes,
            outboxes: self.outboxes(),
            left_out: left_out
                .map(|region| region.settings.name.to_string())
                .collect(),
        }
    }

    /// The region, and each other one that may still send something.
    fn origins(&self) -> impl Iterator<Item = RegionId> + '_ {
        std::iter::once(self.own).chain(others(self.registry, self.own))
    }

    fn name(&self, region: RegionId) -> String {
        let known = self.registry.regions.get(&region);
        known.map_or_else(
            || region.to_string(),
            |known| known.settings.name.to_string(),
        )
    }

    fn origin(&self, origin: RegionId) -> v1::OriginLag {
        let mut lag = v1::OriginLag {
            origin: self.name(origin),
            micros: self.oldest(origin).map(micros),
            ..Default::default()
        };
        if origin != self.own {
            (lag.links, lag.held) = self.links(origin);
        }
        lag
    }

    /// The age of whoever can be the furthest behind an origin.
    fn oldest(&self, origin: RegionId) -> Option<Duration> {
        let readable = self.told.values().flat_map(|told| &told.readable);
        let readable: BTreeSet<ShardId> = readable.copied().collect();
        let shards = self.placement.policy.map_or(0, |policy| policy.shards);
        let is_whole = shards > 0 && (0..shards).all(|shard| readable.contains(&ShardId(shard)));
        let is_silent = |node: &NodeId| self.alive.contains(node) && !self.told.contains_key(node);
        if !is_whole || self.holding().any(|node| is_silent(&node)) {
            return None;
        }
        let holders = self.told.values().filter(|told| !told.readable.is_empty());
        let oldest = holders.map(|told| told.age(origin));
        let oldest: Option<Vec<Duration>> = oldest.collect();
        oldest?.into_iter().max().map(|age| age + self.waited)
    }

    /// Nodes that hold shards, by the map.
    fn holding(&self) -> impl Iterator<Item = NodeId> + '_ {
        let configs = self.placement.shards.values();
        let replicas = configs.flat_map(|config| config.in_sync.iter().chain(&config.joining));
        let nodes: BTreeSet<NodeId> = replicas.map(|replica| replica.node).collect();
        nodes.into_iter()
    }

    /// What the primary of a shard said, if it said something of its streams.
    fn primary(&self, shard: ShardId) -> Option<&Told> {
        let config = self.placement.shards.get(&shard)?;
        let told = self.told.get(&config.primary.node)?;
        told.primaries.contains(&shard).then_some(told)
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let shards = self.placement.policy.map_or(0, |policy| policy.shards);
        (0..shards).map(ShardId)
    }

    fn links(&self, origin: RegionId) -> (Vec<v1::LinkCount>, Vec<v1::HeldLinks>) {
        let mut states: BTreeMap<&'static str, u32> = BTreeMap::new();
        let mut obstacles: BTreeMap<&str, u32> = BTreeMap::new();
        for shard in self.shards() {
            let told = self.primary(shard);
            let link = told.and_then(|told| told.links.get(&(shard, origin)));
            *states.entry(Link::state(link)).or_default() += 1;
            if let Some(Link::Held(obstacle)) = link {
                *obstacles.entry(obstacle).or_default() += 1;
            }
        }
        let count = |(state, shards): (&str, u32)| v1::LinkCount {
            state: state.to_owned(),
            shards,
        };
        let held = |(obstacle, shards): (&str, u32)| v1::HeldLinks {
            obstacle: obstacle.to_owned(),
            shards,
        };
        let obstacles = obstacles.into_iter().take(OBSTACLES_MOST);
        (
            states.into_iter().map(count).collect(),
            obstacles.map(held).collect(),
        )
    }

    fn outboxes(&self) -> Vec<v1::OutboxLag> {
        let is_whole = self.shards().all(|shard| self.primary(shard).is_some());
        let mut sums: BTreeMap<PlacementId, (u32, Backlog)> = BTreeMap::new();
        for shard in self.shards() {
            let told = self.primary(shard).into_iter();
            let own = told.flat_map(|told| &told.outboxes);
            for ((_, placement), backlog) in own.filter(|((of, _), _)| *of == shard) {
                let (shards, sum) = sums.entry(*placement).or_default();
                *shards += 1;
                sum.entries = sum
                    .entries
                    .zip(backlog.entries)
                    .map(|(one, more)| one + more);
                sum.bytes += backlog.bytes;
            }
        }
        let sum = |(placement, (shards, sum)): (PlacementId, (u32, Backlog))| v1::OutboxLag {
            regions: self.holders(placement),
            shards,
            entries: sum.entries.filter(|_| is_whole),
            bytes: Some(sum.bytes).filter(|_| is_whole),
        };
        sums.into_iter().map(sum).collect()
    }

    fn holders(&self, placement: PlacementId) -> Vec<String> {
        let holders = self.registry.holders(placement).into_iter();
        holders.map(|region| self.name(region)).collect()
    }

    fn node(&self, member: &Arc<Member>) -> v1::NodeLag {
        let told = self.told.get(&member.node);
        let holds = told.filter(|told| !told.readable.is_empty());
        let age = |told: &Told, origin| v1::NodeAge {
            origin: self.name(origin),
            micros: told.age(origin).map(|age| micros(age + self.waited)),
        };
        let ages = holds.map(|told| self.origins().map(|origin| age(told, origin)).collect());
        v1::NodeLag {
            node: member.name.clone(),
            reachable: told.is_some(),
            ages: ages.unwrap_or_default(),
        }
    }
}

/// The other regions that may still send something to `own`.
pub(in crate::server) fn others(
    registry: &Registry,
    own: RegionId,
) -> impl Iterator<Item = RegionId> + '_ {
    let regions = registry.regions.values();
    let others = regions.filter(move |region| region.id != own && region.state.may_write());
    others.map(|region| region.id)
}

fn micros(age: Duration) -> u64 {
    u64::try_from(age.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
