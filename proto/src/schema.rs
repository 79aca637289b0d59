//! The schema of a row: which columns it has and where their fixed parts lie.
//!
//! Features are added or deprecated, never removed, so a feature's id is its column's index, and
//! a later schema version of a view begins with the columns of the earlier ones (some widened).

use crate::{
    id::{FeatureId, SchemaVersion, ViewId},
    types::Type,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a feature's values from several regions become one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Combine {
    /// One cell; the larger version stands.
    #[default]
    Latest = 0,
    /// One slot per region; their sum is read.
    Sum = 1,
    /// One slot per region; the smallest is read.
    Min = 2,
    /// One slot per region; the largest is read.
    Max = 3,
}

/// One feature as rows store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The type of its values.
    pub ty: Type,
    /// Whether it is one cell or a slot per region.
    #[serde(default)]
    pub combine: Combine,
}

impl Column {
    /// A column with one cell.
    #[must_use]
    pub const fn of(ty: Type) -> Self {
        Self {
            ty,
            combine: Combine::Latest,
        }
    }

    /// Bytes of the column in the row's fixed area: the value, or the end of a variable part.
    #[must_use]
    pub const fn fixed_width(&self) -> usize {
        match (self.combine, self.ty.width()) {
            (Combine::Latest, Some(width)) => width,
            _ => 4,
        }
    }

    /// Whether the value lies in the variable area.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        !matches!((self.combine, self.ty.width()), (Combine::Latest, Some(_)))
    }
}

/// The columns of one schema version of one view, with the place of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSchema {
    view: ViewId,
    version: SchemaVersion,
    columns: Vec<Column>,
    offsets: Vec<u32>,
    fixed_bytes: usize,
}

impl RowSchema {
    /// A schema of `columns`, the column of feature *i* at place *i*.
    #[must_use]
    pub fn new(view: ViewId, version: SchemaVersion, columns: Vec<Column>) -> Self {
        let mut fixed_bytes = 0;
        let offsets = columns
            .iter()
            .map(|column| {
                let offset = fixed_bytes;
                fixed_bytes += column.fixed_width();
                u32::try_from(offset)
                    .expect("views are limited to 2,048 features of at most 64 KiB")
            })
            .collect();
        Self {
            view,
            version,
            columns,
            offsets,
            fixed_bytes,
        }
    }

    /// The view.
    #[must_use]
    pub const fn view(&self) -> ViewId {
        self.view
    }

    /// The schema version.
    #[must_use]
    pub const fn version(&self) -> SchemaVersion {
        self.version
    }

    /// The columns in the order of their features' ids.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of a feature, if this version has it.
    #[must_use]
    pub fn column(&self, feature: FeatureId) -> Option<&Column> {
        self.columns.get(usize::from(feature.0))
    }

    /// Where a column's fixed part begins, counted from the start of the fixed area.
    #[must_use]
    pub fn offset(&self, feature: FeatureId) -> usize {
        self.offsets[usize::from(feature.0)] as usize
    }

    /// Bytes of the fixed area.
    #[must_use]
    pub const fn fixed_bytes(&self) -> usize {
        self.fixed_bytes
    }
}

/// Where the schemas of stored rows are found: rows name the version they were written under.
pub trait Schemas {
    /// The schema `version` of `view`, if it is known.
    fn schema(&self, view: ViewId, version: SchemaVersion) -> Option<&RowSchema>;
}

/// Schemas kept in a map; for tests and tools.
#[derive(Debug, Clone, Default)]
pub struct SchemaMap(BTreeMap<(ViewId, SchemaVersion), RowSchema>);

impl SchemaMap {
    /// Adds a schema.
    pub fn insert(&mut self, schema: RowSchema) {
        self.0.insert((schema.view, schema.version), schema);
    }
}

impl Schemas for SchemaMap {
    fn schema(&self, view: ViewId, version: SchemaVersion) -> Option<&RowSchema> {
        self.0.get(&(view, version))
    }
}
