//! The rows that a write must be merged with: the newest appended ones, else the committed ones.

use super::prepare::{Known, RowKey, StandingRows};
use proto::{
    id::ShardId,
    reason::{Reason, Refusal},
    record::RecordView,
};
use store::{Copy, Plan, ReadRequest, RowState, Staging, Store, Writer};

/// The rows of one shard as its primary sees them.
pub struct Standing<'a> {
    /// What is appended and not committed.
    pub writer: &'a Writer,
    /// What is committed.
    pub store: &'a Store,
    /// The shard.
    pub shard: ShardId,
}

impl StandingRows for Standing<'_> {
    fn known(&self, row: RowKey<'_>) -> Known {
        let RowKey { view, hash, key } = row;
        if let Some(pending) = self.writer.newest_pending(self.shard, view, hash, key) {
            return match RecordView::parse(&pending) {
                Ok(record) if record.is_full() => Known::Full(record.version().event_time),
                Ok(_) | Err(_) => Known::Other,
            };
        }
        match self.store.known(self.shard, view, hash) {
            store::Known::Absent => Known::Absent,
            store::Known::Full(event_time) => Known::Full(event_time),
            store::Known::Unknown => Known::Other,
        }
    }

    fn read(&self, row: RowKey<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        let RowKey { view, hash, key } = row;
        if let Some(pending) = self.writer.newest_pending(self.shard, view, hash, key) {
            return Ok(Some(pending.to_vec()));
        }
        let plans = [Plan {
            view,
            copy: Copy::Record,
        }];
        let requests = [ReadRequest {
            shard: self.shard,
            plan: 0,
            hash,
            key,
        }];
        let mut staging = Staging::new();
        self.store.read_batch(&requests, &plans, &mut staging);
        match staging.rows()[0].state {
            RowState::Missing => Ok(None),
            RowState::Found | RowState::Slow | RowState::Deleted => {
                Ok(staging.record(0).map(|record| record.bytes().to_vec()))
            }
            RowState::Damaged | RowState::Cold => {
                let message =
                    "the row that stands cannot be read; it waits for repair from a replica";
                Err(Refusal::new(Reason::Damaged, message))
            }
        }
    }
}
