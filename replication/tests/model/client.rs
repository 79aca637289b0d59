//! Writers: new requests, and repeats of old ones whether they were answered or not.

use crate::{
    node::EPOCH_MILLIS,
    oracle::Oracle,
    world::{Action, World},
};
use bytes::Bytes;
use proto::{
    hlc::Hlc,
    id::{FeatureId, PlacementId, RegionId, Revision, SchemaVersion, ViewId},
    record::{Encoded, RecordKind, UNSTAMPED, encode},
    request::{RequestId, RequestPart, Sent, WriteOutcome},
    row::{Cell, Content, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    version::Version,
};
use replication::{
    Event,
    write::{Answer, Order, PreparedRow, ReplyTo, Write},
};

pub struct Request {
    id: RequestId,
    part: RequestPart,
    placement: PlacementId,
    rows: u32,
    pub done: bool,
}

pub struct Client {
    pub requests: Vec<Request>,
    /// Which request each reply belongs to.
    replies: Vec<usize>,
    row: Encoded,
}

impl Client {
    pub fn new() -> Self {
        Self {
            requests: Vec::new(),
            replies: Vec::new(),
            row: row(),
        }
    }

    /// A caller hears what became of its write.
    pub fn answered(
        &mut self,
        now: u64,
        oracle: &mut Oracle,
        to: ReplyTo,
        answer: Answer,
    ) -> Result<(), String> {
        let request = &mut self.requests[self.replies[to.0 as usize]];
        match answer {
            Answer::Written(written) => {
                request.done = true;
                oracle.answer(now, (request.id, request.part), &written)
            }
            Answer::Refused(_) | Answer::Unknown | Answer::PrepareAgain => Ok(()),
        }
    }
}

impl World {
    pub fn write(&mut self) -> Result<(), String> {
        if self.weather.write_gap == 0 {
            return Ok(());
        }
        // Bursts and silences: a close over a silent stream is where stale tails hurt.
        let gap = if self.rng.chance(100) {
            1_500_000
        } else {
            self.weather.write_gap
        };
        let delay = self.rng.between(gap / 10, gap);
        self.after(delay, Action::Write);
        let known = self.client.requests.len();
        let request = if known > 0 && self.rng.chance(400) {
            let recent = self.rng.between(1, known.min(12) as u64) as usize;
            known - recent
        } else {
            self.new_request();
            known
        };
        let node = if self.rng.chance(850) {
            self.at(self.service.current.primary.node)
        } else {
            self.rng.index(3)
        };
        let event = Event::Write(self.attempt(request, node));
        self.step(node, event)
    }

    fn new_request(&mut self) {
        let random = (u128::from(self.rng.next()) << 64) | u128::from(self.rng.next());
        // Clients' clocks are behind all others, so that their ids are not from the future.
        let request = Request {
            id: RequestId::make(EPOCH_MILLIS - 15_000 + self.now / 1_000, random),
            part: RequestPart(self.rng.between(0, 1) as u16),
            placement: PlacementId(self.rng.between(1, 2) as u16),
            rows: self.rng.between(0, 3) as u32,
            done: false,
        };
        self.client.requests.push(request);
    }

    fn attempt(&mut self, number: usize, node: usize) -> Write {
        let fence = self.fence(node);
        let client = &mut self.client;
        let reply_to = ReplyTo(client.replies.len() as u64);
        client.replies.push(number);
        let request = &client.requests[number];
        let row = || PreparedRow {
            records: [client.row.clone()].into_iter().collect(),
            order: Order::WriteTime,
        };
        Write {
            reply_to,
            fence,
            request: request.id,
            part: request.part,
            placement: request.placement,
            rows: (0..request.rows).map(|_| row()).collect(),
            outcome: WriteOutcome {
                accepted: request.rows,
                ..WriteOutcome::default()
            },
            sent: Sent {
                revision: Revision(1),
                digest: number as u64,
            },
            stamp_at_most: Hlc(u64::MAX),
        }
    }
}

fn row() -> Encoded {
    let column = Column::of("int32".parse().expect("it is a type"));
    let schema = RowSchema::new(ViewId(1), SchemaVersion(1), vec![column]);
    let mut row = Row::default();
    let version = Version {
        event_time: EventTime::saturating(0),
        write_time: UNSTAMPED,
        origin: RegionId(1),
    };
    let content = Content::Value(Bytes::from_static(&[1, 0, 0, 0]));
    row.set(FeatureId(0), Cell::Latest { version, content });
    encode(&row, RecordKind::OwnDelta, b"key", &schema).expect("the row is small")
}
