//! One replica with a clock in hand, and short ways to say what befalls it.

use bytes::Bytes;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::{Clock, Hlc},
    id::{
        BootId, Epoch, Incarnation, NodeId, PlacementId, Position, RegionId, Revision, Sequence,
        ShardId, StoreId,
    },
    record::Encoded,
    request::{RequestId, RequestPart, Sent, WriteOutcome},
};
use replication::{
    Budget, Configuration, Context, Effect, Entry, Event, Fence, Identity, Mark, Member, Message,
    Micros, Now, Primary, Recovered, Replica, Ticket,
    closes::Round,
    message::{Ack, Append, Body, Mismatch},
    write::{Answer, Order, PreparedRow, ReplyTo, Write},
};

/// The wall clock of every test.
pub const WALL: u64 = 1_795_000_000_000;
pub const PLACEMENT: PlacementId = PlacementId(1);

pub fn fence(epoch: u32) -> Fence {
    Fence {
        incarnation: Incarnation(1),
        epoch: Epoch(epoch),
    }
}

pub fn mark(epoch: u32, position: u64) -> Mark {
    Mark {
        epoch: Epoch(epoch),
        position: Position(position),
    }
}

/// A node's first disk.
pub fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        store: StoreId(node * 10),
        boot: None,
    }
}

/// Node 1 is always the one under test, in its boot 1.
pub fn configuration(epoch: u32, primary: u64, in_sync: &[u64]) -> Configuration {
    let joining = (1..=3).filter(|node| !in_sync.contains(node));
    Configuration {
        fence: fence(epoch),
        revision: Revision(u64::from(epoch)),
        primary: Primary {
            node: NodeId(primary),
            boot: BootId(1),
        },
        in_sync: in_sync.iter().map(|node| member(*node)).collect(),
        min_in_sync: 1,
        copies: 2,
        joining: joining.map(member).collect(),
        observing: Vec::new(),
    }
}

/// The same member where it is named by its boot.
pub fn run_of(node: u64, boot: u64) -> Member {
    Member {
        boot: Some(BootId(boot)),
        ..member(node)
    }
}

/// An entry of `epoch` after one of `previous`.
pub fn entry(position: u64, epoch: u32, previous: u32) -> Entry {
    let header = EntryHeader {
        shard: ShardId(3),
        origin: RegionId(1),
        kind: EntryKind::Epoch,
        epoch: Epoch(epoch),
        previous_epoch: Epoch(previous),
        position: Position(position),
        incarnation: Incarnation(1),
        placement: PlacementId(0),
        part: RequestPart(0),
        sequence: Sequence(0),
        hlc: Hlc::from_millis(WALL - 1_000 + position),
        request: RequestId::NONE,
        link_position: 0,
    };
    Entry::received(EntryBuilder::new(header).finish()).expect("it was built so")
}

/// Entries 1..=count of epoch 1.
pub fn entries(count: u64) -> Vec<Entry> {
    let previous = |position| u32::from(position > 1);
    (1..=count)
        .map(|position| entry(position, 1, previous(position)))
        .collect()
}

pub fn id(random: u128) -> RequestId {
    RequestId::make(WALL - 1_000, random)
}

pub struct Bench {
    pub replica: Replica,
    pub clock: Clock,
    pub budget: Budget,
    pub now: Micros,
    pub wall: u64,
    written: Ticket,
}

impl Bench {
    /// A replica with nothing but this tail on its disk.
    pub fn with_tail(tail: Vec<Entry>) -> Self {
        Self::open(Recovered {
            tail,
            ..Recovered::default()
        })
    }

    pub fn open(recovered: Recovered) -> Self {
        let mut clock = Clock::starting_at(Hlc::ZERO);
        clock.raise_bound(Hlc::from_millis(WALL + 10_000));
        let mut budget = Budget::default();
        let now = Micros(5_000_000);
        let mut ctx = Context {
            now: Now {
                monotonic: now,
                wall_millis: WALL,
            },
            clock: &mut clock,
            budget: &mut budget,
        };
        let me = Identity {
            shard: ShardId(3),
            region: RegionId(1),
            node: NodeId(1),
            store: StoreId(10),
            boot: BootId(1),
        };
        let replica = Replica::open(me, recovered, &mut ctx);
        Self {
            replica,
            clock,
            budget,
            now,
            wall: WALL,
            written: Ticket(0),
        }
    }

    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut ctx = Context {
            now: Now {
                monotonic: self.now,
                wall_millis: self.wall,
            },
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        self.replica.step(&mut ctx, event, &mut effects);
        for effect in &effects {
            if let Effect::Append { ticket, .. }
            | Effect::Cut { ticket, .. }
            | Effect::StartEmpty { ticket } = effect
            {
                self.written = *ticket;
            }
        }
        effects
    }

