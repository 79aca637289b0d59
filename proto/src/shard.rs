//! Which shard holds a key. Fixed when the cluster is founded, equal in all regions.

use crate::{
    id::{ProjectId, ShardId},
    key::Key,
    limits::REFERENCE_SHARDS,
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The algorithm of a [`Sharding`]; a stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardHash {
    /// xxh3-64 with the seed, then the high half of the product with the number of shards.
    Xxh3Multiply,
}

/// How keys spread over shards: part of the founding record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharding {
    /// The number of shards without the reference shards.
    pub shards: u16,
    /// The hash's seed.
    pub seed: u64,
    /// The hash.
    pub algorithm: ShardHash,
}

/// Where the rows of an entity live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Copies {
    /// Spread over the shards, each with the region's number of copies.
    #[default]
    Sharded,
    /// In the reference shards, which every node holds.
    EveryNode,
}

impl Sharding {
    /// The shard of an entity's `shard_by` values. The entity's name is left out on purpose: what
    /// is sharded by the same key lives together, so one user costs one hop.
    #[must_use]
    pub fn shard_of(&self, project: ProjectId, shard_by: &Key, copies: Copies) -> ShardId {
        let mut hasher = Xxh3::with_seed(self.seed);
        hasher.update(&project.0.to_le_bytes());
        hasher.update(shard_by.as_bytes());
        let hash = hasher.digest();
        let spread = |shards: u16| ((u128::from(hash) * u128::from(shards)) >> 64) as u16;
        match copies {
            Copies::Sharded => ShardId(spread(self.shards)),
            Copies::EveryNode => ShardId(self.shards + spread(REFERENCE_SHARDS)),
        }
    }

    /// All shards, the reference shards last.
    pub fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards + REFERENCE_SHARDS).map(ShardId)
    }

    /// Whether every node holds this shard.
    #[must_use]
    pub const fn is_reference(&self, shard: ShardId) -> bool {
        shard.0 >= self.shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDING: Sharding = Sharding {
        shards: 64,
        seed: 7,
        algorithm: ShardHash::Xxh3Multiply,
    };

    fn customer(number: i64) -> Key {
        let mut key = Key::new();
        key.push_number(number).unwrap();
        key
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0_u32; 64];
        for number in 0..64_000 {
            let shard = SHARDING.shard_of(ProjectId(1), &customer(number), Copies::Sharded);
            counts[usize::from(shard.0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_shard_of_a_key_is_a_stored_format() {
        let shards = [1, 2, 17_850].map(|n| {
            SHARDING
                .shard_of(ProjectId(1), &customer(n), Copies::Sharded)
                .0
        });
        assert_eq!(shards, [56, 38, 38]);
        let reference = SHARDING.shard_of(ProjectId(1), &customer(1), Copies::EveryNode);
        assert!(SHARDING.is_reference(reference) && reference.0 < 64 + REFERENCE_SHARDS);
        assert_eq!(SHARDING.all().count(), 68);
    }
}
