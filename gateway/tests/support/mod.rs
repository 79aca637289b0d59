//! A gateway over rows in memory: real rows, real merges, one process, no node.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod catalog;
pub mod clients;
pub mod openapi;
pub mod rows;

use gateway::{
    Gateway, Parts, Readiness, Settings,
    access::{Caller, Guard},
    catalog::{Catalog, Catalogs},
    cluster::Cluster,
    edge::{Clock, Randomness},
    failure::Failure,
    http::FeastSettings,
    registry::Registry,
};
use parking_lot::Mutex;
use proto::reason::Reason;
use rows::Rows;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;
use wire::v1;

/// The wall clock when a test begins: 2026-11-20T10:00:00Z.
pub const START_MICROS: u64 = 1_795_168_800_000_000;
pub const SECOND: u64 = 1_000_000;

/// Everything a test can touch.
pub struct World {
    pub gateway: Arc<Gateway>,
    pub rows: Arc<Rows>,
    pub clock: Arc<TestClock>,
    pub catalog: Arc<TestCatalog>,
    pub readiness: watch::Sender<Readiness>,
}

pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn set(&self, wall_micros: u64) {
        self.0.store(wall_micros, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn monotonic_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn wall_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counting(AtomicU64);

impl Randomness for Counting {
    fn random_u128(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) << 32
    }
}

pub struct TestCatalog(Mutex<Option<Arc<Catalog>>>);

impl TestCatalog {
    /// Forgets everything, as before a cluster is founded.
    pub fn clear(&self) {
        *self.0.lock() = None;
    }

    pub fn put(&self, catalog: Catalog) {
        *self.0.lock() = Some(Arc::new(catalog));
    }
}

impl Catalogs for TestCatalog {
    fn current(&self) -> Result<Arc<Catalog>, Failure> {
        let founded = self.0.lock().clone();
        founded.ok_or_else(|| Failure::new(Reason::NotReady, "there is no cluster yet"))
    }
}

/// No shard can be scanned: how a refusal passes through the gateway.
struct NoRows;

#[tonic::async_trait]
impl gateway::scan::Scanner for NoRows {
    async fn scan(
        &self,
        _: proto::id::ViewId,
        shard: proto::id::ShardId,
    ) -> Result<Box<dyn gateway::scan::Records>, Failure> {
        let message = format!("shard {shard} cannot be scanned now");
        Err(Failure::new(Reason::NoPrimary, message))
    }

    fn schemas(&self) -> Arc<dyn proto::schema::Schemas + Send + Sync> {
        Arc::new(proto::schema::SchemaMap::default())
    }
}

/// A registry that keeps the last applied texts: what passes through the gateway is its subject.
struct Echo;

#[tonic::async_trait]
impl Registry for Echo {
    async fn plan(
        &self,
        _: &Caller,
        request: v1::PlanRequest,
    ) -> Result<v1::PlanResponse, Failure> {
        let changes = request.files.into_iter().map(|file| v1::Change {
            action: v1::ChangeAction::Create.into(),
            object: file.name,
            ..Default::default()
        });
        Ok(v1::PlanResponse {
            base_revision: 1,
            changes: changes.collect(),
            ..Default::default()
        })
    }

    async fn apply(
        &self,
        _: &Caller,
        request: v1::ApplyRequest,
    ) -> Result<v1::ApplyResponse, Failure> {
        if request
            .expect_revision
            .is_some_and(|revision| revision != 1)
        {
            return Err(Failure::new(
                Reason::RevisionChanged,
                "the registry is at revision 1; plan again",
            ));
        }
        Ok(v1::ApplyResponse {
            revision: 2,
            changes: Vec::new(),
        })
    }

    async fn get(
        &self,
        _: &Caller,
        request: v1::GetRequest,
    ) -> Result<v1::RegistryObject, Failure> {
        Err(Failure::new(
            Reason::UnknownView,
            format!("there is no {}", request.name),
        ))
    }

    async fn list(&self, _: &Caller, _: v1::ListRequest) -> Result<v1::ListResponse, Failure> {
        Ok(v1::ListResponse {
            revision: 1,
            objects: Vec::new(),
        })
    }

    async fn history(&self, _: v1::HistoryRequest) -> Result<v1::HistoryResponse, Failure> {
        Ok(v1::HistoryResponse {
            entries: Vec::new(),
        })
    }

    async fn rollback(
        &self,
        _: &Caller,
        request: v1::RollbackRequest,
    ) -> Result<v1::ApplyResponse, Failure> {
        Ok(v1::ApplyResponse {
            revision: request.revision,
            changes: Vec::new(),
        })
    }

    async fn plan_rollback(
        &self,
        request: v1::RollbackRequest,
    ) -> Result<v1::PlanResponse, Failure> {
        Ok(v1::PlanResponse {
            base_revision: request.revision,
            ..Default::default()
        })
    }

    fn watch(
        &self,
        request: v1::WatchRequest,
    ) -> futures::stream::BoxStream<'static, v1::RevisionNotice> {
        let notice = v1::RevisionNotice {
            revision: request.after_revision + 1,
        };
        Box::pin(futures::stream::iter([notice]))
    }
}

