//! Overload: what one node does with more lookups than it can answer. Its peak is measured first, by
//! callers that wait for their answers; then lookups are offered at a multiple of that rate, whatever
//! comes back.
//!
//! The node runs on one core and its caller on another: a caller without a core of its own would see
//! its own queue and not the node's.

use super::{
    client::{Caller, Pace},
    dataset::{Dataset, Form},
    server::Process,
};
use crate::{
    figure::{Figure, Latencies, each},
    machine::{process_cpu, stay_on},
};
use anyhow::ensure;
use std::time::{Duration, Instant};
use tonic::Code;

/// Candidates of a lookup.
const SHAPES: [usize; 2] = [50, 500];
/// Times of the peak that are offered.
const TIMES: [u32; 3] = [1, 2, 5];
/// What counts as answered in time.
const GOOD: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_millis(500);

/// What came back.
#[derive(Default)]
struct Seen {
    good: Latencies,
    slow: u64,
    refused: Latencies,
    failed: u64,
}

/// Measures a node of its own.
pub fn measure(window: Duration) -> anyhow::Result<Vec<Figure>> {
    let scratch = tempfile::Builder::new()
        .prefix("atoll-benches-")
        .tempdir()?;
    stay_on(1)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut node = Process::node_on(0, &scratch.path().join("node"))?;
    let data = runtime.block_on(Dataset::load(node.address()))?;
    let mut figures = Vec::new();
    for candidates in SHAPES {
        let requests = data.requests_of(Form::Sdk, candidates);
        let caller = runtime.block_on(Caller::new(node.address(), requests))?;
        runtime.block_on(caller.run(Pace::Saturating, WARM_UP))?;
        let before = node.cpu()?;
        let load = runtime.block_on(caller.run(Pace::Saturating, window))?;
        let cpu = node.cpu()?.saturating_sub(before);
        let peak = load.latencies.count() as f64 / load.time.as_secs_f64();
        ensure!(
            peak >= 1.0,
            "no lookup of {candidates} candidates was answered"
        );
        figures.push(
            Figure::of(format!("{candidates} candidates, peak"))
                .rate(peak, "answers/s")
                .latency(&load.latencies)
                .cpu(each(cpu, load.latencies.count())),
        );
        for times in TIMES {
            let offered = (peak * f64::from(times)) as u32;
            let (before, own_before, began) = (node.cpu()?, process_cpu(), Instant::now());
            let answers = runtime.block_on(caller.offer(offered, window))?;
            let cpu = node.cpu()?.saturating_sub(before);
            let own = process_cpu().saturating_sub(own_before);
            let own = own.as_secs_f64() / began.elapsed().as_secs_f64();
            let mut seen = Seen::default();
            for (answer, took) in answers {
                seen.note(answer.err().map(|status| status.code()), took);
            }
            let what = format!(
                "{candidates} candidates, {times} x the peak (caller busy {:.0} %)",
                own * 100.0
            );
            figures.extend(seen.figures(&what, (window, cpu), peak));
        }
    }
    Ok(figures)
}

impl Seen {
    fn note(&mut self, refused: Option<Code>, took: Duration) {
        match refused {
            None if took <= GOOD => self.good.record(took),
            None => self.slow += 1,
            Some(Code::ResourceExhausted) => self.refused.record(took),
            Some(_) => self.failed += 1,
        }
    }

    fn figures(&self, what: &str, (window, cpu): (Duration, Duration), peak: f64) -> Vec<Figure> {
        let each_second = |count: u64| count as f64 / window.as_secs_f64();
        let good = each_second(self.good.count());
        let mut lines = vec![
            Figure::of(format!("{what}, answered in time"))
                .rate(good, "answers/s")
                .latency(&self.good)
                .cpu(each(cpu, self.good.count()))
                .beside("the peak", good / peak),
        ];
        if self.refused.count() > 0 {
            let refused = each_second(self.refused.count());
            lines.push(
                Figure::of(format!("{what}, refused"))
                    .rate(refused, "refusals/s")
                    .latency(&self.refused),
            );
        }
        for (count, kind) in [(self.slow, "answered late"), (self.failed, "failed")] {
            if count > 0 {
                let rate = each_second(count);
                lines.push(Figure::of(format!("{what}, {kind}")).rate(rate, "calls/s"));
            }
        }
        lines
    }
}
