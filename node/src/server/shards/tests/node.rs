//! One node of the test world: its disk, and what runs on it.

use super::{
    logs::{MemoryLogs, Topics},
    region::Region,
    wire::Wire,
};
use crate::{
    components::{Clock, Network, Now},
    peer::{self, Me, Membership, Mesh},
    region_log::RegionLogs,
    server::{
        confirmations::Confirmations,
        hlc_bound::HlcBound,
        methods::Call,
        peers::{Groups, Peers},
        repair::{Repairs, TakenRepairs},
        shards::{
            Board, CopyOrder, Driver, Input, LinkBoard, LinkParts, Outbox, Pace, Parts, Place,
            of_store,
            prepare::tests::{catalog, row, set},
            run,
        },
        snapshots,
    },
};
use bytes::Bytes;
use gateway::write::writer::WriteRow;
use parking_lot::Mutex;
use proto::{
    hlc::Clock as HlcClock,
    id::{BootId, ClusterId, NodeId, PlacementId, RegionId, ShardId, StoreId},
    token::Reached,
};
use raft::{group::Blocking, registry::Catalog};
use replication::{Member, Micros, link::StreamMark, planted::Planted};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use store::{
    Copy, Plan, ReadRequest, RowState, Settings, SnapshotChunk, Staging, Store,
    disk::{Disk, FaultDisk},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

/// The one shard of these tests.
pub const SHARD: ShardId = ShardId(0);
/// Where wall clocks begin.
pub const NOW_MILLIS: u64 = 1_795_000_000_000;

/// Time of the test's runtime; the wall clock may be moved on.
#[derive(Clone)]
pub struct TestClock {
    start: Instant,
    ahead: Arc<Mutex<Duration>>,
}

impl TestClock {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            ahead: Arc::default(),
        }
    }

    pub fn move_on(&self, span: Duration) {
        *self.ahead.lock() += span;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let passed = self.start.elapsed();
        let wall = Duration::from_millis(NOW_MILLIS) + passed + *self.ahead.lock();
        Now {
            monotonic: Duration::from_secs(100) + passed,
            wall_micros: wall.as_micros() as u64,
        }
    }
}

/// What runs of a node.
pub struct Alive {
    pub inputs: mpsc::Sender<Input>,
    pub store: Arc<Store>,
    pub board: Board,
    _tasks: JoinSet<()>,
}

pub struct Node {
    pub id: NodeId,
    pub disk: FaultDisk,
    pub store_id: StoreId,
    pub boot: BootId,
    pub alive: Option<Alive>,
    /// Whether it gives others copies of their damaged rows.
    pub gives_copies: bool,
    settings: Settings,
    wire: Wire,
    clock: TestClock,
    home: Home,
}

/// Where a node is.
#[derive(Clone)]
pub struct Home {
    pub region: RegionId,
    pub catalog: Arc<Catalog>,
    /// The logs of all regions, where there are several.
    pub topics: Option<Topics>,
    /// Where links order copies.
    pub copies: mpsc::Sender<CopyOrder>,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            region: RegionId(1),
            catalog: Arc::new(catalog()),
            topics: None,
            copies: mpsc::channel(1).0,
        }
    }
}

impl Node {
    pub fn at(
        id: u64,
        segment_bytes: u64,
        (wire, clock): (&Wire, &TestClock),
        home: &Home,
    ) -> Self {
        Self {
            id: NodeId(id),
            disk: FaultDisk::new(id),
            store_id: StoreId(id * 10),
            boot: BootId(id * 100 + u64::from(home.region.0) * 10_000),
            alive: None,
            gives_copies: true,
            settings: settings(segment_bytes),
            wire: wire.of(&address(NodeId(id)).to_string()),
            clock: clock.clone(),
            home: home.clone(),
        }
    }

    pub fn member(&self) -> Member {
        Member {
            node: self.id,
            store: self.store_id,
            boot: None,
        }
    }

    pub fn alive(&self) -> &Alive {
        self.alive.as_ref().expect("the node runs")
    }

