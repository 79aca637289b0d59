//! What to copy of each row.

use proto::{
    id::{SchemaVersion, ViewId},
    record::{RecordKind, RecordView},
};

/// How the rows of one view are staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The view.
    pub view: ViewId,
    /// What to copy.
    pub copy: Copy,
}

/// What to copy of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copy {
    /// The whole record: for merges, and where every cell needs a look.
    Record,
    /// Runs of the fixed area, for rows of one schema version whose cells are all values of one
    /// version. Other rows come as whole records, [`super::RowState::Slow`].
    Runs {
        /// The schema that the runs were made for.
        schema: SchemaVersion,
        /// The runs.
        runs: Vec<Run>,
        /// Bytes of a staged row.
        stride: u32,
    },
}

/// Neighbouring bytes that are copied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where they begin in the row's fixed area.
    pub source: u32,
    /// Where they go in the staged row.
    pub target: u32,
    /// How many.
    pub length: u32,
}

impl Plan {
    /// Bytes of a staged row.
    pub(super) fn stride(&self) -> usize {
        match &self.copy {
            Copy::Record => 0,
            Copy::Runs { stride, .. } => *stride as usize,
        }
    }
}

/// Copies the runs of a plain row. False if the row is not plain: it has another schema, cells that
/// are not values, or several versions.
pub(super) fn copy_runs(
    record: &RecordView<'_>,
    schema: SchemaVersion,
    runs: &[Run],
    out: &mut [u8],
) -> bool {
    let plain = matches!(record.kind(), RecordKind::Image | RecordKind::OwnDelta)
        && record.schema_version() == schema
        && record.is_all_values()
        && record.extra_versions() == 0;
    let Some(fixed) = plain
        .then(|| record.bytes().get(record.fixed_area()..))
        .flatten()
    else {
        return false;
    };
    for run in runs {
        let [source, target, length] = [run.source, run.target, run.length].map(|n| n as usize);
        let Some(bytes) = fixed.get(source..source + length) else {
            return false;
        };
        out[target..target + length].copy_from_slice(bytes);
    }
    true
}
