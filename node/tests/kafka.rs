//! Links over a real Apache Kafka broker, as `deploy/dev/kafka.sh` starts it: what is written arrives in
//! order and once, over freezes and kills, and what is lost is said.
//!
//! Skipped, with the reason, where no broker is installed; with `CI=true` it has to be.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod kafka {
    pub mod broker;
    pub mod stream;
}

use bytes::Bytes;
use kafka::{
    broker::Broker,
    stream::{Receiver, Sender},
};
use node::region_log::{
    Arrival, Flow, LogReader, LogWriter, Partition, Report, Tag, WriteError,
    kafka::{
        Authority, Brokers, Credentials, KafkaReader, KafkaWriter, Mechanism, Security, Topic,
        TopicError, topic_name,
    },
};
use replication::link::{From, LinkState};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// A frozen broker is noticed after four seconds, a killed one needs its JVM's time.
const PATIENCE: Duration = Duration::from_secs(90);

fn topic(name: &str) -> Topic {
    Topic {
        name: topic_name("tests", name, None),
        partitions: 2,
        replication: 1,
        retention_ms: 3_600_000,
    }
}

/// Makes the topic on a thread that is no runtime's, as its callers do.
fn ensure(topic: &Topic, brokers: &Brokers) -> Result<(), TopicError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    topic.ensure(brokers, runtime.handle())
}

fn made(name: &str, brokers: &Brokers) -> String {
    let topic = topic(name);
    ensure(&topic, brokers).unwrap();
    topic.name
}

fn number(number: usize) -> Bytes {
    Bytes::from(number.to_le_bytes().to_vec())
}

/// Writes numbers one after the other; those that do not fit wait.
fn write(writer: &mut KafkaWriter, numbers: std::ops::Range<usize>) -> BTreeSet<usize> {
    let mut delivered = BTreeSet::new();
    for value in numbers {
        while let Err(error) = writer.send(Partition(1), Tag(value), &number(value)) {
            assert_eq!(error, WriteError::Full);
            note(writer, &mut delivered);
        }
    }
    delivered
}

fn note(writer: &mut KafkaWriter, delivered: &mut BTreeSet<usize>) {
    for report in writer.reports() {
        match report {
            Report::Delivered(tag) => assert!(delivered.insert(tag.0), "{tag:?} twice"),
            Report::Unknown(tag, fault) => panic!("{tag:?}: {fault}"),
        }
    }
    std::thread::sleep(Duration::from_millis(2));
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited too long: {what}");
    }
}

/// Reads until as many records of partition 1 came, and gives their numbers.
fn read(reader: &mut KafkaReader, count: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    until("records to come", || {
        for arrival in reader.poll(Duration::from_millis(100)) {
            match arrival {
                Arrival::Record {
                    partition, record, ..
                } => {
                    assert_eq!(partition, Partition(1));
                    numbers.push(usize::from_le_bytes(record[..].try_into().unwrap()));
                }
                Arrival::PositionLost(partition) => panic!("{partition:?} lost its position"),
                Arrival::Trouble(_) => {}
            }
        }
        numbers.len() >= count
    });
    numbers
}

/// What comes of a position that the broker does not have.
fn is_lost(reader: &mut KafkaReader) -> bool {
    let mut lost = false;
    until("the loss to be said", || {
        for arrival in reader.poll(Duration::from_millis(100)) {
            assert!(!matches!(arrival, Arrival::Record { .. }), "{arrival:?}");
            lost |= arrival == Arrival::PositionLost(Partition(1));
        }
        lost
    });
    lost
}

/// Without the library's own OpenSSL, SCRAM is refused as soon as a client is made.
#[test]
fn clients_can_prove_a_password_and_speak_tls() {
    let credentials = |mechanism| Credentials {
        mechanism,
        username: "atoll".to_owned(),
        password: "a secret".to_owned(),
    };
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
    ];
    let clear = mechanisms.map(|mechanism| Security::SaslPlaintext(credentials(mechanism)));
    let over_tls =
        mechanisms.map(|mechanism| Security::SaslSsl(Authority::default(), credentials(mechanism)));
    let plain = [Security::Plaintext, Security::Ssl(Authority::default())];
    for security in plain.into_iter().chain(clear).chain(over_tls) {
        assert!(
            !format!("{security:?}").contains("a secret"),
            "{security:?}"
        );
        let brokers = Brokers {
            addresses: vec!["127.0.0.1:1".to_owned()],
            security,
        };
        KafkaWriter::open(&brokers, "atoll.tests.none").unwrap();
        KafkaReader::open(&brokers, "atoll.tests.none").unwrap();
    }
}

#[test]
fn links_over_kafka() {
    let Some(broker) = Broker::start("eu") else {
        return;
    };
    topics_are_made_as_the_settings_say_and_refused_otherwise(&broker);
    records_come_in_order_and_once_over_a_frozen_broker(&broker);
    a_full_writer_hands_back_what_it_does_not_take(&broker);
    reading_begins_where_it_is_told(&broker);
    a_paused_partition_waits(&broker);
    a_stream_arrives_whole_over_a_killed_broker(&broker);
}

fn topics_are_made_as_the_settings_say_and_refused_otherwise(broker: &Broker) {
    let brokers = broker.brokers();
    let wanted = topic("checked");
    ensure(&wanted, &brokers).unwrap();
    ensure(&wanted, &brokers).unwrap();
    let other = Topic {
        partitions: 3,
        ..wanted
    };
    let error = ensure(&other, &brokers).unwrap_err();
    assert!(
        matches!(
            error,
            TopicError::OtherPartitions {
                found: 2,
                wanted: 3,
                ..
            }
        ),
        "{error}"
    );
}

