//! The load of a run: clients of every kind on a runtime of their own, which write one history and
//! one list of lookups.
//!
//! | client | does |
//! |---|---|
//! | `mixed` | partial writes, deletions, lookups with and without tokens, through all gateways |
//! | `steady` | writes one row of each shard over and over: the write gap |
//! | `patient` | writes through one gateway and waits for it, also while it stands still |
//! | [`bulk`] | looks up rows that were loaded before, whose values it knows |

pub mod bulk;
mod mixed;
mod patient;
mod shared;
mod steady;

pub use shared::Shared;

use crate::{
    clock::Clock,
    cluster::{Cluster, Node},
    judge::{Asked, Beat, Gap, longest_gap},
};
use anyhow::{Context as _, Result, anyhow, bail};
use bulk::Bulk;
use proto::id::{ClusterId, EntityId, ViewId};
use sim::{
    history::{Event, FORMAT, Header, History, Limits, Micros, Recorder, Wanted},
    workload::{Generator, Probe, Settings},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle, time::timeout};

/// The ids are the history's own: nothing compares them with the cluster's.
const PROBE: Probe = Probe {
    entity: EntityId(1),
    state: ViewId(1),
    notes: ViewId(2),
    ttl: Duration::from_mins(1),
};
/// How far, in microseconds, the wall clock may move against the monotonic one within a run.
const CLOCK_ERROR: u64 = 100_000;
/// How long clients may take to come to their end.
const END_WITHIN: Duration = Duration::from_secs(120);
/// How long a final read may take.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// Rows of one final read.
const ROWS_PER_READ: usize = 1_000;

/// How much load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What clients draw from.
    pub seed: u64,
    /// Mixed clients of each gateway.
    pub mixed: u64,
    /// Patient writers of each gateway.
    pub patient: u64,
    /// Probes that mixed and patient clients share.
    pub probes: u64,
    /// Pause of a mixed client between two calls, at most.
    pub pause: Duration,
    /// Rows that are loaded before.
    pub bulk_rows: u64,
    /// Readers of these rows of each gateway.
    pub readers: u64,
}

impl Plan {
    fn settings(&self) -> Settings {
        Settings {
            probes: self.probes,
            ..Settings::default()
        }
    }
}

/// See the module.
pub struct Load {
    // Tasks end before the runtime does.
    tasks: Vec<JoinHandle<Result<()>>>,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
    /// A row in each shard.
    steady: Vec<u64>,
    runtime: Runtime,
}

impl Load {
    /// Defines the views, loads the bulk, finds a row in each shard. No client runs yet.
    pub fn prepare(plan: Plan, cluster: &Cluster, clock: Clock) -> Result<Self> {
        cluster
            .apply(0, &PROBE.definition())
            .context("define the probes")?;
        let bulk = Bulk::load(cluster, plan.bulk_rows).context("load rows")?;
        let state = cluster.state()?;
        let id = state.cluster.parse::<ClusterId>();
        let id = id.with_context(|| format!("{:?} is no cluster id", state.cluster))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let addresses = cluster.nodes().iter().map(Node::grpc_address);
        let running = (0..cluster.nodes().len()).filter(|place| cluster.runs(*place));
        let recorder = Recorder::new(header(plan.seed, id, &clock), Limits::default());
        let (stop, stopped) = watch::channel(false);
        let shared = Shared::new(
            plan,
            (addresses.collect(), running.count()),
            (recorder, clock, id),
            bulk,
            stopped,
        );
        let shared = Arc::new(shared);
        let shards = cluster.shape().shards;
        let finding = steady::find_rows(&shared, shards);
        let steady = runtime
            .block_on(finding)
            .context("find a row in each shard")?;
        Ok(Self {
            tasks: Vec::new(),
            stop,
            shared,
            steady,
            runtime,
        })
    }

