//! One link or one outbox with a clock in hand, and short ways to say what befalls it.

use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind, EntryView},
    hlc::Hlc,
    id::{ClusterId, Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId},
    link::{LinkEntry, Record, decode, encode_entry},
    request::{RequestId, RequestPart},
    token::Reached,
};
use replication::{
    Entry, Micros, Now,
    link::{
        Audience, Covering, Link, LinkEffect, LinkEvent, LinkState, Obstacle, Outbox, OutboxEffect,
        OutboxEvent, StreamMark,
    },
    streams::{Cut, encode_lineage},
};

pub const WALL: u64 = 1_795_000_000_000;

pub fn at(incarnation: u32, sequence: u64) -> Reached {
    Reached {
        incarnation: Incarnation(incarnation),
        sequence: Sequence(sequence),
    }
}

pub fn entry_of(kind: EntryKind, reached: Reached, millis: u64, lineage: &[(u32, u64)]) -> Entry {
    let header = EntryHeader {
        shard: ShardId(3),
        origin: RegionId(2),
        kind,
        epoch: Epoch(1),
        previous_epoch: Epoch(1),
        position: Position(1),
        incarnation: reached.incarnation,
        placement: PlacementId(1),
        part: RequestPart(0),
        sequence: reached.sequence,
        hlc: Hlc::from_millis(millis),
        request: RequestId::NONE,
        link_position: 0,
    };
    let cut = |(incarnation, kept): &(u32, u64)| Cut {
        incarnation: Incarnation(*incarnation),
        kept: Sequence(*kept),
    };
    let cuts: Vec<_> = lineage.iter().map(cut).collect();
    let builder = match kind {
        EntryKind::Start => EntryBuilder::with_extras(header, &encode_lineage(&cuts)),
        _ => EntryBuilder::new(header),
    };
    Entry::received(builder.finish()).expect("it was built so")
}

/// A write; the first of an incarnation is its start.
pub fn write(incarnation: u32, sequence: u64) -> Entry {
    let kind = if sequence == 1 {
        EntryKind::Start
    } else {
        EntryKind::Rows
    };
    entry_of(kind, at(incarnation, sequence), WALL + sequence, &[])
}

pub fn arrived(entry: &Entry) -> LinkEntry {
    let view = EntryView::parse(entry.bytes()).expect("it was built so");
    let bytes = encode_entry(ClusterId(7), &view).expect("it is an own entry");
    match decode(&bytes) {
        Ok(Record::Entry(entry)) => entry,
        other => panic!("{other:?}"),
    }
}

/// The numbers of the entries that are handed over.
pub fn applied(effects: &[LinkEffect]) -> Vec<(u32, u64)> {
    let number = |effect: &LinkEffect| match effect {
        LinkEffect::Apply { entry, .. } => {
            let reached = entry.reached();
            Some((reached.incarnation.0, reached.sequence.0))
        }
        _ => None,
    };
    effects.iter().filter_map(number).collect()
}

pub struct Bench {
    pub link: Link,
    pub now: Now,
    pub opened: Vec<LinkEffect>,
    position: u64,
}

impl Bench {
    /// A link whose log has the stream through `logged`, all of it committed.
    pub fn at(logged: Reached) -> Self {
        let sequence = logged.sequence.0;
        let mark = StreamMark {
            reached: logged,
            hlc: Hlc::from_millis(WALL + sequence),
            position: sequence * 10,
        };
        Self::open(
            if sequence == 0 {
                StreamMark::default()
            } else {
                mark
            },
            logged,
        )
    }

    pub fn open(logged: StreamMark, committed: Reached) -> Self {
        let now = Now {
            monotonic: Micros(50_000_000),
            wall_millis: WALL,
        };
        let mut opened = Vec::new();
        let link = Link::open(logged, committed, now, &mut opened);
        let position = logged.position;
        Self {
            link,
            now,
            opened,
            position,
        }
    }

    pub fn step(&mut self, event: LinkEvent) -> Vec<LinkEffect> {
        let mut effects = Vec::new();
        self.link.step(self.now, event, &mut effects);
        effects
    }

    pub fn pass(&mut self, millis: u64) -> Vec<LinkEffect> {
        self.now.monotonic.0 += millis * 1_000;
        self.now.wall_millis += millis;
        self.step(LinkEvent::Tick)
    }

    pub fn arrive(&mut self, entry: &Entry) -> Vec<LinkEffect> {
        self.meet(entry, None)
    }

    pub fn meet(&mut self, entry: &Entry, obstacle: Option<Obstacle>) -> Vec<LinkEffect> {
        self.position += 1;
        let (entry, position) = (arrived(entry), self.position);
        self.step(LinkEvent::Entry {
            entry,
            position,
            obstacle,
        })
    }

    pub fn close(&mut self, reached: Reached, instant: Option<u64>) -> Vec<LinkEffect> {
        self.position += 1;
        let close = Covering {
            reached,
            hlc: Hlc::from_millis(WALL + 5_000 + self.position),
            instant: instant.map(Micros),
        };
        let position = self.position;
        self.step(LinkEvent::Close { close, position })
    }

    pub fn age(&self) -> Option<u64> {
        self.link.age(self.now).map(|age| age.0)
    }

    /// Brings it to LIVE where it is, an echo of one second ago.
    pub fn live(&mut self) {
        let reached = self.link.committed();
        self.close(reached, Some(self.now.monotonic.0 - 1_000_000));
        assert_eq!(self.link.state(), LinkState::Live);
    }
}

pub fn outbox(audience: Audience, mark: Reached, end: Reached) -> Outbox {
    Outbox::new(audience, mark, end)
}

pub fn tell(outbox: &mut Outbox, event: OutboxEvent) -> Vec<OutboxEffect> {
    let mut effects = Vec::new();
    outbox.step(event, &mut effects);
    effects
}

/// The sequences that are sent.
pub fn sent(effects: &[OutboxEffect]) -> Vec<u64> {
    let number = |effect: &OutboxEffect| match effect {
        OutboxEffect::Send { entry, .. } => Some(entry.header().sequence.0),
        _ => None,
    };
    effects.iter().filter_map(number).collect()
}