    /// The shard leaves the node; nothing of it counts against the limits any more.
    pub fn retire(mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut ctx = Context {
            now: Now {
                monotonic: self.now,
                wall_millis: self.wall,
            },
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        self.replica.retire(&mut ctx, &mut effects);
        assert_eq!(self.budget.pending(), 0);
        assert_eq!(self.budget.in_flight(NodeId(2)), 0);
        effects
    }

    pub fn configure(&mut self, configuration: Configuration) -> Vec<Effect> {
        self.step(Event::Configuration(configuration))
    }

    pub fn is_leftover(&self) -> bool {
        self.replica.is_leftover(self.now)
    }

    /// Time passes in ticks.
    pub fn pass(&mut self, millis: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..millis.div_ceil(50) {
            self.now = self.now.plus(Micros(50_000));
            self.wall += 50;
            effects.extend(self.step(Event::Tick));
        }
        effects
    }

    pub fn hear(&mut self, from: u64, epoch: u32, body: Body) -> Vec<Effect> {
        let message = Message {
            fence: fence(epoch),
            body,
        };
        let from = NodeId(from);
        self.step(Event::Message { from, message })
    }

    /// The primary, node 2, sends entries.
    pub fn append(
        &mut self,
        epoch: u32,
        previous: Mark,
        entries: Vec<Entry>,
        committed: u64,
    ) -> Vec<Effect> {
        let append = Append {
            member: member(1),
            session: 0,
            previous,
            entries,
            committed: Position(committed),
            closed_through: 0,
        };
        self.hear(2, epoch, Body::Append(append))
    }

    /// Everything appended so far is written, and not synced.
    pub fn wrote(&mut self) -> Vec<Effect> {
        let through = self.written;
        self.step(Event::Written { through })
    }

    /// Everything appended so far is durable.
    pub fn synced(&mut self) -> Vec<Effect> {
        let through = self.written;
        self.step(Event::Durable { through })
    }

    pub fn ack(&mut self, from: Member, epoch: u32, durable: u64, promised: u64) -> Vec<Effect> {
        let ack = Ack {
            member: from,
            boot: BootId(1),
            session: 0,
            durable: Position(durable),
            promised,
            clock: Micros(77_000_000),
        };
        self.hear(from.node.0, epoch, Body::Ack(ack))
    }

    pub fn mismatch(&mut self, from: u64, epoch: u32, session: u32, resume: u64) -> Vec<Effect> {
        let mismatch = Mismatch {
            member: member(from),
            boot: BootId(1),
            session,
            resume: Position(resume),
        };
        self.hear(from, epoch, Body::Mismatch(mismatch))
    }

    /// A write of `rows` rows, each of `bytes` bytes.
    pub fn write(&mut self, epoch: u32, request: RequestId, rows: usize, to: u64) -> Vec<Effect> {
        let write = write(epoch, request, rows, to);
        self.step(Event::Write(write))
    }

    pub fn committed(&self) -> u64 {
        self.replica.committed().position.0
    }
}

pub fn write(epoch: u32, request: RequestId, rows: usize, to: u64) -> Write {
    let row = || PreparedRow {
        records: [row()].into_iter().collect(),
        order: Order::WriteTime,
    };
    Write {
        reply_to: ReplyTo(to),
        fence: fence(epoch),
        request,
        part: RequestPart(0),
        placement: PLACEMENT,
        rows: (0..rows).map(|_| row()).collect(),
        outcome: WriteOutcome {
            accepted: rows as u32,
            ..WriteOutcome::default()
        },
        sent: sent(1, rows as u64),
        stamp_at_most: Hlc(u64::MAX),
    }
}

/// Rows of that digest, planned under that revision.
pub fn sent(revision: u64, digest: u64) -> Sent {
    Sent {
        revision: Revision(revision),
        digest,
    }
}

fn row() -> Encoded {
    padded_row(4)
}

/// A row with a cell of `bytes` bytes.
pub fn padded_row(bytes: usize) -> Encoded {
    use proto::{
        id::{FeatureId, SchemaVersion, ViewId},
        record::{RecordKind, UNSTAMPED, encode},
        row::{Cell, Content, Row},
        schema::{Column, RowSchema},
        time::EventTime,
        version::Version,
    };
    let column = Column::of("bytes".parse().expect("it is a type"));
    let schema = RowSchema::new(ViewId(1), SchemaVersion(1), vec![column]);
    let version = Version {
        event_time: EventTime::saturating(0),
        write_time: UNSTAMPED,
        origin: RegionId(1),
    };
    let content = Content::Value(Bytes::from(vec![7; bytes]));
    let mut row = Row::default();
    row.set(FeatureId(0), Cell::Latest { version, content });
    encode(&row, RecordKind::OwnDelta, b"key", &schema).expect("it is small enough")
}

pub fn bodies(effects: &[Effect], to: u64) -> Vec<&Body> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: node, message } if *node == NodeId(to) => Some(&message.body),
        _ => None,
    });
    sent.collect()
}

pub fn appends(effects: &[Effect], to: u64) -> Vec<&Append> {
    let mut appends = Vec::new();
    for body in bodies(effects, to) {
        if let Body::Append(append) = body {
            appends.push(append);
        }
    }
    appends
}

pub fn acks(effects: &[Effect]) -> Vec<(u64, u64)> {
    let of = |effect: &Effect| match effect {
        Effect::Send { message, .. } => match &message.body {
            Body::Ack(ack) => Some((ack.durable.0, ack.promised)),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

pub fn answers(effects: &[Effect]) -> Vec<(u64, &Answer)> {
    let mut answers = Vec::new();
    for effect in effects {
        if let Effect::Reply { to, answer } = effect {
            answers.push((to.0, answer));
        }
    }
    answers
}

pub fn appended(effects: &[Effect]) -> Vec<EntryHeader> {
    let of = |effect: &Effect| match effect {
        Effect::Append { entry, .. } => Some(*entry.header()),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

pub fn proposed(effects: &[Effect]) -> Vec<Vec<u64>> {
    let of = |effect: &Effect| match effect {
        Effect::Propose(proposal) => {
            let nodes = proposal.in_sync.iter().map(|member| member.node.0);
            Some(nodes.collect())
        }
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

pub fn round(number: u64, position: u64, hlc: Hlc) -> Round {
    Round {
        number,
        position: Position(position),
        hlc,
        heads: vec![(PLACEMENT, Incarnation(1), Sequence(9))],
        ages: Vec::new(),
    }
}
