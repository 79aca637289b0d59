//! How old this node's shards can be towards each region, and how the streams between regions stand whose
//! primaries are here.

use crate::server::admin::{Admin, LagTold, Link};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use proto::id::RegionId;
use raft::registry::Registry;
use std::{fmt, sync::Arc};

/// See the module.
pub struct ReplicationMetrics(pub Arc<Admin>);

impl fmt::Debug for ReplicationMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplicationMetrics")
    }
}

impl Collector for ReplicationMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let catalog = self.0.global.catalog();
        let around = (catalog.registry(), self.0.region.id());
        encode(&self.0.lags.own(), around, encoder)
    }
}

fn encode(
    told: &LagTold,
    (registry, own): (&Registry, RegionId),
    mut encoder: DescriptorEncoder<'_>,
) -> fmt::Result {
    encode_ages(told, registry, &mut encoder)?;
    encode_links(told, (registry, own), &mut encoder)?;
    let help = "Bytes of own entries that are still to be sent to other regions, of shards whose primaries are here";
    let waiting = told.outboxes.values().map(|backlog| backlog.bytes).sum();
    let name = "atoll_replication_outbox_bytes";
    gauge(waiting).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Not a number is unknown: a shard of unknown age makes the oldest unknown.
fn encode_ages(
    told: &LagTold,
    registry: &Registry,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let help = "An age such that every write acknowledged in a region longer ago is in all shards that this node holds; NaN while that is unknown";
    let name = "atoll_replication_staleness_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    if told.readable.is_empty() {
        return Ok(());
    }
    for (region, age) in &told.ages {
        let seconds = age.map_or(f64::NAN, |age| age.as_secs_f64());
        let labels = [("origin", name_of(*region, registry))];
        ConstGauge::new(seconds).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// All states, so that one that no shard is in now shows as 0.
fn encode_links(
    told: &LagTold,
    (registry, own): (&Registry, RegionId),
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let help = "Shards whose primaries are here, by how they receive the streams of another region";
    let name = "atoll_replication_link_state";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for region in told.ages.keys().filter(|region| **region != own) {
        let origin = name_of(*region, registry);
        let counts = told.link_counts(*region);
        for (state, shards) in Link::STATES.into_iter().zip(counts) {
            let labels = [("origin", origin.clone()), ("state", state.to_owned())];
            gauge(shards).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn name_of(region: RegionId, registry: &Registry) -> String {
    let known = registry.regions.get(&region);
    known.map_or_else(
        || region.to_string(),
        |known| known.settings.name.to_string(),
    )
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::Backlog;
    use prometheus_client::{encoding::text, registry::Registry as Metrics};
    use proto::id::{PlacementId, ShardId};
    use std::time::Duration;

    #[derive(Debug)]
    struct Of(LagTold);

    impl Collector for Of {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            encode(&self.0, (&Registry::default(), RegionId(1)), encoder)
        }
    }

    fn text_of(told: LagTold) -> String {
        let mut metrics = Metrics::default();
        metrics.register_collector(Box::new(Of(told)));
        let mut text = String::new();
        text::encode(&mut text, &metrics).unwrap();
        text
    }

    #[test]
    fn what_is_unknown_is_no_number_and_states_of_no_shard_are_0() {
        let (near, far) = (RegionId(1), RegionId(2));
        let backlog = |bytes| Backlog {
            entries: Some(1),
            bytes,
        };
        let text = text_of(LagTold {
            readable: [ShardId(0)].into(),
            ages: [(near, Some(Duration::from_millis(250))), (far, None)].into(),
            primaries: [ShardId(0), ShardId(1)].into(),
            links: [
                ((ShardId(0), far), Link::Live),
                ((ShardId(1), far), Link::Held("wait".into())),
            ]
            .into(),
            outboxes: [
                ((ShardId(0), PlacementId(0)), backlog(40)),
                ((ShardId(1), PlacementId(0)), backlog(2)),
            ]
            .into(),
        });
        for line in [
            "atoll_replication_staleness_seconds{origin=\"1\"} 0.25",
            "atoll_replication_staleness_seconds{origin=\"2\"} NaN",
            "atoll_replication_link_state{origin=\"2\",state=\"live\"} 1",
            "atoll_replication_link_state{origin=\"2\",state=\"held\"} 1",
            "atoll_replication_link_state{origin=\"2\",state=\"gap\"} 0",
            "atoll_replication_link_state{origin=\"2\",state=\"unknown\"} 0",
            "atoll_replication_outbox_bytes 42",
        ] {
            assert!(text.lines().any(|of| of == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_node_without_shards_has_no_age_and_a_primary_that_says_nothing_is_unknown() {
        let far = RegionId(2);
        let text = text_of(LagTold {
            ages: [(RegionId(1), None), (far, None)].into(),
            primaries: [ShardId(0)].into(),
            ..LagTold::default()
        });
        assert!(!text.contains("staleness_seconds{"), "{text}");
        let unknown = "atoll_replication_link_state{origin=\"2\",state=\"unknown\"} 1";
        assert!(text.contains(unknown), "{text}");
        assert!(!text.contains("link_state{origin=\"1\""), "{text}");
    }
}
