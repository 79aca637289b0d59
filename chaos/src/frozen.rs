//! One replica stands still: lookups through the others go on, hedged within their budget.

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::{Cluster, Shape},
    http,
    judge::{self, Asked, Outcome},
    load::{Load, Plan},
    report::Findings,
};
use anyhow::{Context as _, Result, ensure};
use sim::history::Micros;
use std::{thread, time::Duration};

/// Of a hundred lookups, those that may be hedged.
const BUDGET_PERCENT: f64 = 10.0;
/// Hedges that a gateway may have saved up before (`docs/read-path.md`). On a machine that is slow they
/// are all spent at once, while a gateway learns how long answers take.
const SAVED_HEDGES: f64 = 64.0;
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The cluster.
    pub shape: Shape,
    /// The load.
    pub load: Plan,
    /// How long lookups are measured, before and while a node stands still.
    pub measure: Duration,
    /// How long the cluster may take until it is whole again.
    pub whole_within: Duration,
}

/// Lookups and hedges that gateways counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Counted {
    lookups: f64,
    hedges: f64,
}

/// Measures, freezes the last node, measures again.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let mut cluster = Cluster::found(Atoll::find()?, settings.shape, clock)?;
    let mut load = Load::prepare(settings.load, &cluster, clock)?;
    let victim = settings.shape.nodes - 1;
    let mut findings = Findings::default();
    load.start();
    // Connections and caches are there once the measuring begins.
    thread::sleep(settings.measure / 4);
    let begun = (clock.now(), counted(&cluster, victim)?);
    thread::sleep(settings.measure);
    let frozen = (clock.now(), counted(&cluster, victim)?);
    cluster.freeze(victim)?;
    thread::sleep(settings.measure);
    let over = (clock.now(), counted(&cluster, victim)?);
    cluster.wake(victim)?;
    let settled = cluster.settle(settings.whole_within);
    load.stop()?;
    settled.with_context(|| kept(&cluster))?;

    let asked = load.lookups();
    let before = latencies(&asked, victim, begun.0, frozen.0)?;
    let during = latencies(&asked, victim, frozen.0, over.0)?;
    findings.tell(format!("before: {}", told(&before)));
    findings.tell(format!("frozen: {}", told(&during)));
    let ratio = quantile(&during, 99.0).as_secs_f64() / quantile(&before, 99.0).as_secs_f64();
    findings.tell(format!(
        "p99 with a frozen replica: {ratio:.2} times that before"
    ));
    for (name, from, to) in [("before", begun.1, frozen.1), ("frozen", frozen.1, over.1)] {
        judge_hedges(name, settings.shape.nodes - 1, from, to, &mut findings);
    }
    let found = judge::judge(cluster.timeline(), &asked, begun.0, clock.now());
    findings.tell(format!("{found}"));
    for example in found.examples {
        findings.violated(example);
    }
    Ok(findings)
}

/// Keeps what the nodes logged, and says where.
fn kept(cluster: &Cluster) -> String {
    let folder = std::env::temp_dir().join(format!("atoll-chaos-kept-{}", std::process::id()));
    match cluster.keep_logs(&folder) {
        Ok(()) => format!("logs are kept in {}", folder.display()),
        Err(error) => format!("no logs are kept: {error:#}{}", cluster.last_words()),
    }
}

fn judge_hedges(name: &str, gateways: usize, from: Counted, to: Counted, findings: &mut Findings) {
    let (lookups, hedges) = (to.lookups - from.lookups, to.hedges - from.hedges);
    let percent = 100.0 * hedges / lookups.max(1.0);
    let line = format!("hedges {name}: {hedges} of {lookups} lookups, {percent:.1} %");
    let saved = SAVED_HEDGES * gateways as f64;
    if hedges > lookups * BUDGET_PERCENT / 100.0 + saved {
        findings.violated(format!(
            "{line}, over the budget of {BUDGET_PERCENT} % and {saved} saved before"
        ));
    } else {
        findings.tell(line);
    }
}

/// How long the answers through other gateways than the victim's took, the shortest first.
fn latencies(asked: &[Asked], victim: usize, from: Micros, to: Micros) -> Result<Vec<Duration>> {
    let of_time = asked.iter().filter(|asked| {
        asked.gateway != victim
            && (from..to).contains(&asked.issued)
            && asked.outcome == Outcome::Whole
    });
    let length = |asked: &Asked| Duration::from_micros(asked.answered.0 - asked.issued.0);
    let mut lengths: Vec<Duration> = of_time.map(length).collect();
    lengths.sort();
    ensure!(
        lengths.len() >= 100,
        "only {} lookups were answered; measure longer",
        lengths.len()
    );
    Ok(lengths)
}

fn quantile(sorted: &[Duration], percent: f64) -> Duration {
    let place = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted[place.min(sorted.len() - 1)]
}

fn told(sorted: &[Duration]) -> String {
    let [half, most, nearly_all] = [50.0, 99.0, 99.9].map(|percent| quantile(sorted, percent));
    format!(
        "{} lookups, p50 {half:.1?}, p99 {most:.1?}, p99.9 {nearly_all:.1?}",
        sorted.len()
    )
}

/// What all gateways but the victim's counted so far.
fn counted(cluster: &Cluster, victim: usize) -> Result<Counted> {
    let mut sum = Counted::default();
    for (_, node) in cluster
        .nodes()
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != victim)
    {
        let answer = http::get(node.http(), "/metrics", ASK_WITHIN)?;
        let of_node = read(&answer.body).with_context(|| format!("metrics of {}", node.name()))?;
        sum.lookups += of_node.lookups;
        sum.hedges += of_node.hedges;
    }
    Ok(sum)
}

/// Reads Prometheus text: series of the two counters, whatever their other labels. A hedge that the
/// budget denied was none.
fn read(metrics: &str) -> Result<Counted> {
    let mut counted = Counted::default();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let value = || {
            value
                .parse::<f64>()
                .with_context(|| format!("no number in {line:?}"))
        };
        if series.starts_with("atoll_requests_total{") && series.contains("method=\"lookup\"") {
            counted.lookups += value()?;
        } else if series.starts_with("atoll_lookup_hedges_total") && !series.contains("denied") {
            counted.hedges += value()?;
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let text = "# HELP atoll_requests_total Calls\n\
                    atoll_requests_total{method=\"lookup\",code=\"OK\"} 90\n\
                    atoll_requests_total{method=\"lookup\",code=\"ABORTED\"} 10\n\
                    atoll_requests_total{method=\"write\",code=\"OK\"} 7\n\
                    atoll_lookup_hedges_total{result=\"won\"} 3\n\
                    atoll_lookup_hedges_total{result=\"lost\"} 2\n\
                    atoll_lookup_hedges_total{result=\"denied\"} 40\n";
        let expected = Counted {
            lookups: 100.0,
            hedges: 5.0,
        };
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn hedges_over_the_budget_are_a_violation() {
        let judged = |gateways, hedges| {
            let mut findings = Findings::default();
            let to = Counted {
                lookups: 100.0,
                hedges,
            };
            judge_hedges("frozen", gateways, Counted::default(), to, &mut findings);
            findings.is_clean()
        };
        assert!(judged(0, 10.0) && !judged(0, 11.0));
        assert!(judged(2, 138.0) && !judged(2, 139.0));
    }

    #[test]
    fn quantiles_are_of_the_sorted_lengths() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 50.0), Duration::from_millis(101));
        assert_eq!(quantile(&sorted, 99.0), Duration::from_millis(199));
    }
}
