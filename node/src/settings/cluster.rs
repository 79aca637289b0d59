//! The settings of a whole cluster, given once at founding and kept in its metadata.

use super::{
    region::{Kafka, Objects},
    units::Span,
};
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
    /// Its Kafka, with that transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// Its object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<Objects>,
}

fn default_copies() -> u8 {
    2
}

fn default_min_in_sync() -> u8 {
    1
}

impl RegionSettings {
    /// Checks what types cannot; says what to change, without the region's name.
    fn check(&self) -> Result<(), String> {
        let (copies, min_in_sync) = (self.copies, self.min_in_sync);
        if !(1..=5).contains(&copies) || !(1..=copies).contains(&min_in_sync) {
            return Err(format!(
                "copies is {copies} and min_in_sync {min_in_sync}; choose copies from 1 to 5 and min_in_sync from 1 \
                 to copies"
            ));
        }
        self.kafka.as_ref().map_or(Ok(()), Kafka::check)?;
        self.objects.as_ref().map_or(Ok(()), Objects::check)
    }
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
            let is_same = |other: &&RegionSettings| other.name == region.name;
            if self.regions.iter().filter(is_same).count() > 1 {
                return Err(format!("region {} is named twice", region.name));
            }
            region
                .check()
                .map_err(|why| format!("region {}: {why}", region.name))?;
        }
        self.check_transport()
    }

    /// Whether entries can travel between the regions.
    fn check_transport(&self) -> Result<(), String> {
        if self.cluster.transport != Transport::Kafka || self.regions.len() < 2 {
            return Ok(());
        }
        if let Some(region) = self.regions.iter().find(|region| region.kafka.is_none()) {
            return Err(format!(
                "region {}: cluster.transport is \"kafka\" and there is no [region.kafka]; add one with brokers = \
                 [\"HOST:PORT\"], or set cluster.transport to \"direct\"",
                region.name
            ));
        }
        // The name is in the names of topics.
        let name = &self.cluster.name;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.chars().all(is_plain) {
            return Err(format!(
                "cluster.name is {name:?}, which Kafka takes in no topic's name; use letters, digits, \".\", \"_\" \
                 and \"-\" alone"
            ));
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
                kafka: None,
                objects: None,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        [cluster]
        name = "shop-prod"
        transport = "kafka"
        [[region]]
        name = "eu"
        [region.kafka]
        brokers = ["127.0.0.1:9092"]
        partitions = 64
        replication = 1
        retention = "7d"
        security = "plaintext"
        credentials = "kafka-eu"
        [region.objects]
        url = "s3://atoll/shop-prod"
        endpoint = "http://127.0.0.1:7070"
        [[region]]
        name = "us"
        [region.kafka]
        brokers = ["kafka-1.us:9093", "kafka-2.us:9093"]
        security = "sasl_ssl"
        mechanism = "SCRAM-SHA-512"
        credentials = "kafka-us"
    "#;

    fn check(from: &str, to: &str) -> Result<(), String> {
        let text = TWO.replacen(from, to, 1);
        assert!(from == to || text != TWO, "{from} is not there");
        let settings: ClusterSettings = toml::from_str(&text).map_err(|error| error.to_string())?;
        settings.check()
    }

    #[test]
    fn regions_have_a_kafka_and_objects_as_documented() {
        assert_eq!(check("", ""), Ok(()));
        let settings: ClusterSettings = toml::from_str(TWO).unwrap();
        let kafka = |place: usize| settings.regions[place].kafka.as_ref().unwrap().registered();
        assert_eq!(
            (kafka(0).partitions, kafka(0).retention_millis),
            (64, 604_800_000)
        );
        assert_eq!(
            (kafka(1).security.as_str(), kafka(1).mechanism.as_deref()),
            ("sasl_ssl", Some("SCRAM-SHA-512"))
        );
        let read_back = toml::from_str::<ClusterSettings>(&toml::to_string(&settings).unwrap());
        assert_eq!(read_back.unwrap(), settings);
    }

    #[test]
    fn a_kafka_that_cannot_be_is_refused_with_what_to_change() {
        let wrong = [
            ("[\"127.0.0.1:9092\"]", "[]", "kafka.brokers is empty"),
            ("127.0.0.1:9092", "127.0.0.1", "no host and port"),
            ("partitions = 64", "partitions = 0", "choose 1 to 65535"),
            ("partitions = 64", "partitions = 65536", "choose 1 to 65535"),
            ("replication = 1", "replication = 0", "choose 1 or more"),
            ("\"7d\"", "\"1s\"", "choose 1m or more"),
            ("\"plaintext\"", "\"tls\"", "expected one of `plaintext`"),
            ("\"SCRAM-SHA-512\"", "\"MD5\"", "expected one of `PLAIN`"),
            (
                "mechanism = \"SCRAM-SHA-512\"",
                "",
                "kafka.mechanism is not set",
            ),
            (
                "credentials = \"kafka-us\"",
                "",
                "name a [credentials.NAME]",
            ),
            ("\"sasl_ssl\"", "\"ssl\"", "leave kafka.mechanism out"),
            ("s3://atoll", "ftp://atoll", "write s3://BUCKET/PATH"),
            (
                "\"http://127.0.0.1:7070\"",
                "\"127.0.0.1:7070\"",
                "objects.endpoint",
            ),
            ("shop-prod", "shop prod", "Kafka takes in no topic"),
        ];
        for (from, to, words) in wrong {
            let why = check(from, to).unwrap_err();
            assert!(why.contains(words), "{from} -> {to}: {why}");
        }
    }

    #[test]
    fn every_region_has_a_kafka_where_entries_travel_over_it() {
        let start = TWO.find("[region.kafka]").unwrap();
        let end = TWO.find("[region.objects]").unwrap();
        let without = format!("{}{}", &TWO[..start], &TWO[end..]);
        let settings = |text: &str| toml::from_str::<ClusterSettings>(text).unwrap();
        let why = settings(&without).check().unwrap_err();
        assert!(
            why.contains("region eu") && why.contains("add one with brokers"),
            "{why}"
        );
        let direct = without.replace("transport = \"kafka\"", "transport = \"direct\"");
        assert_eq!(settings(&direct).check(), Ok(()));
    }
}