    /// Starts what a node starts of its shards.
    pub async fn start(&mut self, region: &Region) {
        self.boot = BootId(self.boot.0 + 1);
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (store, writer, recovered) =
            Store::open(Arc::clone(&disk), self.settings.clone()).unwrap();
        let (bound, start) = HlcBound::open(disk).unwrap();
        let mut hlc = HlcClock::starting_at(start);
        hlc.observe(store.largest_hlc());
        let me = self.me();
        let (inputs, queue) = mpsc::channel(run::QUEUE_INPUTS);
        let peers = Arc::new(Peers::new(Arc::new(Groups::default()), inputs.clone()));
        let network: Arc<dyn Network> = Arc::new(self.wire.clone());
        let mesh = Arc::new(Mesh::new(me.clone(), Arc::clone(&network), peers.clone()));
        mesh.know(
            (1..=3)
                .map(|id| (NodeId(id), address(NodeId(id)).to_string()))
                .collect::<BTreeMap<_, _>>(),
        );
        let (orders, ordered) = mpsc::unbounded_channel();
        let (proposals, proposed) = mpsc::unbounded_channel();
        let place = Blocking::Inline;
        let ordered = (ordered, snapshots::Progress::default());
        let sending = snapshots::start(Arc::clone(&mesh), &peers, inputs.clone(), ordered, place);
        let repairs = self.repairs(region, &store, (&mesh, &peers));
        let board = Board::default();
        let region_id = self.home.region;
        let links = self.links(&inputs);
        let driver = Driver::new(Parts {
            place: Place {
                region: region_id,
                node: self.id,
                store: self.store_id,
                boot: self.boot,
            },
            writer,
            clock: hlc,
            bound,
            recovered: of_store(&store, recovered.shards, region_id).unwrap(),
            catalog: Arc::clone(&self.home.catalog),
            links,
            outbox: Outbox::new(mesh),
            proposals,
            snapshots: orders,
            now: self.clock.now(),
            board: board.clone(),
            pace: Pace::AtOnce,
            planted: Planted::NONE,
        });
        let listener = network.listen(address(self.id)).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(peer::serve(listener, me, peers).await) });
        tasks.spawn(sending);
        tasks.spawn(repairs.run());
        tasks.spawn(run::inline(driver, queue, clock, |_| {}));
        tasks.spawn(run::tick(inputs.clone()));
        tasks.spawn(region.clone().propose_all(proposed));
        region.follow(self.id, inputs.clone()).await;
        self.alive = Some(Alive {
            inputs,
            store,
            board,
            _tasks: tasks,
        });
    }

    fn me(&self) -> Me {
        let cluster = Membership::default();
        cluster.join(ClusterId(1));
        Me {
            cluster,
            node: self.id,
            boot: self.boot,
            security: crate::security::Security::default(),
        }
    }

    fn links(&self, inputs: &mpsc::Sender<Input>) -> LinkParts {
        let logs = self.home.topics.clone().map(|topics| {
            let logs = MemoryLogs {
                own: self.home.region,
                topics,
                inputs: inputs.clone(),
                clock: Arc::new(self.clock.clone()),
            };
            Arc::new(logs) as Arc<dyn RegionLogs>
        });
        LinkParts {
            cluster: ClusterId(1),
            logs,
            board: LinkBoard::default(),
            copies: self.home.copies.clone(),
            confirmations: Confirmations::default(),
        }
    }

    fn repairs(
        &self,
        region: &Region,
        store: &Arc<Store>,
        (mesh, peers): (&Arc<Mesh>, &Arc<Peers>),
    ) -> Repairs {
        let place = Blocking::Inline;
        if self.gives_copies {
            let taken = TakenRepairs::new(Arc::clone(store), place);
            peers.offer(Call::Repair, Arc::new(taken));
        }
        let members = region.members_but(self.id);
        Repairs::new(Arc::clone(store), Arc::clone(mesh), members, place)
    }

    /// The machine loses power.
    pub fn crash(&mut self) {
        self.stop();
        self.disk.crash();
    }

    fn stop(&mut self) {
        self.wire.cut(&address(self.id).to_string());
        self.alive = None;
        self.disk.clear_faults();
    }

    /// An empty disk takes the place of the old one.
    pub fn wipe(&mut self) {
        self.stop();
        self.store_id = StoreId(self.store_id.0 + 1);
        self.disk = FaultDisk::new(self.store_id.0);
    }

    /// All rows of the shard as they lie in the store, by hash.
    pub fn rows(&self) -> BTreeMap<u64, Vec<u8>> {
        let mut rows = BTreeMap::new();
        let Ok(mut reader) = self.alive().store.snapshot(SHARD) else {
            return rows;
        };
        while let Some(chunk) = reader.next_chunk(1 << 20).unwrap() {
            if let SnapshotChunk::Rows(of_chunk) = SnapshotChunk::parse(&chunk).unwrap() {
                let found = of_chunk.iter().map(|row| row.unwrap());
                rows.extend(found.map(|(hash, record)| (hash, record.bytes().to_vec())));
            }
        }
        rows
    }

    /// How far another region's stream is, and all rows, as a copy has them.
    pub fn copy_of(&self, origin: RegionId) -> (StreamMark, Bytes, Vec<u8>) {
        let store = &self.alive().store;
        let stream = (origin, PlacementId(0));
        let mark = store.stream(SHARD, stream).unwrap();
        let mark = StreamMark {
            reached: Reached {
                incarnation: mark.incarnation,
                sequence: mark.sequence,
            },
            hlc: mark.hlc,
            position: store.applied(SHARD).0,
        };
        let start = store.start(SHARD, stream).unwrap();
        (mark, start, self.rows().into_values().flatten().collect())
    }

    /// What is acknowledged in another region before this time is here, as far as this node knows.
    pub fn complete_at(&self, origin: RegionId) -> Option<Micros> {
        let standings = self.alive().board.read();
        let mut origins = standings.get(&SHARD)?.origins.iter();
        let (_, complete_at) = origins.find(|(other, _)| *other == origin)?;
        *complete_at
    }

    /// Whether it tells the controller that its disk lost something of the shard.
    pub async fn reports_damage(&self) -> bool {
        let (asker, report) = oneshot::channel();
        self.alive()
            .inputs
            .send(Input::Report(asker))
            .await
            .unwrap();
        let report = report.await.unwrap();
        report.shards.iter().any(|shard| shard.is_damaged)
    }

    /// What a lookup finds of a customer's facts.
    pub fn read(&self, customer: i64) -> RowState {
        let row = self.row_of(customer);
        let plans = [Plan {
            view: row.view,
            copy: Copy::Record,
        }];
        let requests = [ReadRequest {
            shard: SHARD,
            plan: 0,
            hash: row.hash.with_view(row.view),
            key: row.key.as_bytes(),
        }];
        let mut staging = Staging::new();
        self.alive()
            .store
            .read_batch(&requests, &plans, &mut staging);
        staging.rows()[0].state
    }

    fn row_of(&self, customer: i64) -> WriteRow {
        row(&catalog(), "facts", customer, 0, set(&[]))
    }

    /// Flips a bit of each of some customers' rows wherever they lie on the disk.
    pub fn rot_rows(&self, customers: &[i64]) {
        let rows = self.rows();
        for customer in customers {
            let row = self.row_of(*customer);
            self.rot(&rows[&row.hash.with_view(row.view)]);
        }
    }

    fn rot(&self, record: &[u8]) {
        for (name, size) in self.disk.files() {
            let mut bytes = vec![0; size as usize];
            let file = self.disk.open(&name).unwrap();
            file.read_at(0, &mut bytes).unwrap();
            let at = bytes
                .windows(record.len())
                .position(|window| window == record);
            if let Some(at) = at {
                self.disk.flip_bit(&name, at as u64 + 60, 0);
            }
        }
    }

    /// Whether its shard was brought by a snapshot, and not by its log alone.
    pub fn began_from_a_snapshot(&self) -> bool {
        let files = self.disk.files();
        files.iter().any(|(name, _)| name.ends_with(".carried"))
    }

    /// Has the store do all its upkeep.
    pub fn keep(&self) {
        let store = &self.alive().store;
        while store.hint_step().unwrap() {}
        while !store.compact_step(1 << 20).unwrap().is_idle {}
    }
}

fn settings(segment_bytes: u64) -> Settings {
    Settings {
        segment_bytes,
        spares: 1,
        tail_bytes: 4 << 10,
        ..Settings::default()
    }
}

fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node.0 as u8], 6572))
}
