//! What the log's thread tells others about its shards: readers by the board, the controller by
//! reports.

use super::{
    board::Standing,
    driver::Driver,
    input::{NodeReport, ShardReport},
};
use proto::id::ShardId;
use replication::{Micros, Replica};
use std::time::Duration;

impl Driver {
    /// Tells readers how the shards stand.
    pub(super) fn publish(&self) {
        let now = Micros(self.now.monotonic_micros());
        let standing = |shard: ShardId, replica: &Replica| Standing {
            role: replica.role(),
            is_readable: replica.is_readable(),
            complete_at: replica.age(now).map(|age| now.since(age)),
            origins: self.origins(shard),
        };
        self.board.write(
            self.replicas
                .iter()
                .map(|(shard, replica)| (*shard, standing(*shard, replica)))
                .collect(),
        );
    }

    pub(super) fn report(&self) -> NodeReport {
        let report = |(shard, replica): (&ShardId, &Replica)| ShardReport {
            shard: *shard,
            role: replica.role(),
            fence: replica.fence(),
            end: replica.log_end(),
            committed: replica.committed(),
            is_damaged: replica.is_damaged(),
            links: self.link_reports(*shard),
            outboxes: self.outbox_reports(*shard),
        };
        let now = self.now.monotonic_micros();
        let busy = self
            .disk
            .busy_since()
            .map(|since| now.saturating_sub(since));
        NodeReport {
            shards: self.replicas.iter().map(report).collect(),
            disk_busy_for: Duration::from_micros(busy.unwrap_or_default()),
            is_nearly_full: self.writer.store().check_disk().is_err(),
        }
    }
}
