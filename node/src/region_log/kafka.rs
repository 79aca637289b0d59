//! A region's log in Kafka, over librdkafka.
//!
//! The settings here are those under which a real broker was seen to keep what it acknowledged, in order
//! and once, over kills, freezes and outages; decision 0049 says what each is for.

mod reader;
mod topics;
mod writer;

pub use reader::KafkaReader;
pub use topics::{Topic, TopicError, topic_name};
pub use writer::KafkaWriter;

use rdkafka::{ClientConfig, ClientContext, config::RDKafkaLogLevel, error::KafkaError};
use std::{fmt, path::PathBuf};

/// Where a region's brokers are, and how they are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brokers {
    /// Some of them: host and port.
    pub addresses: Vec<String>,
    /// How they are spoken to.
    pub security: Security,
}

/// How brokers are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// In the clear, by anybody.
    Plaintext,
    /// Over TLS.
    Ssl(Authority),
    /// In the clear, by who has a password.
    SaslPlaintext(Credentials),
    /// Over TLS, by who has a password.
    SaslSsl(Authority, Credentials),
}

/// Who vouches for brokers' certificates: a file, or the machine's own list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority(pub Option<PathBuf>);

/// A name and a password. The password is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How they are proved.
    pub mechanism: Mechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.username, self.mechanism.name())
    }
}

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent.
    Plain,
    /// By challenge.
    ScramSha256,
    /// By challenge.
    ScramSha512,
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Brokers {
    /// What every client of them has.
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.addresses.join(","))
            .set("client.id", "atoll")
            // A frozen broker is noticed within seconds, and asked again soon after it is back.
            .set("socket.timeout.ms", "4000")
            .set("reconnect.backoff.max.ms", "1000")
            // A topic that was deleted shows within seconds, not minutes.
            .set("topic.metadata.refresh.interval.ms", "5000");
        match &self.security {
            Security::Plaintext => config.set("security.protocol", "plaintext"),
            Security::Ssl(authority) => authority.set(&mut config, "ssl"),
            Security::SaslPlaintext(credentials) => {
                config.set("security.protocol", "sasl_plaintext");
                credentials.set(&mut config)
            }
            Security::SaslSsl(authority, credentials) => {
                authority.set(&mut config, "sasl_ssl");
                credentials.set(&mut config)
            }
        };
        config
    }
}

impl Authority {
    fn set<'a>(&self, config: &'a mut ClientConfig, protocol: &str) -> &'a mut ClientConfig {
        config.set("security.protocol", protocol);
        let file = self.0.as_ref().map(|file| file.display().to_string());
        // The library is built with an OpenSSL of its own, which knows no place of this machine.
        config.set("ssl.ca.location", file.as_deref().unwrap_or("probe"))
    }
}

impl Credentials {
    fn set<'a>(&self, config: &'a mut ClientConfig) -> &'a mut ClientConfig {
        config
            .set("sasl.mechanism", self.mechanism.name())
            .set("sasl.username", &self.username)
            .set("sasl.password", &self.password)
    }
}

/// Tells people what the library says. It repeats itself twenty times a second while a broker is away, so
/// nothing of it is above `debug`; what matters comes back as reports and arrivals.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}
