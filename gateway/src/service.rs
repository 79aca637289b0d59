//! One gateway: what the gRPC and HTTP edges call, with time and counts taken around it.

use crate::{
    access::{Caller, Guard, Right},
    admission::{
        Gate, Rooms,
        quota::{Quotas, Unit},
    },
    catalog::{Catalog, Catalogs},
    cluster::Cluster,
    edge::{Clock, Deadline, Randomness},
    failure::Failure,
    http::FeastSettings,
    lookup::{LookedUp, Lookups, Selection, fetch::Replicas},
    metrics::{Method, Metrics},
    registry::Registry,
    scan::{Scan, Scanner},
    slow::SlowLog,
    trace::Trace,
    write::{Writes, writer::Writer},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use prost::Message;
use proto::{reason::Reason, request::Rejection, time::EventTime};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use wire::twin::{self, lookup_request::Select};

/// How long a call without a deadline may take, unless it is set otherwise.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// From what time on a lookup is logged as slow, unless it is set otherwise.
const SLOW_LOOKUP: Duration = Duration::from_millis(100);

/// Whether the process may take traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It may.
    Ready,
    /// It may not, and why.
    NotReady(String),
}

impl Readiness {
    /// Fails where traffic may not come.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Ready => Ok(()),
            Self::NotReady(why) => Err(Failure::new(Reason::NotReady, why.clone())),
        }
    }
}

/// Whether clients' lookups and writes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// They are.
    Served,
    /// They are sent elsewhere: the process has another role. Definitions and administration are not.
    SentElsewhere,
}

impl Clients {
    /// Fails where lookups and writes are not taken.
    pub fn check(self) -> Result<(), Failure> {
        match self {
            Self::Served => Ok(()),
            Self::SentElsewhere => Err(Failure::new(
                Reason::NotAGateway,
                "this process does not have the role gateway (node.roles in its settings); send lookups and writes to one that has: `atoll status` names them",
            )),
        }
    }
}

/// What a user chooses.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether clients' lookups and writes are taken.
    pub clients: Clients,
    /// How long a call without a deadline may take.
    pub default_deadline: Duration,
    /// How Feast's clients are answered.
    pub feast: FeastSettings,
    /// From what time on a lookup is logged as slow; none is where there is nothing here.
    pub slow_lookup: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: Clients::Served,
            default_deadline: DEFAULT_DEADLINE,
            feast: FeastSettings::default(),
            slow_lookup: Some(SLOW_LOOKUP),
        }
    }
}

/// What a gateway is made of.
pub struct Parts {
    /// The region's name.
    pub region: String,
    /// Where definitions come from.
    pub catalogs: Arc<dyn Catalogs>,
    /// Where rows are read.
    pub replicas: Arc<dyn Replicas>,
    /// Where rows are written.
    pub writer: Arc<dyn Writer>,
    /// Where whole views are read.
    pub scanner: Arc<dyn Scanner>,
    /// Where definitions are changed.
    pub registry: Arc<dyn Registry>,
    /// Where the cluster is told about.
    pub cluster: Arc<dyn Cluster>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub randomness: Arc<dyn Randomness>,
    /// Who may call.
    pub guard: Guard,
    /// Whether traffic may come.
    pub readiness: watch::Receiver<Readiness>,
    /// The process's metrics, before the gateway registers its own.
    pub metrics: prometheus_client::registry::Registry,
    /// What the user chose.
    pub settings: Settings,
}

/// One gateway.
pub struct Gateway {
    catalogs: Arc<dyn Catalogs>,
    lookups: Lookups,
    writes: Writes,
    scanner: Arc<dyn Scanner>,
    registry: Arc<dyn Registry>,
    cluster: Arc<dyn Cluster>,
    clock: Arc<dyn Clock>,
    guard: Guard,
    gate: Arc<Gate>,
    quotas: Quotas,
    slow: SlowLog,
    readiness: watch::Receiver<Readiness>,
    metrics: Metrics,
    all_metrics: prometheus_client::registry::Registry,
    settings: Settings,
}

