//! Loading the indexes: of all rows of a key that lie on disk, the one with the greatest position.

use super::replay::{Found, Work};
use crate::{
    body::Body,
    error::OpenError,
    hint::{HintEntry, HintRow},
    segment::SegmentId,
    shard::Rows,
    state::Condition,
    store::Store,
    writer::new_rows,
};
use proto::id::ShardId;
use std::{cmp::Reverse, sync::Arc};

/// Loads all shards, one after the other, so that little more than one shard's rows are in memory
/// twice.
pub(super) fn load(store: &Store, found: &mut Found) -> Result<(), OpenError> {
    let bodies = store.bodies.all();
    for (id, work) in &mut found.shards {
        let scanned = committed_rows(store, work);
        let mut rows = Vec::new();
        if work.state.condition != Condition::Installing {
            rows = stored_rows(store, &bodies, *id, work.state.begun_in_group)
                .map_err(OpenError::while_doing("reading a hint file"))?;
            rows.extend(scanned);
        }
        let loaded = into_index(store, rows, work);
        store.note_index_bytes(0, loaded.index.bytes() as u64);
        store.note_largest_hlc(work.state.largest_hlc);
        *store.shard_or_new(*id).rows.write() = loaded;
    }
    Ok(())
}

/// The rows of the entries that were read and are committed. Accounts for them with their segments.
fn committed_rows(store: &Store, work: &mut Work) -> Vec<HintRow> {
    let mut rows = Vec::new();
    for entry in work.take_committed() {
        let own: Vec<HintRow> = new_rows(store, &entry).iter().map(|row| row.row).collect();
        let offset = u32::try_from(entry.offset).expect("segments are below 256 MiB");
        let length = u32::try_from(entry.bytes.len()).expect("entries are bounded");
        let mut facts = entry.body.facts.lock();
        facts
            .content
            .entries
            .push(HintEntry::of(&entry.header, offset, length));
        facts.content.rows.extend(&own);
        rows.extend(own);
    }
    rows
}

/// The rows of one shard in hint files, and in base segments without one.
fn stored_rows(
    store: &Store,
    bodies: &[Arc<Body>],
    shard: ShardId,
    begun_in_group: u64,
) -> std::io::Result<Vec<HintRow>> {
    let mut rows = Vec::new();
    for body in bodies {
        let (hint, content) = {
            let facts = body.facts.lock();
            let own = facts
                .content
                .rows
                .iter()
                .filter(|row| body.is_base && row.shard == shard);
            (facts.hint.clone(), own.copied().collect::<Vec<_>>())
        };
        let newest = if body.is_base {
            body.segment.header.born_after
        } else {
            body.facts.lock().last_group
        };
        if newest < begun_in_group {
            continue;
        }
        rows.extend(content);
        if let Some(hint) = hint
            && let Some(part) = hint.part(shard)
        {
            rows.extend(hint.rows(part, body.slot, &mut store.views.write())?);
        }
    }
    Ok(rows)
}

fn into_index(store: &Store, mut rows: Vec<HintRow>, work: &Work) -> Rows {
    let ids = |row: &HintRow| store.bodies.get(row.place.slot()).segment.id;
    let mut keyed: Vec<(HintRow, SegmentId)> = rows.drain(..).map(|row| (row, ids(&row))).collect();
    // Of copies of one record the one in the newest segment: the others may be on their way out.
    keyed.sort_by_key(|(row, segment)| {
        let newest = Reverse((row.position, *segment, row.place.offset()));
        (row.hash, row.order.view(), row.check, newest)
    });
    keyed.dedup_by_key(|(row, _)| (row.hash, row.order.view(), row.check));
    let mut loaded = Rows {
        state: work.state.clone(),
        ..Rows::default()
    };
    let mut previous = None;
    for (row, _) in keyed {
        let floor = store.purge_of(row.order.view()).unwrap_or_default().floor;
        if row.order.event_time() < floor {
            continue;
        }
        if previous.replace((row.hash, row.order.view())) == Some((row.hash, row.order.view())) {
            loaded.shared_hashes.insert(row.hash);
        }
        store.bodies.account(None, Some(row.place));
        loaded.index.insert(row.entry());
    }
    loaded
}
