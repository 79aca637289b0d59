//! Entries of other regions become entries of the shard's log: rows merged with what stands here,
//! watermark and position in one.

use super::{Driver, replication_now};
use crate::server::shards::{
    merging::{hash_of, merged},
    standing::Standing,
};
use proto::{
    hlc::Hlc,
    id::{PlacementId, RegionId, ShardId, ViewId},
    limits::{ENTRY_BYTES, ROWS_PER_ENTRY},
    link::LinkEntry,
    reason::Refusal,
    record::{Encoded, RecordView},
};
use replication::{Event, Micros, Remote, Replica, settings::PENDING_BYTES};
use std::{collections::BTreeSet, mem, sync::Arc};

/// What could not be appended is read again after this.
const TRY_AGAIN: Micros = Micros(250_000);
/// What an entry has around its rows.
const AROUND_ROWS_BYTES: usize = 4_096;

/// Rows that were merged and are not appended yet.
#[derive(Default)]
struct Gathered {
    rows: Vec<Encoded>,
    bytes: usize,
    keys: BTreeSet<(ViewId, u64)>,
}

impl Gathered {
    fn has_room_for(&self, row: &Encoded) -> bool {
        self.rows.len() < ROWS_PER_ENTRY
            && self.bytes + row.bytes.len() + AROUND_ROWS_BYTES <= ENTRY_BYTES
    }

    fn add(&mut self, key: (ViewId, u64), row: Encoded) {
        self.bytes += row.bytes.len();
        self.keys.insert(key);
        self.rows.push(row);
    }
}

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) shard: ShardId,
    pub(super) origin: RegionId,
    pub(super) placement: PlacementId,
    /// The largest stamp among them.
    pub(super) hlc: Hlc,
}

impl Driver {
    /// Appends it, or has its stream read again in a moment.
    pub(super) fn apply_remote(
        &mut self,
        shard: ShardId,
        stream: (RegionId, PlacementId),
        entry: &LinkEntry,
        position: u64,
    ) {
        let Some(receiving) = self.links.receiving(shard, stream) else {
            return;
        };
        // A copy that was merged meanwhile has it.
        if receiving.refused_until.is_some() || entry.reached() <= receiving.logged {
            return;
        }
        let source = Source {
            shard,
            origin: stream.0,
            placement: stream.1,
            hlc: entry.hlc(),
        };
        let taken = self.append_rows(&source, entry.rows());
        let now = replication_now(self.now).monotonic;
        match taken {
            Ok(rows) => {
                let reached = entry.reached();
                if let Some(receiving) = self.links.receiving(shard, stream) {
                    receiving.logged = reached;
                }
                self.step(shard, Event::Remote(Remote::entry(entry, position, rows)));
            }
            Err(why) => {
                tracing::debug!(%shard, origin = stream.0.0, why, "an entry of another region waits");
                if let Some(receiving) = self.links.receiving(shard, stream) {
                    receiving.refused_until = Some(now.plus(TRY_AGAIN));
                }
            }
        }
    }

    pub(super) fn log_position(
        &mut self,
        shard: ShardId,
        (origin, placement): (RegionId, PlacementId),
        position: u64,
    ) {
        let remote = Remote::read_through(origin, placement, position);
        self.step(shard, Event::Remote(remote));
    }

    /// Merges the rows. Those that one entry of this log does not hold, and all but the last of one row,
    /// are appended before: they are merged again should the rest not follow.
    pub(super) fn append_rows<'a>(
        &mut self,
        source: &Source,
        records: impl Iterator<Item = RecordView<'a>>,
    ) -> Result<Vec<Encoded>, String> {
        let shard = source.shard;
        self.check_appends(shard)?;
        let mut gathered = Gathered::default();
        let catalog = Arc::clone(&self.catalog);
        for record in records {
            let view = catalog.view(record.view());
            let hash = hash_of(&record, &catalog);
            // A view that was removed has no rows any more.
            let Some((view, hash)) = view.zip(hash) else {
                continue;
            };
            let key = (record.view(), hash);
            if gathered.keys.contains(&key) {
                self.append_merged(source, mem::take(&mut gathered).rows)?;
            }
            let standing = Standing {
                writer: &self.writer,
                store: self.writer.store(),
                shard,
            };
            let row = merged(&record, (view, hash), &standing);
            let Some(row) = row.map_err(|refusal: Refusal| refusal.message)? else {
                continue;
            };
            if !gathered.has_room_for(&row) {
                self.append_merged(source, mem::take(&mut gathered).rows)?;
            }
            gathered.add(key, row);
        }
        Ok(gathered.rows)
    }

    /// Appends rows that are of no stream's entry here.
    pub(super) fn append_merged(
        &mut self,
        source: &Source,
        rows: Vec<Encoded>,
    ) -> Result<(), String> {
        if rows.is_empty() {
            return Ok(());
        }
        let Source {
            shard,
            origin,
            placement,
            hlc,
        } = *source;
        let remote = Remote::merged(origin, placement, hlc, rows);
        self.step(shard, Event::Remote(remote));
        self.check_appends(shard)
    }

    pub(super) fn check_appends(&self, shard: ShardId) -> Result<(), String> {
        let appends = self.replicas.get(&shard).is_some_and(Replica::appends);
        if !appends {
            return Err("the shard has no open epoch here".into());
        }
        if self.budget.pending() > PENDING_BYTES {
            return Err("too much waits for its commit on this node".into());
        }
        Ok(())
    }
}
