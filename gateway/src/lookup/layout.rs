//! Which columns of a view a lookup reads, and where each lies in a staged row.
//!
//! Columns stand in the order of their features' ids, as they do in a record, so that neighbouring
//! columns of fixed width are one run of bytes to copy.

use proto::{
    id::{FeatureId, ViewId},
    schema::{Combine, RowSchema},
    types::Type,
};
use std::{ops::Range, sync::Arc};

/// One column of a staged row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedColumn {
    /// The feature.
    pub feature: FeatureId,
    /// Its type in the newest schema; staged values have it.
    pub ty: Type,
    /// How slots become one value.
    pub combine: Combine,
    /// Where it begins in the row.
    pub offset: usize,
    /// Its bytes there: a value of fixed width, or start and end in the heap.
    pub width: usize,
}

impl StagedColumn {
    /// Whether the row holds places in the heap and not the value itself.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.ty.width().is_none()
    }
}

/// A run of bytes that a record and a staged row have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where in the record's fixed area.
    pub from: Range<usize>,
    /// Where in the staged row.
    pub to: Range<usize>,
}

/// The columns of one view that a lookup reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    schema: Arc<RowSchema>,
    columns: Vec<StagedColumn>,
    runs: Vec<Run>,
    row_bytes: usize,
    has_combined: bool,
}

/// Bytes that a variable column takes in a staged row: start and end in the heap.
pub(super) const PLACE_BYTES: usize = 8;

impl Layout {
    /// A layout of `features`, each named once or more, in any order.
    #[must_use]
    pub fn new(schema: Arc<RowSchema>, features: impl IntoIterator<Item = FeatureId>) -> Self {
        let mut features: Vec<FeatureId> = features.into_iter().collect();
        features.sort_unstable();
        features.dedup();
        let mut row_bytes = 0;
        let columns: Vec<StagedColumn> = features
            .into_iter()
            .map(|feature| {
                let column = schema.columns()[usize::from(feature.0)];
                let (offset, width) = (row_bytes, column.ty.width().unwrap_or(PLACE_BYTES));
                row_bytes += width;
                StagedColumn {
                    feature,
                    ty: column.ty,
                    combine: column.combine,
                    offset,
                    width,
                }
            })
            .collect();
        let has_combined = columns
            .iter()
            .any(|column| column.combine != Combine::Latest);
        let runs = runs(&schema, &columns);
        Self {
            schema,
            columns,
            runs,
            row_bytes,
            has_combined,
        }
    }

    /// The view.
    #[must_use]
    pub fn view(&self) -> ViewId {
        self.schema.view()
    }

    /// The schema that staged values have.
    #[must_use]
    pub fn schema(&self) -> &Arc<RowSchema> {
        &self.schema
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[StagedColumn] {
        &self.columns
    }

    /// What to copy from a record of [`Self::schema`] whose columns all hold values. Variable
    /// columns, and those that combine, are not in it.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Bytes of a staged row.
    #[must_use]
    pub const fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Whether runs alone fill a row: no column is variable, and none combines.
    #[must_use]
    pub fn is_all_runs(&self) -> bool {
        !self.has_combined && !self.columns.iter().any(StagedColumn::is_variable)
    }

    /// Whether a column has a slot per region.
    #[must_use]
    pub const fn has_combined(&self) -> bool {
        self.has_combined
    }

    /// The place of a feature in [`Self::columns`].
    #[must_use]
    pub fn place_of(&self, feature: FeatureId) -> Option<usize> {
        self.columns
            .binary_search_by_key(&feature, |column| column.feature)
            .ok()
    }
}

fn runs(schema: &RowSchema, columns: &[StagedColumn]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in columns {
        if column.is_variable() || column.combine != Combine::Latest {
            continue;
        }
        let from = schema.offset(column.feature);
        match runs.last_mut() {
            Some(run) if run.from.end == from && run.to.end == column.offset => {
                run.from.end += column.width;
                run.to.end += column.width;
            }
            _ => runs.push(Run {
                from: from..from + column.width,
                to: column.offset..column.offset + column.width,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{id::SchemaVersion, schema::Column};

    #[test]
    fn neighbouring_columns_of_fixed_width_are_one_run() {
        let types = ["int64", "float32", "string", "bool", "int32", "int64"];
        let columns = types.map(|ty| Column::of(ty.parse().unwrap())).to_vec();
        let schema = Arc::new(RowSchema::new(ViewId(1), SchemaVersion(1), columns));
        let layout = Layout::new(schema, [5, 4, 3, 2, 1, 0, 0].map(FeatureId));
        assert_eq!(layout.row_bytes(), 8 + 4 + PLACE_BYTES + 1 + 4 + 8);
        let expected = [
            Run {
                from: 0..12,
                to: 0..12,
            },
            Run {
                from: 16..29,
                to: 20..33,
            },
        ];
        assert_eq!(layout.runs(), expected);
        assert_eq!(layout.place_of(FeatureId(3)), Some(3));
    }
}
