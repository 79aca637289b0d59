//! One number for the rows of a shard: the same on every replica that has the same rows, however and in
//! whatever order they came to be there. Pure but for reading.

use super::codec::Digest;
use proto::{
    id::{PlacementId, RegionId, Sequence, ShardId},
    record::{RecordKind, RecordView, encode},
    token::Reached,
};
use raft::registry::catalog::{Catalog, CatalogView};
use std::sync::Arc;
use store::{Store, StreamMark, ViewScan};
use xxhash_rust::xxh3::Xxh3;

/// About how much is in memory at once.
const PAGE_BYTES: usize = 1 << 20;
/// Rows are of one moment where nothing was applied while they were looked up.
const TRIES: usize = 8;

/// The number, and through where the rows are.
pub(super) fn digest(
    store: &Arc<Store>,
    catalog: &Catalog,
    shard: ShardId,
) -> Result<Digest, String> {
    for _ in 0..TRIES {
        let applied = store.applied(shard);
        let marks = store.streams(shard);
        let views: Vec<_> = catalog.views().collect();
        let scans = views.iter().map(|view| {
            let scan = store
                .scan_view(shard, view.view.id)
                .map_err(|error| error.to_string())?;
            Ok::<_, String>((view, scan.with_deletions()))
        });
        let scans: Vec<_> = scans.collect::<Result<_, _>>()?;
        if scans.iter().any(|(_, scan)| scan.applied() != applied) {
            continue;
        }
        let (mut rows, mut hash) = (0, 0_u64);
        for (view, scan) in scans {
            let (more, of_view) = add(view, scan)?;
            rows += more;
            hash = hash.wrapping_add(of_view);
        }
        let written = marks.iter().filter(|(_, mark)| mark.sequence > Sequence(0));
        return Ok(Digest {
            revision: catalog.revision(),
            streams: written
                .map(|(stream, mark)| reached(*stream, mark))
                .collect(),
            rows,
            hash,
        });
    }
    Err("rows are applied faster than they can be looked up; try again".into())
}

fn reached(
    (origin, placement): (RegionId, PlacementId),
    mark: &StreamMark,
) -> (RegionId, PlacementId, Reached) {
    let reached = Reached {
        incarnation: mark.incarnation,
        sequence: mark.sequence,
    };
    (origin, placement, reached)
}

/// How many rows a view has, and the sum of their hashes.
fn add(view: &CatalogView, mut scan: ViewScan) -> Result<(u64, u64), String> {
    let (mut rows, mut sum) = (0, 0_u64);
    while let Some(page) = scan
        .next_records(PAGE_BYTES)
        .map_err(|error| error.to_string())?
    {
        let mut rest = &page[..];
        while !rest.is_empty() {
            let record = RecordView::parse(rest).map_err(|error| error.to_string())?;
            rest = &rest[record.bytes().len()..];
            if let Some(hash) = hash(&record, view)? {
                rows += 1;
                sum = sum.wrapping_add(hash);
            }
        }
    }
    Ok((rows, sum))
}

/// Of cells and versions under the newest schema, not of bytes as they were stored; none of a row that
/// lies below the view's floor.
fn hash(record: &RecordView<'_>, view: &CatalogView) -> Result<Option<u64>, String> {
    let version = record.schema_version();
    let schema = view.schema(version).ok_or_else(|| {
        let label = view.view.label();
        format!("view {label} has no schema {version} here yet; try again")
    })?;
    let newest = view.newest();
    let row = record.to_row(schema).map_err(|error| error.to_string())?;
    let mut row = row.widened(schema, newest);
    row.drop_below(view.view.floor);
    if row.is_empty() {
        return Ok(None);
    }
    // Without a position and a checksum, which are each replica's own.
    let encoded = encode(&row, RecordKind::Image, record.key(), newest);
    let encoded = encoded.map_err(|error| error.to_string())?;
    let mut hasher = Xxh3::new();
    hasher.update(&view.view.id.0.to_le_bytes());
    hasher.update(&encoded.bytes);
    Ok(Some(hasher.digest()))
}
