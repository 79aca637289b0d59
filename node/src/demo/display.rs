//! Lines that the demo prints.

use super::meter::Counts;
use crate::client::duration;
use hdrhistogram::Histogram;
use std::time::Duration;
use wire::v1::{StatusResponse, ValueStatus};

/// What is said of the replicas.
#[must_use]
pub fn replicas(status: Option<&StatusResponse>) -> String {
    let Some(status) = status else {
        return "replicas unknown".to_owned();
    };
    let reachable = status.nodes.iter().filter(|node| node.reachable).count();
    let whole = status.shards.saturating_sub(status.shards_under_replicated);
    let mut line = format!(
        "{reachable}/{} nodes, {whole}/{} shards whole",
        status.nodes.len(),
        status.shards
    );
    if status.shards_without_primary > 0 {
        line.push_str(&format!(
            ", {} without a primary",
            status.shards_without_primary
        ));
    }
    line
}

/// One second of the demo.
#[must_use]
pub fn second(at: Duration, counts: &Counts, status: Option<&StatusResponse>) -> String {
    let failed = counts.failed_lookups + counts.failed_writes + counts.rejected_rows;
    format!(
        "{:>4} s | {:>5} events/s {:>5} rows/s | {:>4} lookups/s {} | {} | {failed} failed | {}",
        at.as_secs(),
        counts.events,
        counts.rows,
        counts.lookups,
        percentiles(&counts.latencies()),
        statuses(counts),
        replicas(status),
    )
}

/// The share of values that are present, and of each other status that there was.
#[must_use]
pub fn statuses(counts: &Counts) -> String {
    let all = counts.all_values();
    if all == 0 {
        return "no values".to_owned();
    }
    let share = |status| counts.with_status(status) as f64 * 100.0 / all as f64;
    let others = [
        (ValueStatus::NullValue, "null"),
        (ValueStatus::NotFound, "not found"),
        (ValueStatus::OutsideMaxAge, "expired"),
    ];
    let mut parts = vec![format!("{:.1}% present", share(ValueStatus::Present))];
    let seen = others
        .into_iter()
        .filter(|(status, _)| counts.with_status(*status) > 0);
    parts.extend(seen.map(|(status, word)| format!("{:.1}% {word}", share(status))));
    let unavailable = counts.with_status(ValueStatus::Unavailable);
    if unavailable > 0 {
        parts.push(format!("{unavailable} unavailable"));
    }
    parts.join(", ")
}

/// p50, p99 and p99.9.
#[must_use]
pub fn percentiles(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return "p50 - p99 - p99.9 - ms".to_owned();
    }
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    format!(
        "p50 {:.1} p99 {:.1} p99.9 {:.1} ms",
        at(0.5),
        at(0.99),
        at(0.999)
    )
}

/// All of the demo.
#[must_use]
pub fn summary(took: Duration, total: &Counts) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    let per_second = |count: u64| count as f64 / seconds;
    let mut lines = vec![
        format!(
            "In {}: {} events became {} durable rows ({:.0} rows/s), {} rejected, longest time between two acknowledged writes {}.",
            duration::show(took),
            total.events,
            total.rows,
            per_second(total.rows),
            total.rejected_rows,
            duration::show(total.longest_write_gap),
        ),
        format!(
            "{} lookups ({:.0}/s), {} failed. 1 customer + 50 items: {}. 1 customer + 50 articles x 58 features: {}.",
            total.lookups,
            per_second(total.lookups),
            total.failed_lookups,
            percentiles(&total.items),
            percentiles(&total.articles),
        ),
        format!(
            "{} values: {}; {} were not there and had their default served.",
            total.all_values(),
            statuses(total),
            total.defaulted
        ),
    ];
    lines.extend(errors(total));
    lines.join("\n")
}

/// What failed calls said, the most frequent first.
#[must_use]
pub fn errors(counts: &Counts) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut errors: Vec<_> = counts.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let lines = errors.iter().take(SHOWN);
    lines
        .map(|(error, count)| format!("  {count} times: {error}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::v1::NodeStatus;

    fn status(reachable: usize, under_replicated: u32) -> StatusResponse {
        let node = |index: usize| NodeStatus {
            reachable: index < reachable,
            ..Default::default()
        };
        StatusResponse {
            nodes: (0..2).map(node).collect(),
            shards: 64,
            shards_under_replicated: under_replicated,
            ..Default::default()
        }
    }

    #[test]
    fn replicas_are_told_whole_and_broken() {
        assert_eq!(
            replicas(Some(&status(2, 0))),
            "2/2 nodes, 64/64 shards whole"
        );
        assert_eq!(
            replicas(Some(&status(1, 64))),
            "1/2 nodes, 0/64 shards whole"
        );
        assert_eq!(replicas(None), "replicas unknown");
    }

    #[test]
    fn a_second_without_lookups_prints_all_the_same() {
        let line = second(Duration::from_secs(3), &Counts::default(), None);
        assert!(line.starts_with("   3 s |     0 events/s"), "{line}");
        assert!(line.contains("p50 - p99 - p99.9 - ms"), "{line}");
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut counts = Counts::default();
        (1..=1_000).for_each(|micros| counts.items.saturating_record(micros * 10));
        assert_eq!(percentiles(&counts.items), "p50 5.0 p99 9.9 p99.9 10.0 ms");
    }
}
