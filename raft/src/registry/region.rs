//! What was fixed at founding, and the regions with their states.
//!
//! These come from `cluster.toml` and `atoll region …`, not from definition files.

use proto::{
    id::{ClusterId, NodeId, RegionId},
    limits,
    name::Name,
    reason::{Reason, Refusal},
    shard::Sharding,
};
use serde::{Deserialize, Serialize};

/// What is fixed for the life of a cluster, and the regions it begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// Drawn by the node that founds.
    pub cluster: ClusterId,
    /// The cluster's name, which people type to confirm dangerous commands.
    pub name: String,
    /// Shards, and how keys are spread over them.
    pub sharding: Sharding,
    /// How entries travel between regions.
    pub transport: Transport,
    /// How far clocks may differ.
    pub max_offset_millis: u64,
    /// How far ahead of its stamp an event may be dated.
    pub max_future_millis: u64,
}

/// How entries travel between regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// QUIC between gateways of the regions.
    Direct,
    /// Each region's Kafka.
    Kafka,
}

/// One region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its id: the origin in versions and entries.
    pub id: RegionId,
    /// What an operator chose.
    pub settings: RegionSettings,
    /// Where it stands in its life.
    pub state: RegionState,
    /// Its regional group, once a first node founded it.
    pub group: Option<RegionGroup>,
}

/// What an operator chooses for a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSettings {
    /// Its name.
    pub name: Name,
    /// Replicas of a shard.
    pub copies: u8,
    /// Replicas below which the in-sync set never shrinks.
    pub min_in_sync: u8,
    /// What "durable" means there.
    #[serde(default)]
    pub durability: Durability,
    /// Its Kafka, with that transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSettings>,
    /// Its object store for snapshots and backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<ObjectSettings>,
}

/// What "durable" means in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// On disk.
    #[default]
    Fsync,
    /// In memory in two zones.
    Replicated,
}

/// A region's Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Where to begin.
    pub brokers: Vec<String>,
    /// Partitions of the region's topics.
    pub partitions: u16,
    /// Replicas of a partition.
    pub replication: u16,
    /// How long records are kept, as the broker takes it.
    pub retention_millis: u64,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security: String,
    /// With SASL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    /// The name of the credentials in each node's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

/// A region's object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectSettings {
    /// `s3://`, `gs://`, `az://` or `file://`.
    pub url: String,
    /// Another endpoint than the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// A region's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionState {
    /// Known, takes snapshots, serves nothing yet.
    Joining,
    /// Serves and accepts.
    Active,
    /// Accepts nothing new; its streams end.
    Draining,
    /// Its streams ended everywhere; it may return.
    Evacuated,
    /// Gone without an end; the others agree on its cut.
    Lost,
    /// Merges what the others kept before it closes anything.
    Recovering,
    /// Out for ever. It may only come back empty, as another region.
    Decommissioned,
}

/// The regional group of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionGroup {
    /// The group's number: a rebuilt group has a higher one.
    pub number: u32,
    /// The node that founded it.
    pub founder: NodeId,
}

impl RegionState {
    /// Whether its rows count: in placements, proofs and convergence.
    #[must_use]
    pub const fn holds_data(self) -> bool {
        !matches!(self, Self::Decommissioned)
    }

    /// Whether writes acknowledged there may still be on their way to others: then answers elsewhere say how
    /// old they can be towards it. The streams of the others have ended, or are given up.
    #[must_use]
    pub const fn may_write(self) -> bool {
        match self {
            Self::Joining | Self::Active | Self::Draining | Self::Recovering => true,
            Self::Evacuated | Self::Lost | Self::Decommissioned => false,
        }
    }

    /// Whether nothing is expected of it any more: neither rows, nor answers, nor votes.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Lost | Self::Decommissioned)
    }

    /// Whether a region may go from this state to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use RegionState::{Active, Decommissioned, Draining, Evacuated, Joining, Lost, Recovering};
        matches!(
            (self, next),
            (Joining, Active | Lost | Decommissioned)
                | (Active, Draining | Lost | Recovering)
                | (Draining, Evacuated | Active | Lost)
                | (Evacuated, Active | Lost | Decommissioned)
                | (Recovering, Active | Lost)
                | (Lost, Decommissioned)
        )
    }
}

impl RegionSettings {
    /// Whether the numbers can hold.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |field: &str, message: String| {
            Err(Refusal::of_field(
                Reason::InvalidDefinition,
                format!("region.{}.{field}", self.name),
                message,
            ))
        };
        if !(1..=5).contains(&self.copies) {
            return refuse(
                "copies",
                format!("copies is {}; 1 to 5 are possible", self.copies),
            );
        }
        if self.min_in_sync == 0 || self.min_in_sync > self.copies {
            let message = format!(
                "min_in_sync is {}; with {} copies it is 1 to {}",
                self.min_in_sync, self.copies, self.copies
            );
            return refuse("min_in_sync", message);
        }
        Ok(())
    }
}

impl Founding {
    /// Whether the numbers can hold.
    pub fn check(&self) -> Result<(), Refusal> {
        let shards = self.sharding.shards;
        if shards == 0 || shards > limits::SHARDS {
            let message = format!("shards is {shards}; 1 to {} are possible", limits::SHARDS);
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "cluster.shards",
                message,
            ));
        }
        let named = !self.name.is_empty() && self.name.len() <= limits::NAME_BYTES;
        if !named {
            let message = format!("a cluster's name has 1 to {} bytes", limits::NAME_BYTES);
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "cluster.name",
                message,
            ));
        }
        Ok(())
    }
}
