//! Reading another region's topic.
//!
//! Positions are ours: no group, nothing committed, and never a jump. The library says that a position
//! is gone without saying of which partition, and stops that one for good; so all of them are compared with
//! what the broker has.

use super::{Brokers, Quiet};
use crate::region_log::{Arrival, Flow, LogReader, Partition, ReadError};
use bytes::Bytes;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};
use replication::link::From;
use std::{collections::BTreeMap, thread, time::Duration};

/// Records handed on at once.
const BATCH: usize = 1_000;
/// How long a broker is asked for what it has.
const ASK: Duration = Duration::from_secs(3);

impl ConsumerContext for Quiet {}

/// Where a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Beginning,
    At(u64),
    /// Nowhere, before it is told.
    Lost,
}

/// Reads partitions of one topic.
pub struct KafkaReader {
    topic: String,
    /// There until it is dropped.
    consumer: Option<BaseConsumer<Quiet>>,
    next: BTreeMap<Partition, Next>,
    /// A position is gone, and it is not known yet whose.
    is_puzzled: bool,
}

impl KafkaReader {
    /// A reader of a topic that reads nothing yet. Brokers that are not there yet are waited for.
    pub fn open(brokers: &Brokers, topic: &str) -> Result<Self, KafkaError> {
        let mut config = brokers.config();
        config
            // Nothing joins a group; without a name nothing can be assigned.
            .set("group.id", "atoll")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.min.bytes", "65536")
            .set("queued.max.messages.kbytes", "8192")
            .set("queued.min.messages", "10000");
        Ok(Self {
            topic: topic.to_owned(),
            consumer: Some(config.create_with_context(Quiet)?),
            next: BTreeMap::new(),
            is_puzzled: false,
        })
    }

    fn consumer(&self) -> &BaseConsumer<Quiet> {
        self.consumer
            .as_ref()
            .expect("it is there until it is dropped")
    }

    fn list(&self, partition: Partition, offset: Offset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, i32::from(partition.0), offset)?;
        Ok(list)
    }

    fn begin(&mut self, partition: Partition, from: From) -> Result<(), KafkaError> {
        let next = match from {
            From::Start => Next::Beginning,
            From::Position(position) => Next::At(position),
            From::Millis(millis) => Next::At(self.position_at(partition, millis)?),
        };
        self.assign(partition, next)
    }

    fn assign(&mut self, partition: Partition, next: Next) -> Result<(), KafkaError> {
        let offset = match next {
            Next::Beginning => Offset::Beginning,
            Next::At(position) => Offset::Offset(number(position)),
            Next::Lost => return Ok(()),
        };
        if self.next.remove(&partition).is_some() {
            let list = self.list(partition, Offset::Invalid)?;
            self.consumer().incremental_unassign(&list)?;
        }
        let list = self.list(partition, offset)?;
        self.consumer().incremental_assign(&list)?;
        self.next.insert(partition, next);
        Ok(())
    }

    fn position_at(&self, partition: Partition, millis: u64) -> Result<u64, KafkaError> {
        // Asked first: what comes between the two questions must not be passed over.
        let (_, end) = self.marks(partition)?;
        let list = self.list(partition, Offset::Offset(number(millis)))?;
        let found = self.consumer().offsets_for_times(list, ASK)?;
        let found = found.find_partition(&self.topic, i32::from(partition.0));
        let unknown = KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
        let found = found.ok_or(unknown)?;
        // An answer that failed has the time that was asked for in the place of a position.
        found.error()?;
        Ok(match found.offset() {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(end),
            _ => end,
        })
    }

    /// The first position that there is, and the one after the last.
    fn marks(&self, partition: Partition) -> Result<(u64, u64), KafkaError> {
        let partition = i32::from(partition.0);
        let (low, high) = self
            .consumer()
            .fetch_watermarks(&self.topic, partition, ASK)?;
        let whole = |mark| u64::try_from(mark).unwrap_or(0);
        Ok((whole(low), whole(high)))
    }

    /// The partitions whose position the broker does not have. They stand still until they are read anew,
    /// and so would all others that the library stopped: where none is found they all begin again.
    fn find_lost(&mut self) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let all: Vec<_> = self
            .next
            .iter()
            .map(|(partition, next)| (*partition, *next))
            .collect();
        for (partition, next) in &all {
            let Next::At(position) = next else {
                continue;
            };
            match self.marks(*partition) {
                Ok((low, high)) if (low..=high).contains(position) => {}
                Ok(_) => {
                    self.next.insert(*partition, Next::Lost);
                    arrivals.push(Arrival::PositionLost(*partition));
                }
                // Nothing is known of it: asked again with the next poll.
                Err(error) => return vec![Arrival::Trouble(error.to_string())],
            }
        }
        self.is_puzzled = false;
        if arrivals.is_empty() {
            for (partition, next) in all {
                if let Err(error) = self.assign(partition, next) {
                    arrivals.push(Arrival::Trouble(error.to_string()));
                }
            }
        }
        arrivals
    }

    fn take(&mut self, wait: Duration) -> Option<Vec<Arrival>> {
        if self.is_puzzled {
            return Some(self.find_lost());
        }
        match self.consumer().poll(wait)? {
            Ok(message) => {
                let partition = u16::try_from(message.partition()).ok().map(Partition)?;
                let position = u64::try_from(message.offset()).ok()? + 1;
                let record = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                // One of before it was read anew, that the library still had.
                *self.next.get_mut(&partition)? = Next::At(position);
                Some(vec![Arrival::Record {
                    partition,
                    position,
                    record,
                }])
            }
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)) => {
                self.is_puzzled = true;
                Some(self.find_lost())
            }
            Err(error) => Some(vec![Arrival::Trouble(error.to_string())]),
        }
    }
}

impl LogReader for KafkaReader {
    fn read(&mut self, partition: Partition, from: From) -> Result<(), ReadError> {
        self.begin(partition, from).map_err(|error| ReadError {
            partition,
            fault: error.to_string(),
        })
    }

    fn set_flow(&mut self, partition: Partition, flow: Flow) -> Result<(), ReadError> {
        let set = |list: &TopicPartitionList| match flow {
            Flow::Open => self.consumer().resume(list),
            Flow::Paused => self.consumer().pause(list),
        };
        let list = self.list(partition, Offset::Invalid);
        list.and_then(|list| set(&list)).map_err(|error| ReadError {
            partition,
            fault: error.to_string(),
        })
    }

    fn poll(&mut self, wait: Duration) -> Vec<Arrival> {
        let Some(mut arrivals) = self.take(wait) else {
            return Vec::new();
        };
        while arrivals.len() < BATCH
            && let Some(more) = self.take(Duration::ZERO)
        {
            arrivals.extend(more);
        }
        arrivals
    }
}

/// The library was seen to hang while a reader ended that had lost its position and was read anew: no
/// process may depend on that end, so another thread waits for it.
impl Drop for KafkaReader {
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        let end = thread::Builder::new().name("kafka-reader-end".to_owned());
        // Where no thread can be had it is ended here.
        drop(end.spawn(move || drop(consumer)));
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
