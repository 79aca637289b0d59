//! Three nodes and a client.

use super::{
    logs::Topics,
    node::{Home, NOW_MILLIS, Node, SHARD, TestClock},
    region::Region,
    wire::Wire,
};
use crate::{
    components::Clock,
    server::shards::{
        CopyOrder, Input, PartAnswer, PartWrite,
        prepare::tests::{row, set},
    },
};
use bytes::Bytes;
use gateway::{
    edge::Deadline,
    write::writer::{Ack, Change, WriteBatch, WritePart},
};
use proto::{
    entry::EntryView,
    hlc::Hlc,
    id::{NodeId, PlacementId, Position, ProjectId, RegionId, Revision},
    record::RecordView,
    request::{RequestId, RequestPart},
    row::Row,
    schema::Schemas,
};
use raft::registry::Catalog;
use replication::{Primary, RoleName, requests::Written};
use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

pub struct World {
    pub nodes: Vec<Node>,
    pub region: Region,
    pub clock: TestClock,
    catalog: Arc<Catalog>,
    origin: RegionId,
    requests: u64,
    writes: i64,
}

impl World {
    /// Three nodes of which the first `copies` hold the shard.
    pub async fn new(copies: usize) -> Self {
        Self::with_segments(copies, 64 << 10).await
    }

    /// The same, with log segments of so many bytes.
    pub async fn with_segments(copies: usize, bytes: u64) -> Self {
        let around = (Wire::new(), TestClock::new());
        Self::at(copies, bytes, around, Home::default()).await
    }

    /// One region of several: two copies, on segments of its own wire.
    pub async fn of_region(
        region: RegionId,
        around: (Wire, TestClock),
        (catalog, topics): (Arc<Catalog>, &Topics),
        copies: mpsc::Sender<CopyOrder>,
    ) -> Self {
        let topics = Some(topics.clone());
        let home = Home {
            region,
            catalog,
            topics,
            copies,
        };
        Self::at(2, 64 << 10, around, home).await
    }

    async fn at(copies: usize, bytes: u64, (wire, clock): (Wire, TestClock), home: Home) -> Self {
        let mut nodes: Vec<Node> = (1..=3)
            .map(|id| Node::at(id, bytes, (&wire, &clock), &home))
            .collect();
        let in_sync: Vec<_> = nodes[..copies].iter().map(Node::member).collect();
        let boot = proto::id::BootId(nodes[0].boot.0 + 1);
        let region = Region::new(&in_sync, boot);
        for node in &mut nodes {
            node.start(&region).await;
        }
        Self {
            nodes,
            region,
            clock,
            catalog: home.catalog,
            origin: home.region,
            requests: 0,
            writes: 0,
        }
    }

    pub async fn start(&mut self, at: usize) {
        let region = self.region.clone();
        self.nodes[at].start(&region).await;
    }

    /// Where the present primary is.
    pub fn primary(&self) -> usize {
        (self.region.configuration().primary.node.0 - 1) as usize
    }

    pub async fn promote(&self, at: usize) {
        let node = &self.nodes[at];
        let (id, boot) = (node.id, node.boot);
        self.region.promote(Primary { node: id, boot }).await;
    }

    /// Makes a request of one part that sets one feature of some customers to a new value.
    pub fn batch(&mut self, customers: Range<i64>) -> Arc<WriteBatch> {
        let value = self.writes + 1;
        self.request(customers, &|number| set(&[(1, value), (2, number)]))
    }

    /// Makes a request of one part that changes some customers.
    pub fn request(
        &mut self,
        customers: Range<i64>,
        change: &dyn Fn(i64) -> Change,
    ) -> Arc<WriteBatch> {
        self.requests += 1;
        self.writes += 1;
        let event_micros = NOW_MILLIS * 1_000 + self.writes as u64;
        let of = |number| {
            let change = change(number);
            row(&self.catalog, "facts", number, event_micros, change)
        };
        let part = WritePart {
            shard: SHARD,
            placement: PlacementId(0),
            part: RequestPart(0),
            rows: customers.map(of).collect(),
        };
        Arc::new(WriteBatch {
            project: ProjectId(1),
            revision: Revision(1),
            id: RequestId::make(
                self.clock.now().wall_millis(),
                u128::from(self.requests) << 16 | u128::from(self.origin.0),
            ),
            ack: Ack::Region,
            token: Bytes::new(),
            slot: self.origin,
            deadline: Deadline(u64::MAX),
            parts: vec![part],
        })
    }

