//! Rows of another region, merged with those that stand here. What they come to is the same wherever and
//! whenever they are merged.

use super::prepare::{RowKey, StandingRows, encoded, standing_row};
use proto::{
    key::Key,
    merge::merge,
    reason::{Reason, Refusal},
    record::{Encoded, RecordKind, RecordView},
};
use raft::registry::catalog::{Catalog, CatalogView};

/// The index hash of a record's row; none of a view that is not known.
pub(super) fn hash_of(record: &RecordView<'_>, catalog: &Catalog) -> Option<u64> {
    let known = catalog.view(record.view())?;
    let key = Key::from_canonical(record.key());
    let hash = key.hash(known.view.project, known.view.entity);
    Some(hash.with_view(record.view()))
}

/// The row that `record` makes of the one that stands; none where nothing changes. A row that cannot be
/// read is never taken for absent.
pub(super) fn merged(
    record: &RecordView<'_>,
    (view, hash): (&CatalogView, u64),
    standing: &impl StandingRows,
) -> Result<Option<Encoded>, Refusal> {
    let damaged = |error: proto::codec::Malformed| Refusal::new(Reason::Damaged, error.to_string());
    let written_by = record.schema_version();
    let schema = view.schema(written_by).ok_or_else(|| {
        let message = format!("view {} has no schema {written_by} here", view.view.label());
        Refusal::new(Reason::RevisionChanged, message)
    })?;
    let newest = view.newest();
    let mut sent = record
        .to_row(schema)
        .map_err(damaged)?
        .widened(schema, newest);
    sent.drop_below(view.view.floor);
    if sent.is_empty() {
        return Ok(None);
    }
    let row = RowKey {
        view: record.view(),
        hash,
        key: record.key(),
    };
    let image = match standing_row(row, view, &sent, standing)? {
        None => sent,
        Some(old) => {
            let mut merged = merge(old.clone(), sent, newest);
            merged.drop_below(view.view.floor);
            if merged == old {
                return Ok(None);
            }
            merged
        }
    };
    encoded(&image, RecordKind::Image, record.key(), newest).map(Some)
}