/// A cluster of one node with one shard.
struct Alone;

#[tonic::async_trait]
impl Cluster for Alone {
    async fn status(&self, _: v1::StatusRequest) -> Result<v1::StatusResponse, Failure> {
        let node = v1::NodeStatus {
            name: "eu-1".into(),
            roles: vec!["node".into(), "gateway".into()],
            reachable: true,
            primaries: 1,
            age_seconds: Some(0.25),
            ..Default::default()
        };
        let group = v1::GroupStatus {
            group: "global".into(),
            ..Default::default()
        };
        Ok(v1::StatusResponse {
            cluster_name: "shop-prod".into(),
            region: "eu".into(),
            nodes: vec![node],
            groups: vec![group],
            warnings: vec!["1 voter".into()],
            shards: 1,
            ..Default::default()
        })
    }

    async fn shards(&self, _: v1::ShardsRequest) -> Result<v1::ShardsResponse, Failure> {
        let replica = v1::ReplicaStatus {
            node: "eu-1".into(),
            role: "primary".into(),
            in_sync: true,
            position: None,
        };
        let shard = v1::ShardStatus {
            primary: "eu-1".into(),
            replicas: vec![replica],
            committed: Some(7),
            ..Default::default()
        };
        Ok(v1::ShardsResponse {
            revision: 3,
            shards: vec![shard],
        })
    }

    async fn lag(&self, _: v1::LagRequest) -> Result<v1::LagResponse, Failure> {
        let own = v1::OriginLag {
            origin: "eu".into(),
            micros: Some(250_000),
            ..Default::default()
        };
        let other = v1::OriginLag {
            origin: "us".into(),
            links: vec![v1::LinkCount {
                state: "replay".into(),
                shards: 1,
            }],
            ..Default::default()
        };
        Ok(v1::LagResponse {
            region: "eu".into(),
            origins: vec![own, other],
            ..Default::default()
        })
    }

    fn gateways(&self) -> usize {
        1
    }

    fn regions(&self) -> Result<v1::ListRegionsResponse, Failure> {
        let gateway = v1::GatewayAddress {
            node: "eu-1".into(),
            reachable: Some(true),
            ..Default::default()
        };
        let region = v1::RegionStatus {
            name: "eu".into(),
            state: "active".into(),
            copies: 2,
            gateways: vec![gateway],
            ..Default::default()
        };
        Ok(v1::ListRegionsResponse {
            regions: vec![region],
            ..Default::default()
        })
    }
}

impl World {
    /// The shop of [`catalog::shop`], empty.
    pub fn new() -> Self {
        Self::with(catalog::shop())
    }

    pub fn with(catalog: Catalog) -> Self {
        Self::with_feast(catalog, FeastSettings::default())
    }

    pub fn with_feast(catalog: Catalog, feast: FeastSettings) -> Self {
        Self::with_settings(
            catalog,
            Settings {
                feast,
                ..Settings::default()
            },
        )
    }

    pub fn with_settings(catalog: Catalog, settings: Settings) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(START_MICROS)));
        let catalog = Arc::new(TestCatalog(Mutex::new(Some(Arc::new(catalog)))));
        let rows = Arc::new(Rows::new(Arc::clone(&catalog), Arc::clone(&clock)));
        let (readiness, follows) = watch::channel(Readiness::Ready);
        let gateway = Arc::new(Gateway::new(Parts {
            region: "eu".into(),
            catalogs: Arc::clone(&catalog) as Arc<dyn Catalogs>,
            replicas: Arc::clone(&rows) as Arc<dyn gateway::lookup::fetch::Replicas>,
            writer: Arc::clone(&rows) as Arc<dyn gateway::write::writer::Writer>,
            scanner: Arc::new(NoRows),
            registry: Arc::new(Echo),
            cluster: Arc::new(Alone),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            randomness: Arc::new(Counting(AtomicU64::new(1))),
            guard: Guard::open(Arc::clone(&clock) as Arc<dyn Clock>),
            readiness: follows,
            metrics: prometheus_client::registry::Registry::default(),
            settings,
        }));
        Self {
            gateway,
            rows,
            clock,
            catalog,
            readiness,
        }
    }
}