    /// Sends a request to the primary until it is answered.
    pub async fn send(&self, batch: &Arc<WriteBatch>) -> Written {
        for _ in 0..400 {
            let (reply, answer) = oneshot::channel();
            let write = PartWrite {
                batch: Arc::clone(batch),
                place: 0,
                fence: self.region.configuration().fence,
                follows: Hlc::ZERO,
                reply,
            };
            if let Some(alive) = &self.nodes[self.primary()].alive {
                let _ = alive.inputs.send(Input::Write(write)).await;
                let answered = timeout(Duration::from_secs(2), answer).await;
                if let Ok(Ok(PartAnswer::Written { written, .. })) = answered {
                    return written;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("a write was not taken: {:?}", self.region.configuration());
    }

    /// Writes all customers below `count` anew, a hundred at a time.
    pub async fn write_all(&mut self, count: i64) {
        for first in (0..count).step_by(100) {
            let batch = self.batch(first..(first + 100).min(count));
            self.send(&batch).await;
        }
    }

    /// Has the primary's log begin so late that only a snapshot brings a new replica up.
    pub async fn forget_log(&mut self, count: i64) {
        self.write_all(count).await;
        self.forget_requests(count).await;
        let store = &self.nodes[self.primary()].alive().store;
        let first = store.read_log(SHARD, Position(1), 1).unwrap();
        assert!(
            matches!(first, store::LogRead::Gone),
            "the log still begins at its begin"
        );
    }

    /// Writes all customers anew when the requests of before are out of their window, and has the
    /// primary's store do its upkeep: only who holds the log back still needs the entries of before.
    pub async fn forget_requests(&mut self, count: i64) {
        self.clock.move_on(Duration::from_mins(11));
        self.write_all(count).await;
        let primary = self.primary();
        for _ in 0..10 {
            sleep(Duration::from_secs(2)).await;
            self.nodes[primary].keep();
        }
    }

    /// How many entries of the primary's log carry out a request.
    pub fn entries_of(&self, batch: &WriteBatch) -> usize {
        let store = &self.nodes[self.primary()].alive().store;
        let ids: Vec<_> = (0..10).map(|piece| batch.id.piece(piece)).collect();
        let mut count = 0;
        for position in 1..=store.applied(SHARD).0 {
            let read = store.read_log(SHARD, Position(position), 1).unwrap();
            let store::LogRead::Entries(entries) = read else {
                panic!("the log holds position {position}");
            };
            let view = EntryView::parse(&entries[0]).unwrap();
            count += usize::from(ids.contains(&view.header().request));
        }
        count
    }

    /// Waits until all placed replicas are in sync and equal.
    pub async fn settle(&self) {
        let placed = self.region.configuration();
        for _ in 0..1_200 {
            sleep(Duration::from_millis(100)).await;
            let now = self.region.configuration();
            if now.joining.is_empty() && self.are_equal() {
                return;
            }
        }
        let roles: Vec<_> = (0..3).map(|at| self.role(at)).collect();
        panic!("it did not settle: {placed:?} {roles:?}");
    }

    fn are_equal(&self) -> bool {
        let of = |node: NodeId| {
            let node = &self.nodes[(node.0 - 1) as usize];
            let standing = node.alive.as_ref()?.board.read().get(&SHARD).cloned()?;
            standing
                .is_readable
                .then(|| (node.alive().store.applied(SHARD), node.rows()))
        };
        let configuration = self.region.configuration();
        let first = of(configuration.primary.node);
        first.is_some()
            && configuration
                .in_sync
                .iter()
                .all(|member| of(member.node) == first)
    }

    /// The monotonic clock of its nodes, in microseconds.
    pub fn now(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }

    /// What each replica in sync has, as it is read: without where it lies.
    pub fn rows(&self) -> Vec<BTreeMap<u64, Row>> {
        let members = self.region.configuration().in_sync.into_iter();
        let nodes = members.map(|member| &self.nodes[(member.node.0 - 1) as usize]);
        let nodes = nodes.filter(|node| node.alive.is_some());
        let read = |bytes: &[u8]| {
            let record = RecordView::parse(bytes).unwrap();
            let schema = self.catalog.schema(record.view(), record.schema_version());
            record.to_row(schema.unwrap()).unwrap()
        };
        let rows = |node: &Node| {
            let rows = node.rows().into_iter();
            rows.map(|(hash, bytes)| (hash, read(&bytes))).collect()
        };
        nodes.map(rows).collect()
    }

    pub fn role(&self, at: usize) -> Option<RoleName> {
        let alive = self.nodes[at].alive.as_ref()?;
        alive.board.read().get(&SHARD).map(|standing| standing.role)
    }
}
