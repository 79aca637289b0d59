//! What a region has beside its nodes: its Kafka and its object store, as `cluster.toml` says.

use super::units::Span;
use raft::registry::region;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long records are kept where nothing is said.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What an object store's URL may begin with.
const SCHEMES: [&str; 4] = ["s3://", "gs://", "az://", "file://"];

/// A region's Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Where to begin: host and port of some brokers.
    pub brokers: Vec<String>,
    /// Partitions of the region's topics, 1 to 65,535; fixed for ever.
    #[serde(default = "default_partitions")]
    pub partitions: u32,
    /// Brokers that hold each partition.
    #[serde(default = "default_replication")]
    pub replication: u16,
    /// How long records are kept.
    #[serde(default = "default_retention")]
    pub retention: Span,
    /// How brokers are spoken to.
    #[serde(default)]
    pub security: KafkaSecurity,
    /// How a password is proved, with SASL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<KafkaMechanism>,
    /// The name of the section `[credentials.NAME]` of each node's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

/// How brokers are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaSecurity {
    /// In the clear, by anybody.
    #[default]
    Plaintext,
    /// Over TLS.
    Ssl,
    /// In the clear, by who has a password.
    SaslPlaintext,
    /// Over TLS, by who has a password.
    SaslSsl,
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KafkaMechanism {
    /// It is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By challenge.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// By challenge.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A region's object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// `s3://`, `gs://`, `az://` or `file://`.
    pub url: String,
    /// Another endpoint than the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

fn default_partitions() -> u32 {
    64
}

fn default_replication() -> u16 {
    1
}

fn default_retention() -> Span {
    Span(RETENTION)
}

impl KafkaSecurity {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// The name in settings and in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    const fn asks_for_password(self) -> bool {
        match self {
            Self::Plaintext | Self::Ssl => false,
            Self::SaslPlaintext | Self::SaslSsl => true,
        }
    }
}

impl KafkaMechanism {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name in settings and in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Kafka {
    /// Checks what types cannot; says what to change, without the region's name.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.brokers.is_empty() {
            return Err(
                "kafka.brokers is empty; name some brokers, as in [\"kafka-1:9092\"]".into(),
            );
        }
        if let Some(broker) = self.brokers.iter().find(|broker| !is_host_and_port(broker)) {
            return Err(format!(
                "kafka.brokers has {broker:?}, which is no host and port; write it as \"kafka-1:9092\""
            ));
        }
        if !(1..=u32::from(u16::MAX)).contains(&self.partitions) {
            return Err(format!(
                "kafka.partitions is {}; choose 1 to {}",
                self.partitions,
                u16::MAX
            ));
        }
        if self.replication == 0 {
            return Err(
                "kafka.replication is 0; choose 1 or more brokers for each partition".into(),
            );
        }
        if self.retention.0 < Duration::from_secs(60) {
            return Err(format!(
                "kafka.retention is {}; choose 1m or more: regions that are cut off for longer catch up by snapshot",
                self.retention
            ));
        }
        self.check_security()
    }

    fn check_security(&self) -> Result<(), String> {
        let security = self.security.name();
        match (self.security.asks_for_password(), self.mechanism) {
            (true, None) => Err(format!(
                "kafka.security is \"{security}\" and kafka.mechanism is not set; choose {}",
                KafkaMechanism::ALL
                    .map(|mechanism| format!("\"{}\"", mechanism.name()))
                    .join(" or ")
            )),
            (false, Some(mechanism)) => Err(format!(
                "kafka.mechanism is \"{}\" and kafka.security \"{security}\", which asks for no password; set \
                 kafka.security to \"sasl_ssl\" or \"sasl_plaintext\", or leave kafka.mechanism out",
                mechanism.name()
            )),
            (true, Some(_)) if self.credentials.as_ref().is_none_or(String::is_empty) => {
                Err(format!(
                    "kafka.security is \"{security}\" and kafka.credentials is not set; name a [credentials.NAME] of the \
                 nodes' own files"
                ))
            }
            (true, Some(_)) | (false, None) => Ok(()),
        }
    }

    /// As the registry keeps it.
    pub(crate) fn registered(&self) -> region::KafkaSettings {
        region::KafkaSettings {
            brokers: self.brokers.clone(),
            partitions: u16::try_from(self.partitions).expect("`check` holds it below 65,536"),
            replication: self.replication,
            retention_millis: u64::try_from(self.retention.0.as_millis()).unwrap_or(u64::MAX),
            security: self.security.name().into(),
            mechanism: self.mechanism.map(|mechanism| mechanism.name().into()),
            credentials: self.credentials.clone(),
        }
    }
}

impl Objects {
    /// Checks what types cannot; says what to change, without the region's name.
    pub(super) fn check(&self) -> Result<(), String> {
        let rest = SCHEMES
            .iter()
            .find_map(|scheme| self.url.strip_prefix(scheme));
        if rest.is_none_or(str::is_empty) {
            return Err(format!(
                "objects.url is {:?}; write s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH or file:///PATH",
                self.url
            ));
        }
        let is_web = |endpoint: &String| {
            ["http://", "https://"]
                .iter()
                .any(|scheme| endpoint.starts_with(scheme))
        };
        match &self.endpoint {
            Some(endpoint) if !is_web(endpoint) => Err(format!(
                "objects.endpoint is {endpoint:?}; write it as \"http://HOST:PORT\" or \"https://HOST\", or leave it out"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// As the registry keeps it.
    pub(crate) fn registered(&self) -> region::ObjectSettings {
        region::ObjectSettings {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) && !text.contains(',')
    })
}
