//! Figures, and the one table in which they are printed.

use hdrhistogram::Histogram;
use std::time::Duration;

/// One line of the table. What was not measured stays empty.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    what: String,
    rate: Option<(f64, &'static str)>,
    latency: Option<[Duration; 3]>,
    cpu: Option<Duration>,
    beside: Option<String>,
    ratio: Option<f64>,
}

impl Figure {
    /// A line about `what`.
    pub fn of(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    /// How many in a second, or any other amount with its unit.
    pub fn rate(mut self, rate: f64, unit: &'static str) -> Self {
        self.rate = Some((rate, unit));
        self
    }

    /// p50, p99 and p99.9.
    pub fn latency(mut self, latencies: &Latencies) -> Self {
        self.latency = Some([0.5, 0.99, 0.999].map(|quantile| latencies.at(quantile)));
        self
    }

    /// CPU of one request, batch or row.
    pub fn cpu(mut self, cpu: Duration) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// What it stands beside, and how many times as much this is.
    pub fn beside(mut self, what: impl Into<String>, ratio: f64) -> Self {
        self.beside = Some(what.into());
        self.ratio = Some(ratio);
        self
    }

    fn cells(&self) -> [String; 8] {
        let latency = |at: usize| self.latency.map_or_else(String::new, |all| micros(all[at]));
        [
            self.what.clone(),
            self.rate.map_or_else(String::new, |(rate, unit)| {
                format!("{} {unit}", short(rate))
            }),
            latency(0),
            latency(1),
            latency(2),
            self.cpu.map_or_else(String::new, micros),
            self.beside.clone().unwrap_or_default(),
            self.ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        ]
    }
}

/// How long many calls took.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(3).expect("three digits are allowed"))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        // An hour is longer than any call; the histogram grows up to it.
        let nanos = took.min(Duration::from_secs(3_600)).as_nanos() as u64;
        self.0
            .record(nanos)
            .expect("a histogram that grows takes every value");
    }

    /// Counts all of another's.
    pub fn add(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("a histogram that grows takes every value");
    }

    /// The time below which `quantile` of them lie.
    pub fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }
}

/// CPU or time of one of `count`.
pub fn each(whole: Duration, count: u64) -> Duration {
    whole.div_f64((count as f64).max(1.0))
}

/// How many times `below` goes into `above`.
pub fn times(above: Duration, below: Duration) -> f64 {
    above.as_secs_f64() / below.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn micros(duration: Duration) -> String {
    short(duration.as_secs_f64() * 1e6)
}

fn short(number: f64) -> String {
    match number {
        large if large >= 10_000.0 => format!("{:.0}", (large / 100.0).round() * 100.0),
        large if large >= 100.0 => format!("{large:.0}"),
        small => format!("{small:.1}"),
    }
}

/// Prints all lines as one table, which is Markdown too.
pub fn print(figures: &[Figure]) {
    const HEAD: [&str; 8] = [
        "what",
        "rate",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "CPU µs each",
        "beside",
        "ratio",
    ];
    let rows: Vec<[String; 8]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(figures.iter().map(Figure::cells))
        .collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|at| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for (line, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(at, (cell, width))| {
                if is_text(at) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if line == 0 {
            let rule = widths.iter().enumerate().map(|(at, width)| {
                if is_text(at) {
                    "-".repeat(*width)
                } else {
                    "-".repeat(width - 1) + ":"
                }
            });
            println!("| {} |", rule.collect::<Vec<_>>().join(" | "));
        }
    }
}

fn is_text(column: usize) -> bool {
    matches!(column, 0 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_was_measured_and_leaves_the_rest_empty() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_micros(50));
        let figure = Figure::of("reads")
            .rate(187_049.0, "rows/s")
            .latency(&latencies);
        let cells = figure.beside("reference", 1.254).cells();
        assert_eq!(cells[..2], ["reads", "187000 rows/s"]);
        assert!(cells[2].starts_with("50."), "{}", cells[2]);
        assert_eq!(cells[5..], ["", "reference", "1.25"]);
    }

    #[test]
    fn parts_and_ratios_of_times() {
        assert_eq!(
            each(Duration::from_millis(10), 1_000),
            Duration::from_micros(10)
        );
        assert_eq!(
            each(Duration::from_millis(10), 0),
            Duration::from_millis(10)
        );
        assert!((times(Duration::from_micros(82), Duration::from_micros(41)) - 2.0).abs() < 1e-9);
    }
}
