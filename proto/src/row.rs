//! A row in memory: what the merge rule works on.
//!
//! Only paths that must look into a row build one: merging, answering exceptional cells, repair.
//! Whole-row overwrites and plain lookups stay with the record's bytes.

use crate::{
    id::{FeatureId, RegionId},
    schema::RowSchema,
    time::EventTime,
    value,
    version::Version,
};
use bytes::Bytes;
use smallvec::SmallVec;

/// What a cell holds: a value in its stored bytes, or a written null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A null that somebody wrote.
    Null,
    /// The stored bytes of a value of the column's type.
    Value(Bytes),
}

/// A cell's value from one region, where the feature combines them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The region named in the write; not always its origin.
    pub region: RegionId,
    /// The slot's own version.
    pub version: Version,
    /// Its value.
    pub content: Content,
}

/// One feature in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The latest value.
    Latest {
        /// The cell's version.
        version: Version,
        /// Its value.
        content: Content,
    },
    /// A slot per region, in the order of regions, each region once, never empty.
    Slots(SmallVec<[Slot; 1]>),
}

/// The latest values of one view for one entity key, and the version of its last deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// The last deletion; it shadows every cell up to its version.
    pub deletion: Option<Version>,
    /// The cells by feature id; `None` was never set. Trailing places may be missing.
    pub cells: Vec<Option<Cell>>,
}

impl Cell {
    /// The largest version in the cell.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Self::Latest { version, .. } => *version,
            Self::Slots(slots) => slots
                .iter()
                .map(|slot| slot.version)
                .max()
                .expect("a cell of slots has at least one"),
        }
    }
}

impl Row {
    /// A row that was deleted and has no cells.
    #[must_use]
    pub const fn deleted(version: Version) -> Self {
        Self {
            deletion: Some(version),
            cells: Vec::new(),
        }
    }

    /// Sets a cell, growing the row as needed.
    pub fn set(&mut self, feature: FeatureId, cell: Cell) {
        let place = usize::from(feature.0);
        if self.cells.len() <= place {
            self.cells.resize(place + 1, None);
        }
        self.cells[place] = Some(cell);
    }

    /// The cell of a feature, if it was ever set.
    #[must_use]
    pub fn cell(&self, feature: FeatureId) -> Option<&Cell> {
        self.cells.get(usize::from(feature.0))?.as_ref()
    }

    /// Whether nothing is left: no cell and no deletion.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deletion.is_none() && !self.has_cells()
    }

    /// Whether any cell is set.
    #[must_use]
    pub fn has_cells(&self) -> bool {
        self.cells.iter().any(Option::is_some)
    }

    /// The largest version of the row's cells, else that of its deletion.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.cells
            .iter()
            .flatten()
            .map(Cell::version)
            .max()
            .or(self.deletion)
    }

    /// The row under a later schema of its view: widened values, the same versions.
    ///
    /// # Panics
    /// If `to` is not a later schema of the same view; the registry admits no other change.
    #[must_use]
    pub fn widened(mut self, from: &RowSchema, to: &RowSchema) -> Self {
        if from.version() == to.version() {
            return self;
        }
        for (place, cell) in self.cells.iter_mut().enumerate() {
            let (old, new) = (from.columns()[place].ty, to.columns()[place].ty);
            if old != new
                && let Some(cell) = cell
            {
                for content in contents_of(cell) {
                    if let Content::Value(bytes) = content {
                        let wide =
                            value::widen(old, new, bytes).expect("the registry only widens types");
                        *bytes = wide.into();
                    }
                }
            }
        }
        self
    }

    /// Drops what lies below the view's floor: data there no longer exists.
    pub fn drop_below(&mut self, floor: EventTime) {
        self.retain(|version| version.event_time >= floor);
        self.deletion = self.deletion.filter(|version| version.event_time >= floor);
    }

    /// Keeps the cells and slots whose version `keep` says yes to.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Version) -> bool) {
        for place in &mut self.cells {
            let emptied = match place {
                Some(Cell::Latest { version, .. }) => !keep(version),
                Some(Cell::Slots(slots)) => {
                    slots.retain(|slot| keep(&slot.version));
                    slots.is_empty()
                }
                None => false,
            };
            if emptied {
                *place = None;
            }
        }
        while self.cells.last().is_some_and(Option::is_none) {
            self.cells.pop();
        }
    }
}

fn contents_of(cell: &mut Cell) -> impl Iterator<Item = &mut Content> {
    let (latest, slots) = match cell {
        Cell::Latest { content, .. } => (Some(content), None),
        Cell::Slots(slots) => (None, Some(slots)),
    };
    latest
        .into_iter()
        .chain(slots.into_iter().flatten().map(|slot| &mut slot.content))
}
