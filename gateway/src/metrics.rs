//! The gateway's metrics, behind verbs. Their names are an interface; see the reference docs.

use crate::{
    failure::Failure,
    lookup::{Selection, gather::Status},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};
use proto::reason::Reason;
use std::{fmt, time::Duration};
use wire::twin;

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `Lookup`
    Lookup,
    /// `Write`, and each batch of `WriteStream`.
    Write,
    /// `Delete`
    Delete,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    project: String,
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ViewLabels {
    view: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// 50 µs to 13 s, a factor of about 1.6 apart: a p99 is told within a quarter.
const SECONDS: [f64; 27] = {
    let mut bounds = [0.00005; 27];
    let mut i = 1;
    while i < bounds.len() {
        bounds[i] = bounds[i - 1] * 1.615;
        i += 1;
    }
    bounds
};

/// A second to a month.
const AGES: [f64; 13] = [
    1.0,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    259_200.0,
    604_800.0,
    2_592_000.0,
];

const ROWS: [f64; 10] = [
    0.0, 1.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0,
];

/// Counts the calls that were refused at the gate, among the others.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Family<RequestLabels, Counter>);

impl Refusals {
    /// A call was refused before it was read.
    pub fn refused(&self, method: Method, failure: &Failure) {
        let labels = RequestLabels {
            method: method.as_str(),
            code: failure.reason.as_str(),
        };
        self.0.get_or_create(&labels).inc();
    }
}

/// Counters and histograms of one gateway.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    lookup_duration: Family<ServiceLabels, Histogram>,
    lookup_values: Family<StatusLabels, Counter>,
    lookup_rows: Histogram,
    lookup_defaults: Family<ViewLabels, Counter>,
    write_duration: Histogram,
    write_rows: Family<ResultLabels, Counter>,
    rejected: Family<ReasonLabels, Counter>,
    value_age: Family<ViewLabels, Histogram>,
}