fn records_come_in_order_and_once_over_a_frozen_broker(broker: &Broker) {
    let brokers = broker.brokers();
    let name = made("frozen", &brokers);
    let mut writer = KafkaWriter::open(&brokers, &name).unwrap();
    let mut reader = KafkaReader::open(&brokers, &name).unwrap();
    reader.read(Partition(1), From::Start).unwrap();
    let mut delivered = write(&mut writer, 0..1_000);
    until("the first to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() > 100
    });
    broker.freeze();
    let begun = Instant::now();
    delivered.extend(write(&mut writer, 1_000..3_000));
    while begun.elapsed() < Duration::from_secs(8) {
        note(&mut writer, &mut delivered);
    }
    broker.thaw();
    delivered.extend(write(&mut writer, 3_000..4_000));
    until("all to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() == 4_000
    });
    assert_eq!(read(&mut reader, 4_000), (0..4_000).collect::<Vec<_>>());
    assert_eq!(
        reader.poll(Duration::from_millis(500)),
        [],
        "nothing comes twice"
    );
}

fn a_full_writer_hands_back_what_it_does_not_take(broker: &Broker) {
    let brokers = broker.brokers();
    let name = made("full", &brokers);
    let mut writer = KafkaWriter::open(&brokers, &name).unwrap();
    let mut delivered = write(&mut writer, 0..1);
    until("the first to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() == 1
    });
    broker.freeze();
    let mut taken = 1;
    let refused = loop {
        match writer.send(Partition(1), Tag(taken), &number(taken)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100_000, "it is never full");
    };
    assert_eq!(refused, WriteError::Full);
    broker.thaw();
    let more = taken + 500;
    delivered.extend(write(&mut writer, taken..more));
    until("all to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() == more
    });
    let mut reader = KafkaReader::open(&brokers, &name).unwrap();
    reader.read(Partition(1), From::Start).unwrap();
    assert_eq!(read(&mut reader, more), (0..more).collect::<Vec<_>>());
}

fn reading_begins_where_it_is_told(broker: &Broker) {
    let brokers = broker.brokers();
    let name = made("positions", &brokers);
    let mut writer = KafkaWriter::open(&brokers, &name).unwrap();
    let mut delivered = write(&mut writer, 0..100);
    until("all to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() == 100
    });
    let mut reader = KafkaReader::open(&brokers, &name).unwrap();
    reader.read(Partition(1), From::Position(60)).unwrap();
    assert_eq!(read(&mut reader, 40), (60..100).collect::<Vec<_>>());
    reader.read(Partition(1), From::Position(10)).unwrap();
    assert_eq!(read(&mut reader, 90), (10..100).collect::<Vec<_>>());
    reader.read(Partition(1), From::Millis(1_000)).unwrap();
    assert_eq!(read(&mut reader, 100), (0..100).collect::<Vec<_>>());
    // Past the end, as after a topic was made anew. Then it goes on as if nothing had been.
    reader.read(Partition(1), From::Position(5_000)).unwrap();
    assert!(is_lost(&mut reader));
    reader.read(Partition(1), From::Start).unwrap();
    assert_eq!(read(&mut reader, 100), (0..100).collect::<Vec<_>>());
}

fn a_paused_partition_waits(broker: &Broker) {
    let brokers = broker.brokers();
    let name = made("paused", &brokers);
    let mut writer = KafkaWriter::open(&brokers, &name).unwrap();
    let mut reader = KafkaReader::open(&brokers, &name).unwrap();
    reader.read(Partition(1), From::Start).unwrap();
    let mut delivered = write(&mut writer, 0..10);
    assert_eq!(read(&mut reader, 10), (0..10).collect::<Vec<_>>());
    reader.set_flow(Partition(1), Flow::Paused).unwrap();
    delivered.extend(write(&mut writer, 10..20));
    until("all to be delivered", || {
        note(&mut writer, &mut delivered);
        delivered.len() == 20
    });
    assert_eq!(reader.poll(Duration::from_secs(1)), []);
    reader.set_flow(Partition(1), Flow::Open).unwrap();
    assert_eq!(read(&mut reader, 10), (10..20).collect::<Vec<_>>());
}

/// The cores at both ends: the broker is killed while entries are under way, and started again.
fn a_stream_arrives_whole_over_a_killed_broker(broker: &Broker) {
    let brokers = broker.brokers();
    let name = made("stream", &brokers);
    let mut sender = Sender::new(&brokers, &name);
    let mut receiver = Receiver::new(&brokers, &name);
    for _ in 0..500 {
        sender.write();
    }
    until("some to arrive", || {
        sender.work();
        receiver.work();
        receiver.applied() > 100
    });
    broker.kill();
    for _ in 0..500 {
        sender.write();
        sender.work();
    }
    broker.start_again();
    // A session that is renewed with nothing lost repeats what was not confirmed.
    sender.renew();
    until("all to arrive", || {
        sender.work();
        receiver.work();
        receiver.applied() == sender.written()
    });
    assert_eq!(receiver.state(), LinkState::Replay, "no close has come");
    sender.close();
    until("a close to arrive", || {
        sender.work();
        receiver.work();
        receiver.state() == LinkState::Live
    });
    until("all to be confirmed", || {
        sender.work();
        sender.confirmed() == sender.written()
    });
}
