//! Streams of other regions: what comes of them goes to their cores, and what those ask for to whoever
//! reads.

use super::{Driver, Links, load::Loaded, replication_now};
use crate::{
    components::Now,
    region_log::{Arrival, Flow, Partition, ReadOrder, Reading},
};
use proto::{
    entry::{EntryKind, EntryView},
    hlc::Hlc,
    id::{PlacementId, RegionId, Sequence, ShardId},
    link::{Head, Heartbeat, LinkEntry, Record, RecordError},
    schema::Schemas,
    token::Reached,
};
use raft::registry::Catalog;
use replication::{
    Micros,
    link::{From, Link, LinkEffect, LinkEvent, Obstacle, StreamMark},
};
use std::collections::BTreeMap;

/// A stream's name within its shard.
type Name = (RegionId, PlacementId);

/// What one poll of a reader gave.
pub struct Came {
    /// Whose log.
    pub origin: RegionId,
    /// Of which placement.
    pub placement: PlacementId,
    /// In order within a partition.
    pub arrived: Vec<Arrived>,
    /// What it takes of what may wait.
    pub load: Loaded,
}

/// One of it.
pub enum Arrived {
    /// A record, read already.
    Record {
        /// Where.
        partition: Partition,
        /// The position after it.
        position: u64,
        /// What.
        record: Result<Record, RecordError>,
    },
    /// What was to be read next is gone.
    PositionLost(Partition),
    /// A heartbeat that is in no partition.
    Beat(Beat),
    /// For people.
    Trouble(String),
}

/// What a node says of the shards that it leads and is read for.
pub struct Beat {
    /// Where reading of each goes on.
    pub positions: BTreeMap<ShardId, u64>,
    /// What it says.
    pub heartbeat: Heartbeat,
}

impl Arrived {
    /// Reads what arrived.
    #[must_use]
    pub fn of(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Record {
                partition,
                position,
                record,
            } => Self::Record {
                partition,
                position,
                record: proto::link::decode(&record),
            },
            Arrival::PositionLost(partition) => Self::PositionLost(partition),
            Arrival::Trouble(fault) => Self::Trouble(fault),
        }
    }
}

/// One stream on its way in.
pub(in crate::server::shards) struct Receiving {
    pub(super) link: Link,
    partition: Partition,
    /// How far the shard's log has it, committed or not.
    pub(super) logged: Reached,
    /// A copy is merged; how far the stream is once that is committed.
    pub(super) merging: Option<StreamMark>,
    /// An entry was not appended; when the core hears of it. What comes until then is let pass.
    pub(super) refused_until: Option<Micros>,
}

/// One log of another region that is read.
pub(super) struct Incoming {
    reading: Reading,
    /// Where partitions are to be read from after this turn.
    wanted: BTreeMap<Partition, From>,
    /// How many of a partition's links want no more for now.
    paused: BTreeMap<Partition, usize>,
}

impl Incoming {
    fn want(&mut self, partition: Partition, from: From) {
        let wanted = self.wanted.entry(partition).or_insert(from);
        *wanted = earlier(*wanted, from);
    }
}

/// The one from which the other is read too, as far as that is known: a position and a time cannot be
/// compared. A stream for which it was not early enough finds a gap, and asks by its time.
fn earlier(one: From, other: From) -> From {
    match (one, other) {
        (From::Start, _) | (_, From::Start) => From::Start,
        (From::Position(one), From::Position(other)) => From::Position(one.min(other)),
        (From::Millis(one), From::Millis(other)) => From::Millis(one.min(other)),
        (millis @ From::Millis(_), From::Position(_))
        | (From::Position(_), millis @ From::Millis(_)) => millis,
    }
}

impl Driver {
    pub(super) fn open_receiving(
        &mut self,
        shard: ShardId,
        origin: RegionId,
        placement: PlacementId,
    ) -> Receiving {
        let stream = (origin, placement);
        let committed = self
            .writer
            .store()
            .stream(shard, stream)
            .unwrap_or_default();
        let committed_through = Reached {
            incarnation: committed.incarnation,
            sequence: committed.sequence,
        };
        let mut logged = StreamMark {
            reached: committed_through,
            hlc: committed.hlc,
            position: committed.link_position,
        };
        for bytes in self.writer.pending(shard) {
            follow(&mut logged, &bytes, stream);
        }
        let now = replication_now(self.now);
        let mut effects = Vec::new();
        let link = Link::open(logged, committed_through, now, &mut effects);
        let partition = self.links.partition(origin, shard);
        for effect in effects {
            if let LinkEffect::Read(from) = effect {
                self.links.want(stream, partition, from);
            }
        }
        Receiving {
            link,
            partition,
            logged: logged.reached,
            merging: None,
            refused_until: None,
        }
    }

    /// Has a region's log read, once for all shards.
    pub(super) fn begin_reading(&mut self, origin: RegionId, placement: PlacementId) {
        self.links.begin_reading(origin, placement);
    }

