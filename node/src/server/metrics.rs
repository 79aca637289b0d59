//! The node's own metrics; the gateway adds its own to the same registry.

mod region;
mod replication;

use super::{admin::Admin, shards::Board, snapshots::Progress};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{fmt, sync::Arc};
use store::Store;

/// A registry that shows how the store stands, and what was sent to replicas that lag, whenever it is
/// asked.
#[must_use]
pub fn registry(store: &Arc<Store>, (board, progress): (Board, Progress)) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(StoreMetrics(Arc::clone(store))));
    registry.register_collector(Box::new(CatchUp { board, progress }));
    registry
}

/// Adds how the region's groups and shards stand, and the streams between regions.
pub fn add_region(registry: &mut Registry, admin: Arc<Admin>) {
    let replication = replication::ReplicationMetrics(Arc::clone(&admin));
    registry.register_collector(Box::new(region::RegionMetrics(admin)));
    registry.register_collector(Box::new(replication));
}

struct CatchUp {
    board: Board,
    progress: Progress,
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CatchUp")
    }
}

impl Collector for CatchUp {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Bytes sent to replicas that lag: read from the log, or of snapshots";
        let ways = [
            ("log", self.board.caught_up_bytes()),
            ("snapshot", self.progress.sent_bytes()),
        ];
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("atoll_catch_up_bytes", help, None, kind)?;
        for (way, bytes) in ways {
            ConstCounter::new(bytes).encode(family.encode_family(&[("way", way)])?)?;
        }
        Ok(())
    }
}

struct StoreMetrics(Arc<Store>);

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreMetrics")
    }
}

impl StoreMetrics {
    fn encode_work(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let done = self.0.work_done();
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Rows read, by where they were: in memory, on the device, nowhere";
        let mut family = encoder.encode_descriptor("atoll_store_read", help, None, kind)?;
        for (tier, rows) in [
            ("memory", done.rows_from_memory),
            ("disk", done.rows_from_disk),
            ("absent", done.rows_absent),
        ] {
            ConstCounter::new(rows).encode(family.encode_family(&[("tier", tier)])?)?;
        }
        let help =
            "Bytes of the store's files read, without those that were in memory, and written";
        let mut family = encoder.encode_descriptor("atoll_store_io_bytes", help, None, kind)?;
        for (op, bytes) in [("read", done.io.read), ("write", done.io.written)] {
            ConstCounter::new(bytes).encode(family.encode_family(&[("op", op)])?)?;
        }
        let help = "Bytes of live rows copied out of mostly dead segments";
        let copied = ConstCounter::new(done.compacted_bytes);
        let copied_as =
            encoder.encode_descriptor("atoll_store_compaction_bytes", help, None, kind)?;
        copied.encode(copied_as)
    }
}

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (used, live) = self.0.used_and_live_bytes();
        let gauge = |value: u64| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let help = "Bytes of the store's segment files, and of the rows in them that are live";
        let bytes = gauge(used);
        let mut family =
            encoder.encode_descriptor("atoll_store_bytes", help, None, bytes.metric_type())?;
        for (kind, value) in [
            ("used", used),
            ("live", live),
            ("tail", self.0.tail_bytes()),
        ] {
            gauge(value).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        let index = gauge(self.0.index_bytes());
        let help = "Bytes of memory that the store's index takes";
        index.encode(encoder.encode_descriptor(
            "atoll_store_index_bytes",
            help,
            None,
            index.metric_type(),
        )?)?;
        self.encode_work(&mut encoder)?;
        let counts = self.0.repair_counts();
        let damage = ConstCounter::new(counts.found);
        let help = "Rows found damaged on disk since the start";
        damage.encode(encoder.encode_descriptor(
            "atoll_store_damage",
            help,
            None,
            damage.metric_type(),
        )?)?;
        let help =
            "Damaged rows that another replica's copy took the place of, and tries that found none";
        let kind = damage.metric_type();
        let mut family = encoder.encode_descriptor("atoll_store_repairs", help, None, kind)?;
        for (result, count) in [("repaired", counts.repaired), ("failed", counts.failed)] {
            ConstCounter::new(count).encode(family.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }
}
