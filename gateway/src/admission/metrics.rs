//! How full the rooms are, as metrics.

use super::{class::Class, gate::Gate};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::gauge::ConstGauge,
};
use std::{fmt, sync::Arc};

/// See the module.
#[derive(Clone)]
pub(crate) struct Rooms(pub Arc<Gate>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
}

impl Collector for Rooms {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let fills = Class::ALL.map(|class| (class, self.0.fill(class)));
        let mut gauge = |name, help, value: fn(&super::Fill) -> usize| {
            let kind = prometheus_client::metrics::MetricType::Gauge;
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (class, fill) in &fills {
                let labels = ClassLabels {
                    class: class.as_str(),
                };
                let gauge = ConstGauge::new(i64::try_from(value(fill)).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        gauge(
            "atoll_admission_limit",
            "Calls that may be worked on at once",
            |fill| fill.limit,
        )?;
        gauge(
            "atoll_admission_inside",
            "Calls that are worked on",
            |fill| fill.inside,
        )?;
        gauge(
            "atoll_admission_waiting",
            "Calls that wait for their turn",
            |fill| fill.waiting,
        )?;
        let bytes = i64::try_from(self.0.answers().bytes()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(bytes);
        let family = encoder.encode_descriptor(
            "atoll_answers_waiting_bytes",
            "Answers that callers have not taken yet",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(family)
    }
}
