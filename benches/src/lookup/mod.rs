//! The feed lookup over gRPC: one customer and 50 articles of 58 features, answered by a node, beside
//! a server that returns the same bytes from memory.
//!
//! Servers run in processes of their own, so their CPU is theirs alone. Both answer the same calls
//! of the same client; a round measures each in turn, so what else the machine does meets both.

mod client;
mod dataset;
mod raw;

pub mod server;

use crate::figure::{Figure, Latencies, each};
use anyhow::ensure;
use client::{Caller, Load, Pace};
use dataset::{Dataset, Form};
use server::Process;
use std::time::Duration;

/// Rounds of each measurement; each takes its share of the window.
const ROUNDS: u32 = 3;
/// Requests in a second at the steady rate.
const STEADY_RATE: u32 = 400;
/// Before a measurement, so that connections, caches and the plan are there.
const WARM_UP: Duration = Duration::from_millis(300);

/// One server under one form of request, and what was measured of it.
struct Contender {
    what: &'static str,
    process: usize,
    caller: Caller,
    measured: [Measured; 2],
}

#[derive(Default)]
struct Measured {
    latencies: Latencies,
    cpu: Duration,
    time: Duration,
}

/// Measures the lookup in both forms.
pub fn measure(window: Duration) -> anyhow::Result<Vec<Figure>> {
    let scratch = tempfile::Builder::new()
        .prefix("atoll-benches-")
        .tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let node = Process::node(&scratch.path().join("node"))?;
    let data = runtime.block_on(Dataset::load(node.address()))?;
    let mut processes = vec![node];
    let mut contenders = Vec::new();
    for (form, null, whole) in [
        (Form::Sdk, "null server, SDK form", "lookup, SDK form"),
        (Form::Plain, "null server, plain form", "lookup, plain form"),
    ] {
        let requests = data.requests(form);
        let caller = runtime.block_on(Caller::new(processes[0].address(), requests.clone()))?;
        let answer = runtime.block_on(caller.one())?;
        dataset::check(&answer)?;
        let path = scratch.path().join(format!("answer-{}", processes.len()));
        std::fs::write(&path, &answer)?;
        println!(
            "{whole}: request {} bytes, answer {} bytes",
            requests[0].len(),
            answer.len()
        );
        processes.push(Process::null(&path)?);
        let null_process = processes.len() - 1;
        let address = processes[null_process].address();
        let null_caller = runtime.block_on(Caller::new(address, requests))?;
        let contender = |what, process, caller| Contender {
            what,
            process,
            caller,
            measured: Default::default(),
        };
        contenders.push(contender(null, null_process, null_caller));
        contenders.push(contender(whole, 0, caller));
    }
    println!();
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            for (at, pace) in [Pace::Steady(STEADY_RATE), Pace::Saturating]
                .into_iter()
                .enumerate()
            {
                let process = &mut processes[contender.process];
                runtime.block_on(contender.caller.run(pace, WARM_UP))?;
                let before = process.cpu()?;
                let load = runtime.block_on(contender.caller.run(pace, window / ROUNDS))?;
                contender.measured[at].add(&load, process.cpu()? - before);
            }
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

impl Measured {
    fn add(&mut self, load: &Load, cpu: Duration) {
        self.latencies.add(&load.latencies);
        self.cpu += cpu;
        self.time += load.time;
    }

    fn cpu_each(&self) -> Duration {
        each(self.cpu, self.latencies.count())
    }

    fn figure(&self, what: String) -> Figure {
        let rate = self.latencies.count() as f64 / self.time.as_secs_f64();
        Figure::of(what)
            .rate(rate, "requests/s")
            .latency(&self.latencies)
            .cpu(self.cpu_each())
    }
}

/// Lines in pairs: the null server, and beside it the node with its ratio of CPU.
fn figures(contenders: &[Contender]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (at, pace) in ["at a steady rate", "saturated"].into_iter().enumerate() {
        for pair in contenders.chunks(2) {
            let [null, node] = [&pair[0], &pair[1]];
            let line = |it: &Contender| it.measured[at].figure(format!("{}, {pace}", it.what));
            let ratio =
                crate::figure::times(node.measured[at].cpu_each(), null.measured[at].cpu_each());
            figures.push(line(null));
            figures.push(line(node).beside("CPU of the null server", ratio));
        }
    }
    figures
}
