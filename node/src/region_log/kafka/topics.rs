//! The topic of a region: made as the settings say, and never used when it is another one.

use super::{Brokers, Quiet};
use proto::limits::LINK_RECORD_BYTES;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a broker is asked.
const ASK: Duration = Duration::from_secs(5);
/// How often a topic that was just made is looked for.
const LOOKS: u32 = 20;

/// What a record needs of a topic's limit: Kafka's own writing around it comes on top.
const RECORD_BYTES: usize = LINK_RECORD_BYTES + 1_024;

/// A topic as the settings want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u16,
    /// How many brokers hold each.
    pub replication: u16,
    /// How long a record stays, in milliseconds.
    pub retention_ms: u64,
}

/// The topic of a region; one of its own for each set of regions that is not all of them.
#[must_use]
pub fn topic_name(cluster: &str, region: &str, placement: Option<&str>) -> String {
    let placement = placement.map_or_else(String::new, |placement| format!(".{placement}"));
    format!("atoll.{cluster}.{region}{placement}")
}

/// The topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The brokers do not answer, or refuse.
    #[error(
        "{doing} topic {name}: {fault}; check the brokers' addresses and this cluster's rights"
    )]
    Brokers {
        /// What was being done.
        doing: &'static str,
        /// The topic.
        name: String,
        /// What they say.
        fault: KafkaError,
    },
    /// It was made otherwise. Streams of one shard would lie in two partitions.
    #[error(
        "topic {name} has {found} partitions and the settings say {wanted}; set region.kafka.partitions to {found}"
    )]
    OtherPartitions {
        /// The topic.
        name: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        wanted: u16,
    },
    /// It drops or refuses records that links need.
    #[error("topic {name} has {key} = {found}, and links need {needed}; change the topic")]
    Unfit {
        /// The topic.
        name: String,
        /// Its setting.
        key: &'static str,
        /// As it is.
        found: String,
        /// As it must be.
        needed: String,
    },
}

impl Topic {
    /// Makes the topic where it is not, and compares it with the settings where it is. Blocks; `handle`
    /// is a runtime's that is not this thread's own.
    pub fn ensure(&self, brokers: &Brokers, handle: &Handle) -> Result<(), TopicError> {
        let admin: AdminClient<Quiet> = brokers
            .config()
            .create_with_context(Quiet)
            .map_err(|fault| self.fault("connect for", fault))?;
        if self.partitions_found(&admin)? == 0 {
            self.create(&admin, handle)?;
        }
        for _ in 0..LOOKS {
            let found = self.partitions_found(&admin)?;
            if found == usize::from(self.partitions) {
                return self.check_settings(&admin, handle);
            }
            if found > 0 {
                return Err(TopicError::OtherPartitions {
                    name: self.name.clone(),
                    found,
                    wanted: self.partitions,
                });
            }
            // Made inside, where there is a timer.
            handle.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
        }
        let code = RDKafkaErrorCode::UnknownTopicOrPartition;
        Err(self.fault("find", KafkaError::MetadataFetch(code)))
    }

    fn fault(&self, doing: &'static str, fault: KafkaError) -> TopicError {
        TopicError::Brokers {
            doing,
            name: self.name.clone(),
            fault,
        }
    }

    fn partitions_found(&self, admin: &AdminClient<Quiet>) -> Result<usize, TopicError> {
        let metadata = admin.inner().fetch_metadata(Some(&self.name), ASK);
        let metadata = metadata.map_err(|fault| self.fault("look for", fault))?;
        let own = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == self.name);
        Ok(own.map_or(0, |topic| topic.partitions().len()))
    }

    fn create(&self, admin: &AdminClient<Quiet>, handle: &Handle) -> Result<(), TopicError> {
        let (retention, bytes) = (self.retention_ms.to_string(), RECORD_BYTES.to_string());
        let replication = TopicReplication::Fixed(i32::from(self.replication));
        let mut topic = NewTopic::new(&self.name, i32::from(self.partitions), replication)
            .set("cleanup.policy", "delete")
            .set("retention.ms", &retention)
            .set("max.message.bytes", &bytes);
        if self.replication > 2 {
            topic = topic.set("min.insync.replicas", "2");
        }
        let options = AdminOptions::new().operation_timeout(Some(ASK));
        let made = handle.block_on(admin.create_topics(&[topic], &options));
        let made = made.map_err(|fault| self.fault("make", fault))?;
        match made.into_iter().next() {
            // Another node of the region was faster.
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => Ok(()),
            Some(Err((_, code))) => Err(self.fault("make", KafkaError::AdminOp(code))),
        }
    }

    /// A compacted topic drops records without a key; a small limit refuses large entries for ever.
    fn check_settings(
        &self,
        admin: &AdminClient<Quiet>,
        handle: &Handle,
    ) -> Result<(), TopicError> {
        let options = AdminOptions::new().request_timeout(Some(ASK));
        let resource = ResourceSpecifier::Topic(&self.name);
        let found = handle.block_on(admin.describe_configs(&[resource], &options));
        let found = found.map_err(|fault| self.fault("describe", fault))?;
        let found = found.into_iter().find_map(Result::ok);
        let value = |key: &str| {
            let entry = found.as_ref().and_then(|found| found.get(key))?;
            entry.value.clone()
        };
        let unfit = |key, found: Option<String>, needed: String| TopicError::Unfit {
            name: self.name.clone(),
            key,
            found: found.unwrap_or_else(|| "nothing".to_owned()),
            needed,
        };
        let policy = value("cleanup.policy");
        if policy.as_deref() != Some("delete") {
            return Err(unfit("cleanup.policy", policy, "delete".to_owned()));
        }
        let bytes = value("max.message.bytes");
        let limit = bytes.as_ref().and_then(|bytes| bytes.parse::<usize>().ok());
        if limit.is_none_or(|limit| limit < RECORD_BYTES) {
            let needed = format!("{RECORD_BYTES} or more");
            return Err(unfit("max.message.bytes", bytes, needed));
        }
        Ok(())
    }
}