    /// Starts all clients.
    pub fn start(&mut self) {
        let plan = self.shared.plan;
        for gateway in 0..self.shared.gateways() {
            for number in 0..plan.mixed {
                self.spawn(|shared| mixed::run(shared, gateway, number));
            }
            for number in 0..plan.patient {
                self.spawn(|shared| patient::run(shared, gateway, number));
            }
            for number in 0..plan.readers {
                self.spawn(|shared| bulk::run(shared, gateway, number));
            }
        }
        for (place, row) in self.steady.clone().into_iter().enumerate() {
            self.spawn(|shared| steady::run(shared, place, row));
        }
    }

    fn spawn<F: Future<Output = Result<()>> + Send + 'static>(
        &mut self,
        client: impl FnOnce(Arc<Shared>) -> F,
    ) {
        let client = client(Arc::clone(&self.shared));
        self.tasks.push(self.runtime.spawn(client));
    }

    /// Lets all clients finish what they began.
    pub fn stop(&mut self) -> Result<()> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut self.tasks);
        self.runtime.block_on(async {
            for task in tasks {
                match timeout(END_WITHIN, task).await {
                    Ok(ended) => ended.context("a client of the load panicked")??,
                    Err(_) => bail!("a client of the load did not end in {END_WITHIN:?}"),
                }
            }
            Ok(())
        })
    }

    /// Reads every row that clients wrote through one gateway, for the judge.
    pub fn read_back(&self, gateway: usize, name: &str) -> Result<()> {
        let mut rows: Vec<Wanted> = Generator::every_row(&PROBE, &self.shared.plan.settings());
        let steady = self.steady.iter();
        rows.extend(steady.map(|row| PROBE.whole_row(steady::VIEW, *row)));
        self.runtime.block_on(async {
            let mut caller = self.shared.caller(gateway, "the end")?;
            for some in rows.chunks(ROWS_PER_READ) {
                let reading = caller.read_at_the_end(some, name, READ_WITHIN);
                reading.await.map_err(|why| anyhow!(why))?;
            }
            Ok(())
        })
    }

    /// Reads every row of the bulk through one gateway; what is wrong with it.
    pub fn read_bulk(&self, gateway: usize) -> Result<Vec<String>> {
        self.runtime.block_on(bulk::read_all(&self.shared, gateway))
    }

    /// Puts a remark for people into the history.
    pub fn note(&self, text: &str) -> Result<()> {
        let now = self.shared.clock.now();
        let noted = self
            .shared
            .recorder
            .event(now, Event::Note(text.to_owned()));
        Ok(noted?)
    }

    /// What clients saw so far.
    #[must_use]
    pub fn history(&self) -> History {
        self.shared.recorder.snapshot()
    }

    /// Every lookup so far.
    #[must_use]
    pub fn lookups(&self) -> Vec<Asked> {
        self.shared.lookups()
    }

    /// The acknowledgements of the steady writers so far; there is one writer for each shard, by its number.
    #[must_use]
    pub fn beats(&self) -> Vec<Beat> {
        self.shared.beats()
    }

    /// How long the steady writers' writes took that were acknowledged in the given time.
    #[must_use]
    pub fn writes(&self, from: Micros, to: Micros) -> Vec<Duration> {
        let beats = self.shared.beats().into_iter();
        let within = beats.filter(|beat| beat.at >= from && beat.at < to);
        within
            .map(|beat| Duration::from_micros(beat.at.0.saturating_sub(beat.issued.0)))
            .collect()
    }

    /// The longest time without an acknowledged write of some shard, of what overlaps the given
    /// time.
    #[must_use]
    pub fn longest_gap(&self, from: Micros, to: Micros) -> Gap {
        longest_gap(&self.shared.beats(), self.steady.len(), from, to)
    }
}

fn header(seed: u64, cluster: ClusterId, clock: &Clock) -> Header {
    Header {
        format: FORMAT,
        title: "a region of real processes".into(),
        seed,
        cluster,
        regions: 1,
        wall_at_start: clock.wall_at_start(),
        clock_error: CLOCK_ERROR,
        views: PROBE.rules(),
    }
}
