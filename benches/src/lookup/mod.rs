//! The feed lookup over gRPC: one customer and 50 articles of 58 features, answered by a node that
//! is a whole cluster and by a gateway apart from three nodes with two copies, beside a server that
//! returns the same bytes from memory.
//!
//! Servers run in processes of their own, so their CPU is theirs alone. All answer the same calls
//! of the same client; a round measures each in turn, so what else the machine does meets all.

mod client;
mod connection;
mod dataset;
mod raw;
mod region;

pub mod overload;
pub mod server;

use crate::figure::{Figure, Latencies, each, times};
use anyhow::ensure;
use bytes::Bytes;
use client::{Caller, Load, Pace};
use dataset::{Dataset, Form};
use server::Process;
use std::{path::Path, time::Duration};
use tokio::runtime::Runtime;

/// Rounds of each measurement; each takes its share of the window.
const ROUNDS: u32 = 3;
/// Requests in a second at the steady rate.
const STEADY_RATE: u32 = 400;
/// Before a measurement, so that connections, caches and the plan are there.
const WARM_UP: Duration = Duration::from_millis(300);
const PACES: [(Pace, &str); 2] = [
    (Pace::Steady(STEADY_RATE), "at a steady rate"),
    (Pace::Saturating, "saturated"),
];

/// One server under one form of request, and what was measured of it.
struct Contender {
    what: &'static str,
    caller: Caller,
    /// The process that is called.
    called: usize,
    /// Processes that it calls in turn.
    behind: Vec<usize>,
    measured: [Measured; PACES.len()],
}

#[derive(Default)]
struct Measured {
    latencies: Latencies,
    time: Duration,
    called: Duration,
    behind: Duration,
}

/// A cluster that answers: its processes, as numbers, and its rows.
struct Cluster {
    called: usize,
    behind: Vec<usize>,
    data: Dataset,
}

/// Measures the lookup in both forms.
pub fn measure(window: Duration) -> anyhow::Result<Vec<Figure>> {
    let scratch = tempfile::Builder::new()
        .prefix("atoll-benches-")
        .tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut processes = vec![Process::node(&scratch.path().join("node"))?];
    let alone = Cluster {
        called: 0,
        behind: vec![],
        data: runtime.block_on(Dataset::load(processes[0].address()))?,
    };
    processes.extend(region::start(&scratch.path().join("region"))?);
    let gateway = processes.len() - 1;
    let address = processes[gateway].address();
    runtime.block_on(region::wait_whole(address))?;
    let apart = Cluster {
        called: gateway,
        behind: (1..gateway).collect(),
        data: runtime.block_on(Dataset::load(address))?,
    };
    let mut contenders = Vec::new();
    for form in [Form::Sdk, Form::Plain] {
        let [null, one, region] = names(form);
        let one = answering(&runtime, &processes, &alone, form, one)?;
        let region = answering(&runtime, &processes, &apart, form, region)?;
        let answer = runtime.block_on(one.caller.one())?;
        println!("{}: answer {} bytes", one.what, answer.len());
        let path = scratch.path().join(format!("answer-{}", processes.len()));
        processes.push(null_server(&path, &answer)?);
        let called = processes.len() - 1;
        let requests = alone.data.requests(form);
        let caller = Caller::new(processes[called].address(), requests);
        contenders.push(Contender::new(
            null,
            runtime.block_on(caller)?,
            (called, &[]),
        ));
        contenders.extend([one, region]);
    }
    println!();
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.round(&runtime, &mut processes, window / ROUNDS)?;
        }
    }
    ensure!(
        contenders
            .iter()
            .all(|it| it.measured[0].latencies.count() > 0),
        "no lookup was answered"
    );
    Ok(figures(&contenders))
}

const fn names(form: Form) -> [&'static str; 3] {
    match form {
        Form::Sdk => [
            "null server, SDK form",
            "lookup, SDK form",
            "lookup, SDK form, gateway apart",
        ],
        Form::Plain => [
            "null server, plain form",
            "lookup, plain form",
            "lookup, plain form, gateway apart",
        ],
    }
}

/// A cluster that is seen to answer with all values.
fn answering(
    runtime: &Runtime,
    processes: &[Process],
    cluster: &Cluster,
    form: Form,
    what: &'static str,
) -> anyhow::Result<Contender> {
    let address = processes[cluster.called].address();
    let caller = runtime.block_on(Caller::new(address, cluster.data.requests(form)))?;
    dataset::check(&runtime.block_on(caller.one())?)?;
    Ok(Contender::new(
        what,
        caller,
        (cluster.called, &cluster.behind),
    ))
}

fn null_server(path: &Path, answer: &Bytes) -> anyhow::Result<Process> {
    std::fs::write(path, answer)?;
    Process::null(path)
}

impl Contender {
    fn new(what: &'static str, caller: Caller, (called, behind): (usize, &[usize])) -> Self {
        Self {
            what,
            caller,
            called,
            behind: behind.to_vec(),
            measured: Default::default(),
        }
    }

    fn round(
        &mut self,
        runtime: &Runtime,
        processes: &mut [Process],
        window: Duration,
    ) -> anyhow::Result<()> {
        for (at, (pace, _)) in PACES.into_iter().enumerate() {
            runtime.block_on(self.caller.run(pace, WARM_UP))?;
            let before = self.cpu(processes)?;
            let load = runtime.block_on(self.caller.run(pace, window))?;
            let after = self.cpu(processes)?;
            self.measured[at].add(&load, (after.0 - before.0, after.1 - before.1));
        }
        Ok(())
    }

    /// CPU that the process called and those behind it have used.
    fn cpu(&self, processes: &mut [Process]) -> anyhow::Result<(Duration, Duration)> {
        let called = processes[self.called].cpu()?;
        let mut behind = Duration::ZERO;
        for process in &self.behind {
            behind += processes[*process].cpu()?;
        }
        Ok((called, behind))
    }
}

impl Measured {
    fn add(&mut self, load: &Load, (called, behind): (Duration, Duration)) {
        self.latencies.add(&load.latencies);
        self.time += load.time;
        self.called += called;
        self.behind += behind;
    }

    fn cpu_each(&self, cpu: Duration) -> Duration {
        each(cpu, self.latencies.count())
    }

    fn figure(&self, what: String) -> Figure {
        let rate = self.latencies.count() as f64 / self.time.as_secs_f64();
        Figure::of(what)
            .rate(rate, "requests/s")
            .latency(&self.latencies)
            .cpu(self.cpu_each(self.called))
    }
}

/// Lines of each form: the null server, and beside it what answers, with ratios of CPU.
fn figures(contenders: &[Contender]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (at, (_, pace)) in PACES.into_iter().enumerate() {
        for form in contenders.chunks(names(Form::Sdk).len()) {
            let Some((null, answering)) = form.split_first() else {
                continue;
            };
            let null_line = null.measured[at].figure(format!("{}, {pace}", null.what));
            figures.push(null_line);
            let null_cpu = null.measured[at].cpu_each(null.measured[at].called);
            for contender in answering {
                let measured = &contender.measured[at];
                let ratio = |cpu: Duration| times(measured.cpu_each(cpu), null_cpu);
                let line = measured.figure(format!("{}, {pace}", contender.what));
                figures.push(line.beside("CPU of the null server", ratio(measured.called)));
                if !contender.behind.is_empty() {
                    let what = format!("  its {} nodes together", contender.behind.len());
                    let line = Figure::of(what).cpu(measured.cpu_each(measured.behind));
                    figures.push(line.beside("CPU of the null server", ratio(measured.behind)));
                }
            }
        }
    }
    figures
}