    pub(super) fn stop_reading_where_nobody_does(
        &mut self,
        origin: RegionId,
        placement: PlacementId,
        shard: ShardId,
    ) {
        let partition = self.links.partition(origin, shard);
        let stream = (origin, placement);
        let is_read = self.links.shards.values().any(|links| {
            let receiving = links.receiving.get(&stream);
            receiving.is_some_and(|receiving| receiving.partition == partition)
        });
        let incoming = self.links.incoming.get_mut(&stream);
        if let Some(incoming) = incoming.filter(|_| !is_read) {
            incoming.wanted.remove(&partition);
            incoming.paused.remove(&partition);
            incoming.reading.order(ReadOrder::Stop(partition));
        }
    }

    /// Readers and writers end: other ones are begun for the streams that there are now.
    pub(super) fn forget_transports(&mut self) {
        self.links.incoming.clear();
        for outgoing in std::mem::take(&mut self.links.outgoing).into_values() {
            if let Some(logs) = &self.links.logs {
                logs.end(outgoing.writer);
            }
        }
    }

    /// Tells readers where partitions are to be read from.
    pub(super) fn order_reads(&mut self) {
        for incoming in self.links.incoming.values_mut() {
            for (partition, from) in std::mem::take(&mut incoming.wanted) {
                incoming.reading.order(ReadOrder::Read(partition, from));
            }
        }
    }

    pub(super) fn records_came(&mut self, came: Came) {
        let stream = (came.origin, came.placement);
        for arrived in came.arrived {
            match arrived {
                Arrived::Record {
                    partition,
                    position,
                    record,
                } => self.record_came(stream, partition, position, record),
                Arrived::PositionLost(partition) => {
                    self.tell_partition(stream, partition, &LinkEvent::PositionLost);
                }
                Arrived::Beat(Beat {
                    positions,
                    heartbeat,
                }) => {
                    self.heartbeat_came(stream, &heartbeat, |shard| positions.get(&shard).copied());
                }
                Arrived::Trouble(fault) => {
                    tracing::debug!(
                        origin = came.origin.0,
                        fault,
                        "reading another region's log"
                    );
                }
            }
        }
        self.order_reads();
    }

    fn record_came(
        &mut self,
        stream: Name,
        partition: Partition,
        position: u64,
        record: Result<Record, RecordError>,
    ) {
        match record {
            Ok(Record::Entry(entry)) => self.entry_came(stream, entry, position),
            Ok(Record::Heartbeat(heartbeat)) => {
                self.heartbeat_came(stream, &heartbeat, |_| Some(position));
            }
            Err(RecordError::Malformed(fault)) => {
                tracing::warn!(
                    origin = stream.0.0,
                    partition = partition.0,
                    position,
                    %fault,
                    "a record of another region cannot be read; its streams are read again"
                );
                self.tell_partition(stream, partition, &LinkEvent::Unreadable);
            }
            Err(RecordError::Unknown { head, .. }) => {
                if head.stream.shard != Head::NO_SHARD {
                    self.step_link(head.stream.shard, stream, LinkEvent::Newer);
                }
            }
        }
    }

    fn entry_came(&mut self, stream: Name, entry: LinkEntry, position: u64) {
        let own = entry.stream();
        // Only what a region itself wrote is in its log (I13); a stray record is nobody's.
        if (own.origin, own.placement) != stream {
            return;
        }
        let obstacle = if entry.cluster() == self.links.cluster {
            obstacle(&entry, &self.catalog)
        } else {
            Some(Obstacle::OtherCluster)
        };
        let event = LinkEvent::Entry {
            entry,
            position,
            obstacle,
        };
        self.step_link(own.shard, stream, event);
    }

    /// `position` says where reading of a shard goes on after it.
    fn heartbeat_came(
        &mut self,
        stream: Name,
        heartbeat: &Heartbeat,
        position: impl Fn(ShardId) -> Option<u64>,
    ) {
        if heartbeat.cluster != self.links.cluster || heartbeat.origin != stream.0 {
            return;
        }
        let now = replication_now(self.now).monotonic;
        self.links.echoes.hear(heartbeat, now);
        let own = self.place.region;
        for report in heartbeat
            .reports
            .iter()
            .filter(|report| report.stream.origin == own)
        {
            let name = (report.stream.shard, report.stream.placement);
            let confirmations = &self.links.confirmations;
            confirmations.note(name, heartbeat.origin, report.reached);
        }
        let closes: Vec<_> = self.links.echoes.closes(heartbeat).collect();
        for (closed, close) in closes {
            if let Some(position) = position(closed.shard).filter(|_| closed.placement == stream.1)
            {
                self.step_link(closed.shard, stream, LinkEvent::Close { close, position });
            }
        }
    }

