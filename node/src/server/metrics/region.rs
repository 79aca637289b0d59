//! How the region stands, as this node knows it.

use crate::server::admin::Admin;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use replication::RoleName;
use std::{fmt, sync::Arc};

/// All of them, so that a role that no replica has now shows as 0.
const ROLES: [(RoleName, &str); 6] = [
    (RoleName::Primary, "primary"),
    (RoleName::Backup, "backup"),
    (RoleName::Joining, "joining"),
    (RoleName::Observer, "observer"),
    (RoleName::Idle, "idle"),
    (RoleName::Stopped, "stopped"),
];

/// See the module.
pub struct RegionMetrics(pub Arc<Admin>);

impl fmt::Debug for RegionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionMetrics")
    }
}

impl Collector for RegionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_groups(&mut encoder)?;
        self.encode_clocks(&mut encoder)?;
        let help = "Replicas of shards on this node, by what they are to their shard";
        let mut family =
            encoder.encode_descriptor("atoll_shard_role", help, None, MetricType::Gauge)?;
        let standings = self.0.board.read();
        for (role, name) in ROLES {
            let count = standings.values().filter(|own| own.role == role).count();
            let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            count.encode(family.encode_family(&[("role", name)])?)?;
        }
        let help = "Copies in sync that this node can reach, of the shard of the region that has the fewest";
        let fewest = ConstGauge::new(i64::from(self.0.counts().fewest_in_sync));
        fewest.encode(encoder.encode_descriptor(
            "atoll_in_sync_copies",
            help,
            None,
            MetricType::Gauge,
        )?)
    }
}

impl RegionMetrics {
    fn encode_clocks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "Seconds by which the clock of another node of the region is ahead of this node's";
        let name = "atoll_clock_offset_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let placement = self.0.region.placement();
        for (node, ahead) in self.0.clocks.ahead() {
            if let Some(member) = placement.members.get(&node) {
                let ahead = ConstGauge::new(ahead);
                ahead.encode(family.encode_family(&[("peer", member.name.as_str())])?)?;
            }
        }
        Ok(())
    }

    fn encode_groups(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let groups = self.0.groups();
        let help = "Whether this node leads the group (0 or 1)";
        let mut family =
            encoder.encode_descriptor("atoll_raft_is_leader", help, None, MetricType::Gauge)?;
        for (name, status) in &groups {
            let leads = ConstGauge::new(i64::from(status.leads));
            leads.encode(family.encode_family(&[("group", name.as_str())])?)?;
        }
        let help = "Revision of the definitions (global), or of the shard map (region), known here";
        let mut family =
            encoder.encode_descriptor("atoll_raft_revision", help, None, MetricType::Gauge)?;
        for ((name, _), revision) in groups.iter().zip(self.0.revisions()) {
            let revision = ConstGauge::new(i64::try_from(revision).unwrap_or(i64::MAX));
            revision.encode(family.encode_family(&[("group", name.as_str())])?)?;
        }
        Ok(())
    }
}
