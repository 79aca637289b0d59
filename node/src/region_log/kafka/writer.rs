//! Writing to the own region's topic.

use super::{Brokers, Quiet};
use crate::region_log::{LogWriter, Partition, Report, Tag, WriteError};
use bytes::Bytes;
use parking_lot::Mutex;
use proto::limits::LINK_RECORD_BYTES;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use std::sync::Arc;

/// Records of one writer that are under way: seconds of a busy node, and no more, so that an outage
/// fills no memory. The log is the outbox.
pub const RECORDS_UNDER_WAY: usize = 5_000;
/// As above, in bytes.
pub const BYTES_UNDER_WAY: usize = 32 << 20;

/// A record and what Kafka puts around it.
const MESSAGE_BYTES: usize = LINK_RECORD_BYTES + 1_024;

/// Takes the library's reports, which come while [`LogWriter::reports`] runs.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Report>>>);

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let tag = Tag(tag);
        self.0.lock().push(match result {
            Ok(_) => Report::Delivered(tag),
            Err((error, _)) => Report::Unknown(tag, error.to_string()),
        });
    }
}

/// One session of writing. After the first record of unknown outcome it is dropped and another is made:
/// nothing it still says counts.
pub struct KafkaWriter {
    topic: String,
    producer: BaseProducer<Reports>,
    reports: Reports,
}

impl KafkaWriter {
    /// A writer to a topic. Brokers that are not there yet are waited for.
    pub fn open(brokers: &Brokers, topic: &str) -> Result<Self, WriteError> {
        let reports = Reports::default();
        let mut config = brokers.config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Any finite time makes holes: a record is given up and those after it are delivered.
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", "3000")
            // Waits for company: a request for each record would cost brokers more than the records.
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .set("message.max.bytes", MESSAGE_BYTES.to_string())
            .set(
                "queue.buffering.max.messages",
                RECORDS_UNDER_WAY.to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                (BYTES_UNDER_WAY >> 10).to_string(),
            );
        let producer = config.create_with_context(reports.clone());
        Ok(Self {
            topic: topic.to_owned(),
            producer: producer.map_err(|error| WriteError::Broken(error.to_string()))?,
            reports,
        })
    }
}

impl LogWriter for KafkaWriter {
    fn send(&mut self, partition: Partition, tag: Tag, record: &Bytes) -> Result<(), WriteError> {
        let message = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, tag.0)
            .partition(i32::from(partition.0))
            .payload(record);
        match self.producer.send(message) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                Err(WriteError::Full)
            }
            Err((error, _)) => Err(WriteError::Broken(error.to_string())),
        }
    }

    fn reports(&mut self) -> Vec<Report> {
        // Another time than none would be waited out in full, reports or not.
        self.producer.poll(std::time::Duration::ZERO);
        let mut reports = std::mem::take(&mut *self.reports.0.lock());
        if let Some((_, fault)) = self.producer.client().fatal_error() {
            let fatal = |report: &Report| matches!(report, Report::Unknown(..));
            if !reports.iter().any(fatal) {
                reports.push(Report::Unknown(Tag(usize::MAX), fault));
            }
        }
        reports
    }
}
