//! The settings of a whole cluster, given once at founding and kept in its metadata.

use super::units::Span;
use proto::{limits, name::Name};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What `atoll init` founds a cluster with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// What holds for all regions.
    pub cluster: Founding,
    /// The regions.
    #[serde(rename = "region")]
    pub regions: Vec<RegionSettings>,
}

/// How regions reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over QUIC, node to node.
    #[default]
    Direct,
    /// Over each region's own Kafka.
    Kafka,
}

/// What holds for all regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    /// The cluster's name.
    pub name: String,
    /// Shards of every region; fixed for ever.
    #[serde(default = "default_shards")]
    pub shards: u16,
    /// How regions reach each other.
    #[serde(default)]
    pub transport: Transport,
    /// How far clocks may be apart.
    #[serde(default = "default_max_offset")]
    pub max_offset: Span,
    /// How far ahead of its stamp an event may be dated.
    #[serde(default = "default_max_future")]
    pub max_future: Span,
    /// Whether nodes show each other certificates, and callers tokens; fixed for ever. Left out: where
    /// the node that founds listens on an address that others reach, without `insecure_open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
}

fn default_shards() -> u16 {
    64
}

fn default_max_offset() -> Span {
    Span(limits::MAX_CLOCK_OFFSET)
}

fn default_max_future() -> Span {
    Span(limits::MAX_FUTURE)
}

/// One region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSettings {
    /// Its name.
    pub name: Name,
    /// Replicas of each shard.
    #[serde(default = "default_copies")]
    pub copies: u8,
    /// The in-sync set never shrinks below this.
    #[serde(default = "default_min_in_sync")]
    pub min_in_sync: u8,
}

fn default_copies() -> u8 {
    2
}

fn default_min_in_sync() -> u8 {
    1
}

impl ClusterSettings {
    /// Checks what types cannot: returns what to change.
    pub fn check(&self) -> Result<(), String> {
        let shards = self.cluster.shards;
        if shards == 0 || shards > limits::SHARDS {
            return Err(format!(
                "cluster.shards is {shards}; choose 1 to {}",
                limits::SHARDS
            ));
        }
        if self.regions.is_empty() || self.regions.len() > limits::REGIONS {
            return Err(format!("name 1 to {} [[region]]s", limits::REGIONS));
        }
        if self.cluster.max_offset.0 > Duration::from_secs(60) {
            return Err("cluster.max_offset is above 60s; keep the clocks closer".into());
        }
        for region in &self.regions {
            let RegionSettings {
                name,
                copies,
                min_in_sync,
            } = region;
            if !(1..=7).contains(copies) || !(1..=*copies).contains(min_in_sync) {
                return Err(format!(
                    "region {name}: copies is {copies} and min_in_sync {min_in_sync}; choose copies from 1 to 7 \
                     and min_in_sync from 1 to copies"
                ));
            }
            if self
                .regions
                .iter()
                .filter(|other| other.name == *name)
                .count()
                > 1
            {
                return Err(format!("region {name} is named twice"));
            }
        }
        Ok(())
    }

    /// One region `local` with one copy: what `atoll serve --single` founds.
    #[must_use]
    pub fn single() -> Self {
        let name = Name::new("local").expect("a valid name");
        Self {
            cluster: Founding {
                name: "single".into(),
                shards: default_shards(),
                transport: Transport::Direct,
                max_offset: default_max_offset(),
                max_future: default_max_future(),
                secure: None,
            },
            regions: vec![RegionSettings {
                name,
                copies: 1,
                min_in_sync: 1,
            }],
        }
    }
}