impl Gateway {
    /// Puts a gateway together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            region,
            catalogs,
            replicas,
            writer,
            scanner,
            registry,
            cluster,
            clock,
            randomness,
            guard,
            readiness,
            settings,
            ..
        } = parts;
        let mut all_metrics = parts.metrics;
        let metrics = Metrics::register(&mut all_metrics);
        let gate = Gate::new(Arc::clone(&clock), metrics.refusals());
        all_metrics.register_collector(Box::new(Rooms(Arc::clone(&gate))));
        let slow = SlowLog::new(settings.slow_lookup, Arc::clone(&clock));
        Self {
            catalogs,
            lookups: Lookups::new(replicas, Arc::clone(&clock), region.clone()),
            writes: Writes::new(writer, Arc::clone(&clock), randomness, region),
            scanner,
            registry,
            cluster,
            clock,
            guard,
            gate,
            quotas: Quotas::default(),
            slow,
            readiness,
            metrics,
            all_metrics,
            settings,
        }
    }

    /// The newest definitions, for clients' lookups and writes: fails where these are sent elsewhere.
    pub fn catalog(&self) -> Result<Arc<Catalog>, Failure> {
        self.settings.clients.check()?;
        self.catalogs.current()
    }

    /// The numbers that a user tuned.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Microseconds since 1970, as this process believes.
    pub(crate) fn wall_micros(&self) -> u64 {
        self.clock.wall_micros()
    }

    /// Which features a lookup would read.
    pub(crate) fn select(
        &self,
        project: &str,
        select: Option<&Select>,
    ) -> Result<Arc<Selection>, Failure> {
        self.lookups.select(&*self.catalog()?, project, select)
    }

    /// Who may call.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Who may come in now.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Calls about definitions.
    #[must_use]
    pub fn registry(&self) -> &dyn Registry {
        &*self.registry
    }

    /// Calls about the cluster.
    #[must_use]
    pub fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    /// Whether traffic may come.
    #[must_use]
    pub fn readiness(&self) -> &watch::Receiver<Readiness> {
        &self.readiness
    }

    /// All metrics of the process as Prometheus text.
    pub fn metrics_text(&self) -> Result<String, std::fmt::Error> {
        crate::metrics::text(&self.all_metrics)
    }

    /// Whether clients' lookups and writes are taken.
    #[must_use]
    pub fn clients(&self) -> Clients {
        self.settings.clients
    }

    /// Answers a lookup.
    pub async fn lookup(
        &self,
        caller: &Caller,
        request: &twin::LookupRequest,
        timeout: Option<Duration>,
    ) -> Result<twin::LookupResponse, Failure> {
        caller.may(Right::Read, &request.project)?;
        let started = self.clock.monotonic_micros();
        let answer = match self.catalog() {
            Ok(catalog) => {
                let within = (self.deadline(timeout), caller.trace());
                self.look_up(&catalog, request, within).await
            }
            Err(failure) => Err(failure),
        };
        self.metrics.answered(Method::Lookup, &answer);
        let took = self.since(started);
        let LookedUp {
            answer,
            selection,
            course,
            ages,
        } = answer.inspect_err(|failure| {
            self.slow
                .note((request, caller.trace()), took, Err(failure));
        })?;
        // Names that callers make up would become labels; those of services are the registry's.
        let service = match &request.select {
            Some(Select::Service(name)) => name,
            Some(Select::Features(_)) | None => "",
        };
        self.metrics.looked_up(&request.project, service, took);
        let totals = self.metrics.served(&selection, &answer);
        self.metrics.served_ages(&selection, &ages);
        let came = Ok((&course, totals));
        self.slow.note((request, caller.trace()), took, came);
        Ok(answer)
    }

    /// Takes a write, without the rows that the edge `set_aside`.
    pub async fn write(
        &self,
        caller: &Caller,
        request: &twin::WriteRequest,
        set_aside: Vec<Rejection>,
        timeout: Option<Duration>,
    ) -> Result<twin::WriteResponse, Failure> {
        caller.may(Right::Write, &request.project)?;
        let started = self.clock.monotonic_micros();
        let answer = match self.catalog() {
            Ok(catalog) => {
                let write = self
                    .writes
                    .write(&catalog, request, set_aside, self.deadline(timeout));
                self.within_quota(&catalog, (&request.project, request), write)
                    .await
            }
            Err(failure) => Err(failure),
        };
        self.metrics.answered(Method::Write, &answer);
        self.count_written(started, answer)
    }

    /// Takes a deletion, without the rows that the edge `set_aside`.
    pub async fn delete(
        &self,
        caller: &Caller,
        request: &twin::DeleteRequest,
        set_aside: Vec<Rejection>,
        timeout: Option<Duration>,
    ) -> Result<twin::WriteResponse, Failure> {
        caller.may(Right::Write, &request.project)?;
        let started = self.clock.monotonic_micros();
        let answer = match self.catalog() {
            Ok(catalog) => {
                let delete =
                    self.writes
                        .delete(&catalog, request, set_aside, self.deadline(timeout));
                self.within_quota(&catalog, (&request.project, request), delete)
                    .await
            }
            Err(failure) => Err(failure),
        };
        self.metrics.answered(Method::Delete, &answer);
        self.count_written(started, answer)
    }

    /// Scans one part of a view's rows.
    pub async fn scan(
        &self,
        caller: &Caller,
        request: &twin::ScanRequest,
    ) -> Result<BoxStream<'static, Result<twin::ScanPage, Failure>>, Failure> {
        caller.may(Right::Read, &request.project)?;
        let now = EventTime::saturating(self.clock.wall_micros());
        let catalog = self.catalog()?;
        let scan = Scan::begin(&catalog, request, Arc::clone(&self.scanner), now).await?;
        let pages = stream::unfold(Some(scan), |scan| async move {
            let mut scan = scan?;
            match scan.next().await {
                Ok(page) => Some((Ok(page?), Some(scan))),
                Err(failure) => Some((Err(failure), None)),
            }
        });
        Ok(pages.boxed())
    }

    async fn look_up(
        &self,
        catalog: &Catalog,
        request: &twin::LookupRequest,
        within: (Deadline, Option<Trace>),
    ) -> Result<LookedUp, Failure> {
        let Some(project) = catalog.limited(&request.project) else {
            return self.lookups.lookup(catalog, request, within).await;
        };
        let (now, gateways) = (self.clock.monotonic_micros(), self.cluster.gateways());
        let units = [Unit::Lookups, Unit::Bytes];
        self.quotas.check(project, &units, now, gateways)?;
        // A lookup is one whatever comes of it: those that fail cost as much.
        self.quotas.take(project, &[(Unit::Lookups, 1)]);
        let answer = self.lookups.lookup(catalog, request, within).await?;
        let bytes = answer.answer.encoded_len() as u64;
        self.quotas.take(project, &[(Unit::Bytes, bytes)]);
        Ok(answer)
    }

    /// Takes a write's rows and bytes from the quota of its project.
    async fn within_quota(
        &self,
        catalog: &Catalog,
        (project, request): (&str, &impl Message),
        write: impl Future<Output = Result<twin::WriteResponse, Failure>>,
    ) -> Result<twin::WriteResponse, Failure> {
        let Some(project) = catalog.limited(project) else {
            return write.await;
        };
        let (now, gateways) = (self.clock.monotonic_micros(), self.cluster.gateways());
        let units = [Unit::Rows, Unit::Bytes];
        self.quotas.check(project, &units, now, gateways)?;
        let bytes = request.encoded_len() as u64;
        self.quotas.take(project, &[(Unit::Bytes, bytes)]);
        let answer = write.await?;
        let rows = answer.accepted + (answer.rejected.len() + answer.unknown.len()) as u64;
        self.quotas.take(project, &[(Unit::Rows, rows)]);
        Ok(answer)
    }

    fn count_written(
        &self,
        started: u64,
        answer: Result<twin::WriteResponse, Failure>,
    ) -> Result<twin::WriteResponse, Failure> {
        let answer = answer?;
        self.metrics.wrote(&answer, self.since(started));
        Ok(answer)
    }

    fn since(&self, started: u64) -> Duration {
        Duration::from_micros(self.clock.monotonic_micros().saturating_sub(started))
    }

    /// The caller's deadline, less a little: what came until then must still travel back.
    fn deadline(&self, timeout: Option<Duration>) -> Deadline {
        let timeout = timeout.unwrap_or(self.settings.default_deadline);
        let way_back = (timeout / 10).min(Duration::from_millis(5));
        Deadline::after(&*self.clock, timeout.saturating_sub(way_back))
    }

    /// Fails where traffic may not come.
    pub fn check_ready(&self) -> Result<(), Failure> {
        self.readiness.borrow().check()
    }
}
