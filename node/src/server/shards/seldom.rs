//! What the log's thread does about once a second.

use super::driver::Driver;
use proto::id::ShardId;
use replication::Event;
use std::collections::BTreeSet;

impl Driver {
    pub(super) fn each_second(&mut self) {
        if let Err(error) = self.writer.log_commits() {
            self.broken = Some(error.to_string());
        }
        self.tell_damaged_rows();
    }

    /// Rows that readers, snapshots or compaction found unreadable. Said again as long as they are: a
    /// core that had to live with them may have got company.
    fn tell_damaged_rows(&mut self) {
        let damaged = self.writer.store().damaged_rows();
        let shards: BTreeSet<ShardId> = damaged.iter().map(|row| row.shard).collect();
        for shard in shards {
            self.step(shard, Event::RowsDamaged);
        }
    }
}
