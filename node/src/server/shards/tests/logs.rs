//! The logs of all regions, in memory: one partition each. What is written can be made to wait, to be lost
//! after the writer was told nothing, or to be forgotten.

use crate::{
    components::Clock,
    region_log::{
        Arrival, Flow, LogReader, LogWriter, Partition, ReadError, Reading, RegionLogs, Report,
        Tag, Turns, WriteError,
    },
    server::shards::{Arrived, Came, Input, LinkInput, Load},
};
use bytes::Bytes;
use parking_lot::Mutex;
use proto::id::{PlacementId, RegionId, ShardId};
use replication::link::From;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

#[derive(Default)]
struct Topic {
    /// With the milliseconds at which each was written.
    records: Vec<(u64, Bytes)>,
    /// The first one that is still there.
    first: u64,
    /// Whether it takes nothing.
    is_down: bool,
    /// Whether it gives nothing.
    is_hidden: bool,
    /// Writers of a session before this one are of no use any more.
    broken_through: u64,
    sessions: u64,
}

/// See the module. Clones are the same.
#[derive(Clone, Default)]
pub struct Topics(Arc<Mutex<BTreeMap<RegionId, Topic>>>);

impl Topics {
    fn with<T>(&self, region: RegionId, with: impl FnOnce(&mut Topic) -> T) -> T {
        with(self.0.lock().entry(region).or_default())
    }

    /// Whether a region's log takes and gives nothing.
    pub fn set_down(&self, region: RegionId, is_down: bool) {
        self.with(region, |topic| topic.is_down = is_down);
    }

    /// Whether a region's log gives nothing, though it takes what is written.
    pub fn set_hidden(&self, region: RegionId, is_hidden: bool) {
        self.with(region, |topic| topic.is_hidden = is_hidden);
    }

    /// What is under way of the present sessions ends as unknown.
    pub fn break_writers(&self, region: RegionId) {
        self.with(region, |topic| topic.broken_through = topic.sessions);
    }

    /// Drops what a region's log has.
    pub fn forget(&self, region: RegionId) {
        self.with(region, |topic| topic.first = topic.records.len() as u64);
    }

    /// All that was ever written to a region's log.
    pub fn written(&self, region: RegionId) -> Vec<Bytes> {
        let record = |(_, record): &(u64, Bytes)| record.clone();
        self.with(region, |topic| topic.records.iter().map(record).collect())
    }
}

/// The logs as one node has them.
pub struct MemoryLogs {
    pub own: RegionId,
    pub topics: Topics,
    pub inputs: mpsc::Sender<Input>,
    pub clock: Arc<dyn Clock>,
}

impl RegionLogs for MemoryLogs {
    fn partition(&self, _: RegionId, _: ShardId) -> Partition {
        Partition(0)
    }

    fn read(&self, origin: RegionId, placement: PlacementId) -> Reading {
        let (reading, book) = Reading::new();
        let topics = self.topics.clone();
        let open = move || {
            Ok(MemoryReader {
                topics: topics.clone(),
                region: origin,
                next: None,
            })
        };
        let mut turns = Turns::new(book, Arc::clone(&self.clock), open);
        let (inputs, load) = (self.inputs.clone(), Load::default());
        tokio::spawn(async move {
            while let Some(turn) = turns.next(Duration::ZERO) {
                let came = Came {
                    origin,
                    placement,
                    arrived: turn.arrivals.into_iter().map(Arrived::of).collect(),
                    load: load.add(1),
                };
                if inputs
                    .send(Input::Link(LinkInput::Came(came)))
                    .await
                    .is_err()
                {
                    return;
                }
                sleep(turn.pause.max(Duration::from_millis(5))).await;
            }
        });
        reading
    }

    fn write(&self, placement: PlacementId) {
        let session = self.topics.with(self.own, |topic| {
            topic.sessions += 1;
            topic.sessions
        });
        let writer = Box::new(MemoryWriter {
            topics: self.topics.clone(),
            region: self.own,
            session,
            taken: Vec::new(),
            begun: Instant::now(),
        });
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(20)).await;
            let opened = LinkInput::Opened { placement, writer };
            let _ = inputs.send(Input::Link(opened)).await;
        });
    }

    fn end(&self, writer: Option<Box<dyn LogWriter>>) {
        drop(writer);
    }
}

struct MemoryWriter {
    topics: Topics,
    region: RegionId,
    session: u64,
    taken: Vec<(Tag, Bytes)>,
    begun: Instant,
}

impl LogWriter for MemoryWriter {
    fn send(&mut self, _: Partition, tag: Tag, record: &Bytes) -> Result<(), WriteError> {
        if self.taken.len() >= 200 {
            return Err(WriteError::Full);
        }
        self.taken.push((tag, record.clone()));
        Ok(())
    }

    fn reports(&mut self) -> Vec<Report> {
        let (millis, session) = (self.begun.elapsed().as_millis() as u64, self.session);
        let taken = &mut self.taken;
        self.topics.with(self.region, |topic| {
            if topic.is_down {
                return Vec::new();
            }
            let broken = topic.broken_through >= session;
            let all = taken.drain(..).enumerate();
            all.map(|(place, (tag, record))| {
                // Of a session that breaks every other record arrives.
                if !broken || place % 2 == 0 {
                    topic.records.push((millis, record));
                }
                if broken {
                    Report::Unknown(tag, "the connection broke".into())
                } else {
                    Report::Delivered(tag)
                }
            })
            .collect()
        })
    }
}

struct MemoryReader {
    topics: Topics,
    region: RegionId,
    next: Option<u64>,
}

impl LogReader for MemoryReader {
    fn read(&mut self, _: Partition, from: From) -> Result<(), ReadError> {
        self.next = Some(self.topics.with(self.region, |topic| match from {
            From::Position(position) => position,
            From::Start | From::Millis(_) => topic.first,
        }));
        Ok(())
    }

    fn set_flow(&mut self, _: Partition, _: Flow) -> Result<(), ReadError> {
        Ok(())
    }

    fn poll(&mut self, _: Duration) -> Vec<Arrival> {
        let partition = Partition(0);
        let Some(next) = self.next else {
            return Vec::new();
        };
        let (arrivals, after) = self.topics.with(self.region, |topic| {
            if topic.is_down || topic.is_hidden {
                return (Vec::new(), Some(next));
            }
            if next < topic.first {
                return (vec![Arrival::PositionLost(partition)], None);
            }
            let records = topic.records.iter().skip(next as usize);
            let records: Vec<_> = records.map(|(_, record)| record.clone()).collect();
            let after = next + records.len() as u64;
            let arrival = |(place, record)| Arrival::Record {
                partition,
                position: next + place as u64 + 1,
                record,
            };
            let arrivals = records.into_iter().enumerate().map(arrival).collect();
            (arrivals, Some(after))
        });
        self.next = after;
        arrivals
    }
}