impl Metrics {
    /// Registers the gateway's metrics in `registry`, which the process shares.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            lookup_duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            lookup_values: Family::default(),
            lookup_rows: Histogram::new(ROWS),
            lookup_defaults: Family::default(),
            write_duration: Histogram::new(SECONDS),
            write_rows: Family::default(),
            rejected: Family::default(),
            value_age: Family::new_with_constructor(|| Histogram::new(AGES)),
        };
        // The library appends `_total` to the names of counters.
        registry.register(
            "atoll_requests",
            "Calls by method and answer",
            metrics.requests.clone(),
        );
        registry.register(
            "atoll_lookup_duration_seconds",
            "Time to answer lookups",
            metrics.lookup_duration.clone(),
        );
        registry.register(
            "atoll_lookup_values",
            "Values served, by status",
            metrics.lookup_values.clone(),
        );
        registry.register(
            "atoll_lookup_rows",
            "Rows of a lookup",
            metrics.lookup_rows.clone(),
        );
        registry.register(
            "atoll_lookup_defaults",
            "Values filled by defaults",
            metrics.lookup_defaults.clone(),
        );
        registry.register(
            "atoll_write_duration_seconds",
            "Time to answer writes",
            metrics.write_duration.clone(),
        );
        registry.register(
            "atoll_write_rows",
            "Rows written, by what became of them",
            metrics.write_rows.clone(),
        );
        registry.register(
            "atoll_ingest_rejected",
            "Rows of writes and deletions that were rejected, by reason",
            metrics.rejected.clone(),
        );
        registry.register(
            "atoll_served_value_age_seconds",
            "Age of values served, by their event time: of one row of each view, in every eighth lookup",
            metrics.value_age.clone(),
        );
        let build = ConstGauge::new(1_i64);
        let version = [("version".into(), env!("CARGO_PKG_VERSION").into())];
        registry
            .sub_registry_with_labels(version.into_iter())
            .register("atoll_build_info", "The running build", build);
        metrics
    }

    /// Where calls are counted that are refused before they are read.
    pub fn refusals(&self) -> Refusals {
        Refusals(self.requests.clone())
    }

    /// A call was answered.
    pub fn answered<T>(&self, method: Method, answer: &Result<T, Failure>) {
        let code = answer
            .as_ref()
            .err()
            .map_or("OK", |failure| failure.reason.as_str());
        self.requests
            .get_or_create(&RequestLabels {
                method: method.as_str(),
                code,
            })
            .inc();
    }

    /// A lookup was answered.
    pub fn looked_up(&self, project: &str, service: &str, took: Duration) {
        let labels = ServiceLabels {
            project: project.to_owned(),
            service: service.to_owned(),
        };
        self.lookup_duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// An answer's values were served; gives how many of each status.
    pub fn served(&self, selection: &Selection, answer: &twin::LookupResponse) -> Totals {
        self.lookup_rows.observe(f64::from(answer.row_count));
        let counts: Vec<Counts> = answer
            .statuses
            .iter()
            .map(|statuses| Counts::of(statuses))
            .collect();
        let mut all = Counts::default();
        for (column, selected) in answer.columns.iter().zip(&selection.columns) {
            match (column.statuses as usize).checked_sub(1) {
                None => {
                    all.by_status[0] += if column.shared {
                        1
                    } else {
                        u64::from(answer.row_count)
                    }
                }
                Some(place) => {
                    all.add(&counts[place]);
                    self.defaulted(
                        selection.views[selected.view].view.name.as_str(),
                        counts[place].defaulted,
                    );
                }
            }
        }
        for (status, count) in Status::ALL.into_iter().zip(all.by_status) {
            if count > 0 {
                self.lookup_values
                    .get_or_create(&StatusLabels {
                        status: status.as_str(),
                    })
                    .inc_by(count);
            }
        }
        Totals(all)
    }

    /// Rows of views were served that are so old.
    pub fn served_ages(&self, selection: &Selection, ages: &[(usize, Duration)]) {
        for (view, age) in ages {
            let view = selection.views[*view].view.name.as_str();
            let labels = ViewLabels {
                view: view.to_owned(),
            };
            let ages = self.value_age.get_or_create(&labels);
            ages.observe(age.as_secs_f64());
        }
    }

    fn defaulted(&self, view: &str, count: u64) {
        if count > 0 {
            self.lookup_defaults
                .get_or_create(&ViewLabels {
                    view: view.to_owned(),
                })
                .inc_by(count);
        }
    }

    /// A write or deletion was answered.
    pub fn wrote(&self, answer: &twin::WriteResponse, took: Duration) {
        self.write_duration.observe(took.as_secs_f64());
        let results = [
            (
                "accepted",
                answer.accepted - answer.superseded.min(answer.accepted),
            ),
            ("superseded", answer.superseded),
            ("rejected", answer.rejected.len() as u64),
            ("unknown", answer.unknown.len() as u64),
        ];
        for (result, count) in results.into_iter().filter(|(_, count)| *count > 0) {
            self.write_rows
                .get_or_create(&ResultLabels { result })
                .inc_by(count);
        }
        let names = || Reason::ALL.iter().map(|reason| reason.as_str());
        for rejected in &answer.rejected {
            if let Some(reason) = names().find(|name| *name == rejected.reason) {
                self.rejected.get_or_create(&ReasonLabels { reason }).inc();
            }
        }
    }
}

/// How many values of an answer have each status.
#[derive(Debug, Clone, Copy)]
pub struct Totals(Counts);

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Status::ALL.into_iter().zip(self.0.by_status);
        for (place, (status, count)) in counts.filter(|(_, count)| *count > 0).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {}", status.as_str())?;
        }
        Ok(())
    }
}

/// How often each status stands in an array.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    by_status: [u64; Status::ALL.len()],
    defaulted: u64,
}

impl Counts {
    fn of(statuses: &[u8]) -> Self {
        let mut counts = Self::default();
        for (status, is_defaulted) in statuses.iter().filter_map(|byte| Status::from_byte(*byte)) {
            counts.by_status[status as usize - 1] += 1;
            counts.defaulted += u64::from(is_defaulted);
        }
        counts
    }

    fn add(&mut self, other: &Self) {
        self.by_status
            .iter_mut()
            .zip(other.by_status)
            .for_each(|(all, more)| *all += more);
    }
}

/// All metrics of the process as Prometheus text.
pub fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}
