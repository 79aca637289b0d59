//! The two ends of one stream, driven by hand: cores, writer, reader, and nothing else.

use bytes::Bytes;
use node::region_log::{
    Arrival, LogReader, LogWriter, Partition, Report, Tag, WriteError,
    kafka::{Brokers, KafkaReader, KafkaWriter},
};
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind, EntryView},
    hlc::Hlc,
    id::{
        BootId, ClusterId, Epoch, Incarnation, NodeId, PlacementId, Position, RegionId, Sequence,
        ShardId,
    },
    link::{Record, decode, encode_entry},
    request::{RequestId, RequestPart},
    token::Reached,
};
use replication::{
    Entry, Micros, Now,
    link::{
        Audience, Echoes, From, Link, LinkEffect, LinkEvent, LinkState, Outbox, OutboxEffect,
        OutboxEvent, Said, StreamMark,
    },
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const CLUSTER: ClusterId = ClusterId(7);
const SHARD: ShardId = ShardId(3);
const PLACEMENT: PlacementId = PlacementId(1);
const PARTITIONS: u16 = 2;

fn at(sequence: u64) -> Reached {
    Reached {
        incarnation: Incarnation(1),
        sequence: Sequence(sequence),
    }
}

fn millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

fn entry(sequence: u64) -> Entry {
    let header = EntryHeader {
        shard: SHARD,
        origin: RegionId(1),
        kind: if sequence == 1 {
            EntryKind::Start
        } else {
            EntryKind::Rows
        },
        epoch: Epoch(1),
        previous_epoch: Epoch(1),
        position: Position(sequence),
        incarnation: Incarnation(1),
        placement: PLACEMENT,
        part: RequestPart(0),
        sequence: Sequence(sequence),
        hlc: Hlc::from_millis(millis()),
        request: RequestId::NONE,
        link_position: 0,
    };
    let builder = match header.kind {
        EntryKind::Start => EntryBuilder::with_extras(header, &[0; 4]),
        _ => EntryBuilder::new(header),
    };
    Entry::received(builder.finish()).unwrap()
}

pub struct Sender {
    brokers: Brokers,
    topic: String,
    outbox: Outbox,
    writer: Option<KafkaWriter>,
    session: u64,
    log: Vec<Entry>,
    begun: Instant,
    echoes: Echoes,
}

impl Sender {
    pub fn new(brokers: &Brokers, topic: &str) -> Self {
        let mut sender = Self {
            brokers: brokers.clone(),
            topic: topic.to_owned(),
            outbox: Outbox::new(Audience::All, at_beginning(), at_beginning()),
            writer: None,
            session: 0,
            log: Vec::new(),
            begun: Instant::now(),
            echoes: Echoes::new(CLUSTER, RegionId(1), NodeId(1), BootId(1)),
        };
        sender.renew();
        sender
    }

    pub fn written(&self) -> u64 {
        self.log.len() as u64
    }

    pub fn confirmed(&self) -> u64 {
        self.outbox.delivered().sequence.0
    }

    pub fn write(&mut self) {
        let entry = entry(self.written() + 1);
        self.log.push(entry.clone());
        self.tell(OutboxEvent::Ready(entry));
    }

    /// Another session: what is not confirmed is written again.
    pub fn renew(&mut self) {
        self.session += 1;
        self.writer = Some(KafkaWriter::open(&self.brokers, &self.topic).unwrap());
        let session = self.session;
        self.tell(OutboxEvent::Opened {
            session,
            from: None,
        });
    }

    pub fn close(&mut self) {
        let (reached, sent_at) = (at(self.written()), self.clock());
        let hlc = Hlc::from_millis(millis());
        self.tell(OutboxEvent::Closed {
            reached,
            hlc,
            sent_at,
        });
        let (reached, hlc, sent_at) = self.outbox.said();
        assert_eq!(reached, at(self.written()));
        let said = Said {
            shard: SHARD,
            placement: PLACEMENT,
            reached,
            hlc,
            sent_at,
        };
        // The receiver's clock, as a heartbeat of its own would have brought it.
        let theirs = Echoes::new(CLUSTER, RegionId(2), NodeId(2), BootId(2)).beat(
            Micros(900_000_000),
            [],
            [],
        );
        let now = self.clock();
        self.echoes.hear(&theirs, now);
        let beat = self.echoes.beat(now, [said], []).encode();
        let writer = self.writer.as_mut().unwrap();
        writer
            .send(Partition::of(SHARD, PARTITIONS), Tag(0), &beat)
            .unwrap();
    }

    fn clock(&self) -> Micros {
        Micros(self.begun.elapsed().as_micros() as u64)
    }

    pub fn work(&mut self) {
        let session = self.session;
        let reports = self.writer.as_mut().unwrap().reports();
        for report in reports {
            match report {
                Report::Delivered(Tag(0)) => {}
                Report::Delivered(Tag(sequence)) => {
                    let through = at(sequence as u64);
                    self.tell(OutboxEvent::Delivered { session, through });
                }
                Report::Unknown(..) => {
                    self.tell(OutboxEvent::Failed { session });
                    return;
                }
            }
        }
        self.tell(OutboxEvent::Room);
    }

    fn tell(&mut self, event: OutboxEvent) {
        let mut effects = Vec::new();
        self.outbox.step(event, &mut effects);
        let mut refused = None;
        for effect in effects {
            match effect {
                OutboxEffect::Send { entry, .. } if refused.is_none() => {
                    refused = self.send(&entry);
                }
                OutboxEffect::Send { .. } | OutboxEffect::ShareMark(_) => {}
                OutboxEffect::Renew => self.renew(),
                OutboxEffect::ReadLog { after, .. } => {
                    let place = after.sequence.0 as usize;
                    let entries = Some(self.log[place..].iter().take(100).cloned().collect());
                    self.tell(OutboxEvent::LogRead { after, entries });
                }
                other => panic!("{other:?}"),
            }
        }
        if let Some(reached) = refused {
            let session = self.session;
            self.tell(OutboxEvent::Full { session, reached });
        }
    }

    fn send(&mut self, entry: &Entry) -> Option<Reached> {
        let view = EntryView::parse(entry.bytes()).unwrap();
        let record = encode_entry(CLUSTER, &view).unwrap();
        let sequence = entry.header().sequence.0;
        let partition = Partition::of(SHARD, PARTITIONS);
        match self
            .writer
            .as_mut()
            .unwrap()
            .send(partition, Tag(sequence as usize), &record)
        {
            Ok(()) => None,
            Err(WriteError::Full) => Some(at(sequence)),
            Err(error) => panic!("{error}"),
        }
    }
}

const fn at_beginning() -> Reached {
    Reached {
        incarnation: Incarnation(0),
        sequence: Sequence(0),
    }
}

pub struct Receiver {
    reader: KafkaReader,
    link: Link,
    echoes: Echoes,
    /// How often each entry was handed over.
    applied: BTreeMap<u64, u32>,
}

impl Receiver {
    pub fn new(brokers: &Brokers, topic: &str) -> Self {
        let mut effects = Vec::new();
        let link = Link::open(StreamMark::default(), at_beginning(), now(), &mut effects);
        let mut receiver = Self {
            reader: KafkaReader::open(brokers, topic).unwrap(),
            link,
            echoes: Echoes::new(CLUSTER, RegionId(2), NodeId(2), BootId(2)),
            applied: BTreeMap::new(),
        };
        receiver.carry_out(effects);
        receiver
    }

    pub fn state(&self) -> LinkState {
        self.link.state()
    }

    /// How many were applied, all before the last and each once.
    pub fn applied(&self) -> u64 {
        assert!(
            self.applied.values().all(|times| *times == 1),
            "one came twice"
        );
        let last = self.applied.last_key_value().map_or(0, |(last, _)| *last);
        assert_eq!(last, self.applied.len() as u64, "one was passed over");
        last
    }

    pub fn work(&mut self) {
        for arrival in self.reader.poll(Duration::from_millis(20)) {
            match arrival {
                Arrival::Record {
                    position, record, ..
                } => self.take(position, &record),
                Arrival::PositionLost(_) => self.tell(LinkEvent::PositionLost),
                Arrival::Trouble(_) => {}
            }
        }
        self.tell(LinkEvent::Tick);
    }

    fn take(&mut self, position: u64, record: &Bytes) {
        match decode(record).unwrap() {
            Record::Entry(entry) => {
                let obstacle = None;
                self.tell(LinkEvent::Entry {
                    entry,
                    position,
                    obstacle,
                });
            }
            Record::Heartbeat(heartbeat) => {
                let closes: Vec<_> = self.echoes.closes(&heartbeat).collect();
                for (_, close) in closes {
                    self.tell(LinkEvent::Close { close, position });
                }
            }
        }
    }

    fn tell(&mut self, event: LinkEvent) {
        let mut effects = Vec::new();
        self.link.step(now(), event, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<LinkEffect>) {
        for effect in effects {
            match effect {
                LinkEffect::Apply { entry, .. } => {
                    let reached = entry.reached();
                    *self.applied.entry(reached.sequence.0).or_default() += 1;
                    self.tell(LinkEvent::Committed(reached));
                }
                LinkEffect::Read(from) => self.read(from),
                LinkEffect::LogPosition(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn read(&mut self, from: From) {
        self.reader
            .read(Partition::of(SHARD, PARTITIONS), from)
            .unwrap();
    }
}

fn now() -> Now {
    Now {
        monotonic: Micros(1_000_000_000),
        wall_millis: millis(),
    }
}
