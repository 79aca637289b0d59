//! What the log's thread does about once a second.

use super::driver::{Driver, replication_now};
use proto::id::ShardId;
use replication::{Context, Event, Replica};

impl Driver {
    pub(super) fn each_second(&mut self) {
        if let Err(error) = self.writer.log_commits() {
            self.broken = Some(error.to_string());
        }
        let now = replication_now(self.now).monotonic;
        self.holds.let_go(self.writer.store(), now);
        self.tell_damaged_rows();
        self.drop_leftover();
    }

    /// Drops what one shard left here that has other copies elsewhere. One at a time: each walks its index.
    fn drop_leftover(&mut self) {
        let now = replication_now(self.now);
        let is_leftover = |(_, replica): &(&ShardId, &Replica)| replica.is_leftover(now.monotonic);
        let Some(shard) = self
            .replicas
            .iter()
            .find(is_leftover)
            .map(|(shard, _)| *shard)
        else {
            return;
        };
        let replica = self.replicas.remove(&shard).expect("it was just found");
        let mut effects = Vec::new();
        let mut context = Context {
            now,
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        // An idle replica has nobody waiting: there is nothing to be carried out.
        replica.retire(&mut context, &mut effects);
        // Should the shard come back, its next core counts tickets anew.
        self.unsynced.retain(|(_, other, _)| *other != shard);
        self.unwritten.retain(|(_, other, _)| *other != shard);
        if let Err(error) = self.writer.drop_shard(shard) {
            self.broken = Some(error.to_string());
            return;
        }
        tracing::info!(%shard, "the rows of a shard that is held elsewhere were dropped");
    }

    /// Rows that cannot be read, and that no other replica's copy could take the place of (`repair`).
    /// Said again as long as they are: a core that had to live with them may have got company.
    fn tell_damaged_rows(&mut self) {
        for shard in self.writer.store().beyond_repair() {
            self.step(shard, Event::RowsDamaged);
        }
    }
}