    fn tell_partition(&mut self, stream: Name, partition: Partition, event: &LinkEvent) {
        let of_partition = self.links.shards.iter().filter(|(_, links)| {
            let receiving = links.receiving.get(&stream);
            receiving.is_some_and(|receiving| receiving.partition == partition)
        });
        let shards: Vec<ShardId> = of_partition.map(|(shard, _)| *shard).collect();
        for shard in shards {
            self.step_link(shard, stream, event.clone());
        }
    }

    /// Steps one core and carries out what it asks for.
    pub(super) fn step_link(&mut self, shard: ShardId, stream: Name, event: LinkEvent) {
        let now = replication_now(self.now);
        let mut effects = Vec::new();
        let Some(receiving) = self.links.receiving(shard, stream) else {
            return;
        };
        let before = receiving.link.state();
        if let Some(until) = receiving.refused_until
            && now.monotonic >= until
        {
            receiving.refused_until = None;
            let logged = receiving.logged;
            receiving
                .link
                .step(now, LinkEvent::Refused(logged), &mut effects);
        }
        receiving.link.step(now, event, &mut effects);
        let (after, partition) = (receiving.link.state(), receiving.partition);
        if before != after {
            tracing::info!(%shard, origin = stream.0.0, placement = stream.1.0, ?before, ?after, "a link goes on");
        }
        for effect in effects {
            match effect {
                LinkEffect::Apply { entry, position } => {
                    self.apply_remote(shard, stream, &entry, position);
                }
                LinkEffect::LogPosition(position) => self.log_position(shard, stream, position),
                LinkEffect::Read(from) => self.links.want(stream, partition, from),
                LinkEffect::Pause => self.links.pause(stream, partition, Flow::Paused),
                LinkEffect::Resume => self.links.pause(stream, partition, Flow::Open),
                LinkEffect::FetchSnapshot => self.order_copy(shard, stream),
            }
        }
    }
}

impl Links {
    pub(super) fn receiving(&mut self, shard: ShardId, stream: Name) -> Option<&mut Receiving> {
        self.shards.get_mut(&shard)?.receiving.get_mut(&stream)
    }

    fn begin_reading(&mut self, origin: RegionId, placement: PlacementId) {
        let Some(logs) = &self.logs else {
            return;
        };
        self.incoming
            .entry((origin, placement))
            .or_insert_with(|| Incoming {
                reading: logs.read(origin, placement),
                wanted: BTreeMap::new(),
                paused: BTreeMap::new(),
            });
    }

    fn want(&mut self, stream: Name, partition: Partition, from: From) {
        self.begin_reading(stream.0, stream.1);
        if let Some(incoming) = self.incoming.get_mut(&stream) {
            incoming.want(partition, from);
        }
    }

    /// A partition flows where none of its links wants it to wait.
    fn pause(&mut self, stream: Name, partition: Partition, flow: Flow) {
        let Some(incoming) = self.incoming.get_mut(&stream) else {
            return;
        };
        let paused = incoming.paused.entry(partition).or_default();
        let before = *paused;
        *paused = match flow {
            Flow::Paused => before + 1,
            Flow::Open => before.saturating_sub(1),
        };
        if (before == 0) != (*paused == 0) {
            incoming.reading.order(ReadOrder::Flow(partition, flow));
        }
    }
}

/// Follows an entry of the shard's log that is not committed yet.
fn follow(mark: &mut StreamMark, entry: &[u8], stream: Name) {
    let view = EntryView::parse(entry).expect("entries are checked when they come");
    let header = view.header();
    if (header.origin, header.placement) != stream {
        return;
    }
    match header.kind {
        EntryKind::Remote if header.sequence > Sequence(0) => {
            mark.reached = Reached {
                incarnation: header.incarnation,
                sequence: header.sequence,
            };
            mark.hlc = mark.hlc.max(header.hlc);
            mark.position = header.link_position;
        }
        EntryKind::LinkPosition => mark.position = header.link_position,
        _ => {}
    }
}

/// Why rows cannot be taken yet. Rows of a view that was removed are no obstacle: nobody reads them.
fn obstacle(entry: &LinkEntry, catalog: &Catalog) -> Option<Obstacle> {
    let origin = entry.stream().origin;
    if !catalog.registry().regions.contains_key(&origin) {
        return Some(Obstacle::UnknownRegion(origin));
    }
    entry.rows().find_map(|row| {
        let (view, version) = (row.view(), row.schema_version());
        if catalog.was_removed(view) || catalog.schema(view, version).is_some() {
            None
        } else if catalog.view(view).is_none() {
            Some(Obstacle::UnknownView(view))
        } else {
            Some(Obstacle::UnknownSchema(view, version))
        }
    })
}

impl Receiving {
    /// Everything acknowledged at the origin before this instant is here; None is *unknown*.
    pub(super) fn complete_at(&self, now: Now) -> Option<Micros> {
        let now = replication_now(now);
        let age = self.link.age(now)?;
        now.monotonic.0.checked_sub(age.0).map(Micros)
    }

    /// What is closed of the stream here.
    pub(super) fn closed(&self) -> Hlc {
        self.link.closed()
    }
}
