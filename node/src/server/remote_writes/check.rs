//! Whether a part that another node sent fits this node's definitions. Pure.
//!
//! The hash and the shard of each row follow from its key; a row kept under others would never be
//! found again, so they are computed here anew.

use crate::server::write_codec::SentPart;
use gateway::write::writer::{Change, WriteRow};
use proto::{
    id::ShardId,
    key::Key,
    reason::{Reason, Refusal},
    row::Content,
    schema::RowSchema,
    shard::Sharding,
    types::Scalar,
};
use raft::registry::{Catalog, catalog::CatalogView};

/// Refuses a part as not ready where definitions are missing here, and as a fault of ours where
/// sender and receiver do not agree.
pub(super) fn part(sent: &SentPart, catalog: &Catalog) -> Result<(), Refusal> {
    let founding = catalog.founding().ok_or_else(not_ready)?;
    for row in &sent.part.rows {
        let view = catalog.view(row.view).ok_or_else(not_ready)?;
        let schema = view.schema(row.schema).ok_or_else(not_ready)?;
        let is_placed = view.view.project == sent.project
            && view.view.placement == sent.part.placement
            && row.key.hash(sent.project, view.view.entity) == row.hash
            && shard_of(view, &row.key, &founding.sharding) == Some(sent.part.shard);
        if !is_placed || !fits(row, schema) {
            return Err(disagree(row, view));
        }
    }
    Ok(())
}

fn shard_of(view: &CatalogView, key: &Key, sharding: &Sharding) -> Option<ShardId> {
    let entity = &view.entity;
    let types: Vec<Scalar> = entity.keys.iter().map(|key| key.ty).collect();
    let values = key.values(&types).ok()?;
    let mut by = Key::new();
    for place in &entity.shard_by {
        let place = usize::from(*place);
        by.push(types[place], &values[place]).ok()?;
    }
    Some(sharding.shard_of(view.view.project, &by, entity.copies))
}

fn fits(row: &WriteRow, schema: &RowSchema) -> bool {
    let Change::Set(cells) = &row.change else {
        return true;
    };
    cells.iter().all(|(feature, content)| {
        let column = schema.column(*feature);
        column.is_some_and(|column| match content {
            Content::Null => true,
            Content::Value(bytes) => column.ty.width().is_none_or(|width| width == bytes.len()),
        })
    })
}

fn not_ready() -> Refusal {
    let message = "the definitions of these rows have not reached the shard's primary yet";
    Refusal::new(Reason::NotReady, message)
}

fn disagree(row: &WriteRow, view: &CatalogView) -> Refusal {
    let message = format!(
        "gateway and primary disagree where row {} of view {} belongs; run one release on all nodes",
        row.row,
        view.view.label()
    );
    Refusal::new(Reason::Internal, message)
}
